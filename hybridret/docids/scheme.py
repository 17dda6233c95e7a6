"""What every docid scheme does, and the shapes of docids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from hybridret.errors import InputError
from hybridret.types import Arrays, CodeArray, Document, FloatArray, IntArray

_Table = TypeVar("_Table", IntArray, CodeArray)
FILL = -1
"""Fills docids up to the longest one's length."""


class DocidScheme(Protocol):
    """Gives documents their docids: fitted to a corpus, then frozen, so that docids once given never change.

    Documents may come to the same docid; ``assign_suffixes`` tells them apart and ``usage`` counts them.
    """

    @property
    def level_sizes(self) -> tuple[int, ...] | None:
        """How many codes each level has; None where docids are a tokenizer's tokens, its end token last."""

    @property
    def dimension(self) -> int | None:
        """Of the vectors that it was fitted to; None where it does not look at vectors."""

    def encode(self, vectors: FloatArray, documents: Sequence[Document]) -> IntArray:
        """Gives documents docids, those fitted on and new ones alike.

        Args:
            vectors: *Shape:* (n, dimension), float32, the documents' dense vectors.
            documents: The documents.

        Returns:
            *Shape:* (n, n_tokens), int64, filled up with ``FILL``.
        """

    def arrays(self) -> Arrays:
        """What makes the scheme again, with what was handed in from outside."""


def filled(docids: Sequence[Sequence[int]]) -> IntArray:
    """Token lists as a table, filled up with ``FILL``. *Shape:* (n, the longest one's length)."""
    table = np.full((len(docids), max(map(len, docids), default=0)), FILL, dtype=np.int64)
    for row, docid in zip(table, docids, strict=True):
        row[: len(docid)] = docid
    return table


def stacked(tables: Sequence[_Table]) -> _Table:
    """Tables of docids one below the other, filled up to the widest one's width."""
    width = max(table.shape[1] for table in tables)
    filled_up = [
        table if table.shape[1] == width else np.pad(table, ((0, 0), (0, width - table.shape[1])), constant_values=FILL)
        for table in tables
    ]
    return np.concatenate(filled_up)


def check_dimension(vectors: FloatArray, dimension: int) -> None:
    """Refuses vectors of another encoder than the one whose vectors a scheme was fitted to.

    Args:
        vectors: *Shape:* (n, dimension).
        dimension: What it was fitted to.

    Raises:
        InputError: The dimensions differ.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise InputError(
            f"the vectors have the shape {vectors.shape} and the docid scheme was fitted to {dimension} dimensions: "
            "another embedding model?"
        )
