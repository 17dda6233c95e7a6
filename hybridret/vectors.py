"""Documents by their vectors: those of given ids, and given vectors in place of queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hybridret.changes import Changes
from hybridret.dense.encoder import unit_length
from hybridret.errors import InputError
from hybridret.types import FloatArray


def vectors_of(changes: Changes, doc_ids: Sequence[str]) -> dict[str, FloatArray]:
    """The vectors of the ids that are present. *Shape:* (dimension,) each, float32, unit length."""
    generation = changes.generation
    keys = changes.store.keys_of(doc_ids)
    rows = {doc_id: generation.rows_of([key]) for doc_id, key in keys.items()}
    return {doc_id: generation.dense.vectors[row[0]] for doc_id, row in rows.items() if len(row)}


def checked_vectors(vectors: Any, dimension: int) -> FloatArray:
    """Vectors that may stand in place of encoded queries, brought to unit length; zeros stay.

    Args:
        vectors: One sequence of numbers a query.
        dimension: The index's; 0 where it is empty, which takes any.

    Returns:
        *Shape:* (n_queries, dimension), float32.

    Raises:
        InputError: They are no numbers, not finite, or of another dimension.
    """
    try:
        made = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"a vector must be a list of numbers: {error}") from error
    if made.ndim != 2 or not np.isfinite(made).all():
        raise InputError("a vector must be a list of finite numbers")
    if dimension and made.shape[1] != dimension:
        raise InputError(f"the vector has {made.shape[1]} dimensions, the index has {dimension}: another model?")
    return unit_length(made)
