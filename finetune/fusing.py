"""The fusion of a bundle whose retrievers were trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from finetune.gate.general import everyday_questions
from finetune.gate.hybrid import cosines_by_chance, match_spread
from hybridret.changes import Changes
from hybridret.dense import DenseRetriever
from hybridret.fit import fit_ranker, off_topic_scores
from hybridret.hybrid import HybridIndex
from hybridret.types import Encoder, Progress


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
    ``match_spread``) and what off-topic questions score are the trained one's, docids weigh nothing until labels come,
    and the index is not fitted again by itself.

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
    everyday = everyday_questions()
    by_chance, now = (
        cosines_by_chance(state, encoder.encode_queries(everyday))
        for state, encoder in ((before, untrained), (generation, trained))
    )
    spread = match_spread(before.spread, by_chance, now) or generation.spread
    ranker = replace(ranker, spread=spread, report={**ranker.report, "automatic": False})
    off_topic = off_topic_scores(replace(generation, ranker=ranker), trained, ranker, ranker.report["language"])
    changes.set_ranker(replace(ranker, off_topic=off_topic))
