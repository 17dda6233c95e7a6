"""The fusion of a bundle whose retrievers were trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from finetune.gate.general import everyday_exam
from hybridret.changes import Changes
from hybridret.dense import DenseRetriever
from hybridret.fit import fit_ranker, off_topic_scores
from hybridret.fusion.evidence import Spread
from hybridret.generation import Generation
from hybridret.hybrid import HybridIndex
from hybridret.types import Encoder, Progress, Queries, ScoreArray

_CHANCE = 100


def fit_fusion(
    bundle: Path,
    trained: Encoder,
    untrained: Encoder,
    labels: Mapping[str, Mapping[str, int]],
    progress: Progress | None = None,
) -> None:
    """Fits how far to trust each retriever of a bundle.

    Where questions were made, the fit's questions lifted out of documents are what was trained on: trained retrievers
    answer them better than any user's. They are put to the untrained model then; only the spread of cosines (see
    ``matched``) and what off-topic questions score are the trained one's, docids weigh nothing until labels come, and
    the index is not fitted again by itself.

    Args:
        bundle: Folder of the bundle.
        trained: Its encoder.
        untrained: The encoder before training.
        labels: Labelled questions that nothing was trained on, text to grade by document id; empty: there are none.
        progress: Told how far the work is.
    """
    changes = Changes.open(bundle)
    if labels:
        HybridIndex(changes, lambda: trained).fit(labels, progress)
        return
    generation, store = changes.generation, changes.store
    texts = [document.text for _, document in store.documents()]
    dense = DenseRetriever(untrained.encode_documents(texts, progress), generation.config.index)
    before = replace(generation, dense=dense, docid=None)
    ranker = fit_ranker(before, store.by_key, untrained, (), progress)
    by_chance, now = _found_by_chance(before, untrained), _found_by_chance(generation, trained)
    spread = matched(before.spread, by_chance, now) or generation.spread
    ranker = replace(ranker, spread=spread, report={**ranker.report, "automatic": False})
    off_topic = off_topic_scores(replace(generation, ranker=ranker), trained, ranker, ranker.report["language"])
    changes.set_ranker(replace(ranker, off_topic=off_topic))


def _found_by_chance(generation: Generation, encoder: Encoder) -> ScoreArray:
    """Cosines of the best documents of questions on everyday matters. *Shape:* (n,), float64."""
    texts = list(everyday_exam().queries.values())
    queries = Queries(texts, encoder.encode_queries(texts))
    runs = generation.runs(queries, {"dense": _CHANCE}, generation.living)["dense"]
    return np.concatenate([run.scores for run in runs])


def matched(spread: Spread, before: ScoreArray, after: ScoreArray) -> Spread | None:
    """The spread by which a trained model's cosines say as much as the untrained one's did.

    Training moves questions and documents towards each other, and by the spread between documents any question then
    seems answered. So both models are asked questions on everyday matters, whose best documents are found by chance:
    these cosines, standardised, are to have the same mean and deviation.

    Args:
        spread: The untrained model's.
        before: *Shape:* (n,), float64, its cosines found by chance.
        after: *Shape:* (m,), float64, the trained model's.

    Returns:
        None where either are all alike.
    """
    if not before.std() or not after.std():
        return None
    deviation = spread.deviation * after.std() / before.std()
    return Spread(float(after.mean() - (before.mean() - spread.mean) / spread.deviation * deviation), float(deviation))
