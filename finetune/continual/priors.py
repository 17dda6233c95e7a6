"""How often a document is right for no other reason than that it is new."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finetune.generative.rows import Row
from hybridret.types import FloatArray, IntArray


def log_priors(rows: Sequence[Row], first_old: int, plan: IntArray, n_documents: int) -> FloatArray:
    """The logarithm of how often one new document, or one old document, is right in a plan.

    Four fifths of the texts are about a few new documents, so that a softmax over all documents learns to answer with
    new ones. Added to the scores in the loss, these numbers take that over, and what is learned is what speaks for a
    document beside its being new (Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, equation 10).

    Args:
        rows: Texts and their documents.
        first_old: The first row about an old document; those before are about new ones.
        plan: The rows that are drawn, of any shape.
        n_documents: How many documents there are, old and new.

    Returns:
        *Shape:* (n_documents,), float32; zeros where no row about an old document is drawn.
    """
    share = float((plan < first_old).mean())
    priors = np.zeros(n_documents, dtype=np.float32)
    new = np.unique(np.concatenate([row.documents for row in rows[:first_old]]))
    if share < 1.0 and len(new) < n_documents:
        priors[:] = np.log((1.0 - share) / (n_documents - len(new)))
        priors[new] = np.log(share / len(new))
    return priors
