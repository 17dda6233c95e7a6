"""The fusion of a bundle whose retrievers were trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hybridret.changes import Changes
from hybridret.dense import DenseRetriever
from hybridret.fit import fit_ranker
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
    if labels:
        HybridIndex(changes, lambda: trained).fit(labels, progress)
        return
    generation, store = changes.generation, changes.store
    texts = [document.text for _, document in store.documents()]
    dense = DenseRetriever(untrained.encode_documents(texts, progress), generation.config.index)
    before = replace(generation, dense=dense, docid=None)
    ranker = fit_ranker(before, store.by_key, untrained, (), progress)
    changes.set_ranker(replace(ranker, spread=generation.spread))
