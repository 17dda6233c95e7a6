"""How often a document is right for no other reason than that training asks about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finetune.generative.rows import Row
from hybridret.types import FloatArray, IntArray


def log_priors(rows: Sequence[Row], n_favoured: int, plan: IntArray, n_documents: int) -> FloatArray:
    """The logarithm of how often a document is right in a plan, one number for favoured documents, one for the others.

    Documents that have questions, or are new ones that training goes on with, are right far more often than others, so
    that a softmax over all documents learns to answer with them. Added to the scores in the loss, these numbers take
    that over, and what is learned is what speaks for a document beside its being asked about (Menon et al., "Long-tail
    learning via logit adjustment", ICLR 2021, equation 10).

    Args:
        rows: Texts and their documents.
        n_favoured: The documents of the first so many rows are the favoured ones.
        plan: The rows that are drawn, of any shape.
        n_documents: How many documents there are.

    Returns:
        *Shape:* (n_documents,), float32; zeros where one of the two kinds has no document, or none that is right.
    """
    favoured, times = np.zeros(n_documents, dtype=np.bool_), np.zeros(n_documents)
    for row in rows[:n_favoured]:
        favoured[row.documents] = True
    for at, drawn in zip(*np.unique(plan, return_counts=True), strict=True):
        times[rows[at].documents] += drawn / len(rows[at].documents)
    priors = np.zeros(n_documents, dtype=np.float32)
    groups = (favoured, ~favoured)
    if all(times[group].sum() for group in groups):
        for group in groups:
            priors[group] = np.log(times[group].mean() / times.sum())
    return priors
