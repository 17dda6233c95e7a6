"""The code decoder's log-probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from hybridret.generative import CodeDecoder
from hybridret.generative.code_decoder import SCALE


@pytest.mark.parametrize("scale", [1.0, SCALE, 100.0])
def test_log_probs_are_the_log_softmax_over_all_codes(scale: float) -> None:
    rng = np.random.default_rng(0)
    codebooks = rng.normal(size=(4, 32, 16)).astype(np.float32) / 4
    vectors = rng.normal(size=(7, 16)).astype(np.float32) / 4
    products = np.einsum("qd,lcd->qlc", vectors.astype(np.float64), codebooks.astype(np.float64))
    log_probs = CodeDecoder(codebooks, np.full(4, scale, dtype=np.float32)).log_probs(vectors)
    assert log_probs.dtype == np.float32
    np.testing.assert_allclose(log_probs, log_softmax(scale * products, axis=2), rtol=1e-5, atol=1e-5)


def test_probabilities_of_a_level_sum_to_one() -> None:
    rng = np.random.default_rng(1)
    codebooks, vectors = rng.normal(size=(3, 8, 4)), rng.normal(size=(5, 4))
    log_probs = CodeDecoder(codebooks.astype(np.float32)).log_probs(vectors.astype(np.float32))
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=2), np.ones((5, 3)), rtol=1e-5)


def test_codes_of_one_level_do_not_touch_another() -> None:
    rng = np.random.default_rng(2)
    codebooks, vectors = rng.normal(size=(2, 8, 4)).astype(np.float32), rng.normal(size=(1, 4)).astype(np.float32)
    changed = np.stack([codebooks[0], -codebooks[1]])
    before, after = CodeDecoder(codebooks).log_probs(vectors), CodeDecoder(changed).log_probs(vectors)
    np.testing.assert_allclose(before[:, 0], after[:, 0], rtol=1e-6)


def test_score_sums_along_the_codes() -> None:
    rng = np.random.default_rng(3)
    codebooks = rng.normal(size=(5, 8, 4)).astype(np.float32)
    decoder = CodeDecoder(codebooks)
    log_probs = decoder.log_probs(rng.normal(size=(1, 4)).astype(np.float32))[0]
    codes = rng.integers(0, 8, size=(50, 5))
    expected = [sum(float(log_probs[level, code]) for level, code in enumerate(docid)) for docid in codes.tolist()]
    np.testing.assert_allclose(decoder.score(log_probs, codes), expected, rtol=1e-12)
    assert decoder.score(log_probs, codes[:0]).shape == (0,)


def test_no_queries_give_no_log_probs() -> None:
    codebooks = np.ones((2, 3, 4), dtype=np.float32)
    assert CodeDecoder(codebooks).log_probs(np.zeros((0, 4), dtype=np.float32)).shape == (0, 2, 3)
