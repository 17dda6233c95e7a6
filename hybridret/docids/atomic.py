"""Atomic docids: one token a document."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybridret.docids.rq import nearest
from hybridret.docids.scheme import check_dimension
from hybridret.types import Arrays, Document, FloatArray, IntArray


class AtomicIds:
    """Each document fitted on is a token of its own; a new one shares that of the document nearest to it.

    Tay et al., "Transformer Memory as a Differentiable Search Index", NeurIPS 2022, section 3.2. A token's output
    vector starts from its document's dense vector. A token of its own would tell a new document from others only once
    it is trained, while its neighbour's is likely for what is asked about both.

    Args:
        vectors: *Shape:* (n_documents, dimension), float32, of the documents fitted on.
    """

    def __init__(self, vectors: FloatArray) -> None:
        self.vectors = vectors

    @property
    def dimension(self) -> int:
        """Of the vectors that it was fitted to."""
        return int(self.vectors.shape[1])

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """One level with a code for each document fitted on."""
        return (len(self.vectors),)

    def encode(self, vectors: FloatArray, documents: Sequence[Document] = ()) -> IntArray:
        """The number of the nearest document fitted on, which of those fitted on is each itself.

        Args:
            vectors: *Shape:* (n, dimension), float32.
            documents: Not looked at; see ``DocidScheme``.

        Returns:
            *Shape:* (n, 1), int64; documents with equal vectors have equal ones.

        Raises:
            InputError: The vectors have another dimension than those fitted on.
        """
        check_dimension(vectors, self.dimension)
        return nearest(np.ascontiguousarray(vectors, dtype=np.float32), self.vectors)[:, None]

    def arrays(self) -> Arrays:
        """What makes the scheme again."""
        return {"vectors": self.vectors}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> AtomicIds:
        """The scheme that gave the arrays.

        Raises:
            ValueError: They are of another kind.
        """
        vectors = arrays["vectors"]
        if vectors.dtype != np.float32 or vectors.ndim != 2 or not len(vectors) or not np.isfinite(vectors).all():
            raise ValueError("the vectors of atomic docids are none")
        return cls(vectors)
