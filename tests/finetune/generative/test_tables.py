"""The tables that training starts from solve their least-squares problem."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.generative import tables
from finetune.generative.tables import starting_tables
from hybridret.docids import ResidualQuantizer
from hybridret.types import FloatArray

RNG = np.random.default_rng(0)
VECTORS: FloatArray = RNG.normal(size=(60, 5)).astype(np.float32)


def by_lstsq(quantizer: ResidualQuantizer, vectors: FloatArray) -> np.ndarray:
    """The same over one row a document and one a code that may move by itself."""
    n_levels, n_codes, dimension = quantizer.codebooks.shape
    chosen = np.zeros((len(vectors), n_levels * n_codes))
    for row, codes in enumerate(quantizer.encode(vectors)):
        chosen[row, np.arange(n_levels) * n_codes + codes] = 1.0
    held = np.eye(n_levels * n_codes)
    flat = quantizer.codebooks.reshape(-1, dimension)
    system, wanted = np.concatenate([chosen, held]), np.concatenate([vectors, flat])
    return np.linalg.lstsq(system, wanted)[0].reshape(quantizer.codebooks.shape)


def test_they_are_those_of_plain_least_squares_and_leave_less_over() -> None:
    quantizer = ResidualQuantizer.fit(VECTORS, 4, 8, seed=0)
    found = starting_tables(quantizer, VECTORS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_lstsq(quantizer, VECTORS), atol=1e-5)
    codes = quantizer.encode(VECTORS)
    left = [
        float(np.square(VECTORS - each[np.arange(4), codes].sum(axis=1)).sum()) for each in (quantizer.codebooks, found)
    ]
    assert left[1] < 0.9 * left[0]


def test_codes_that_no_document_has_stay() -> None:
    quantizer = ResidualQuantizer.fit(VECTORS, 3, 8, seed=0)
    few = VECTORS[:2]
    found, used = starting_tables(quantizer, few), np.zeros((3, 8), dtype=np.bool_)
    for codes in quantizer.encode(few):
        used[np.arange(3), codes] = True
    np.testing.assert_array_equal(found[~used], quantizer.codebooks[~used])
    assert not np.array_equal(found[used], quantizer.codebooks[used])


def test_of_many_documents_every_nth_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    quantizer = ResidualQuantizer.fit(VECTORS, 3, 8, seed=0)
    monkeypatch.setattr(tables, "_FITTED_TO", 25)
    np.testing.assert_array_equal(starting_tables(quantizer, VECTORS), starting_tables(quantizer, VECTORS[::3]))
