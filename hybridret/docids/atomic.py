"""Atomic docids: one token a document."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybridret.types import Arrays, Document, FloatArray, IntArray


class AtomicIds:
    """Each document is a token of its own; new documents get further tokens.

    Tay et al., "Transformer Memory as a Differentiable Search Index", NeurIPS 2022, section 3.2. A token's output
    vector starts from its document's dense vector (``Backbone.add_codes``).

    Args:
        n_documents: How many documents there were when the scheme was fitted.
    """

    def __init__(self, n_documents: int) -> None:
        self.n_documents = n_documents

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """One level with a code for each document fitted on."""
        return (self.n_documents,)

    def encode(self, vectors: FloatArray, documents: Sequence[Document] = (), n_before: int = 0) -> IntArray:
        """The documents' numbers, those of new ones after ``n_before``. *Shape:* (n, 1), int64."""
        return np.arange(n_before, n_before + len(vectors))[:, None]

    def arrays(self) -> Arrays:
        """What makes the scheme again."""
        return {"n_documents": np.array([self.n_documents])}
