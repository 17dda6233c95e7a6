"""The fusion of a bundle whose retrievers were trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hybridret.changes import Changes
from hybridret.dense import DenseRetriever
from hybridret.fit import fit_ranker, labelled_questions
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
    answer them better than any user's. They are put to the untrained model then; only the spread of cosines is the
    trained one's, and docids weigh nothing until labels come.

    Args:
        bundle: Folder of the bundle.
        trained: Its encoder.
        untrained: The encoder before training.
        labels: Labelled questions that nothing was trained on, text to grade by document id; empty: there are none.
        progress: Told how far the work is.
    """
    changes = Changes.open(bundle)
    generation, store = changes.generation, changes.store
    if labels:
        labelled = labelled_questions(labels, generation, store.keys_of)
        ranker = fit_ranker(generation, store.by_key, trained, labelled, progress)
    else:
        texts = [document.text for _, document in store.documents()]
        dense = DenseRetriever(untrained.encode_documents(texts, progress), generation.config.index)
        before = replace(generation, dense=dense, docid=None)
        ranker = replace(fit_ranker(before, store.by_key, untrained, (), progress), spread=generation.spread)
    changes.set_ranker(ranker)
