"""Residual quantisation and the suffixes that tell equal codes apart."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.docids import ResidualQuantizer, assign_suffixes
from hybridret.docids.rq import NO_SUFFIX, clamped_codes
from hybridret.types import FloatArray, IntArray

CODES = st.tuples(st.integers(0, 1), st.integers(0, 1))


def unit_vectors(n: int, dimension: int, seed: int) -> FloatArray:
    vectors = np.random.default_rng(seed).normal(size=(n, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def as_codes(codes: list[tuple[int, int]]) -> IntArray:
    return np.array(codes, dtype=np.int64).reshape(-1, 2)


def test_encode_takes_the_nearest_code_of_each_level() -> None:
    vectors = unit_vectors(300, 16, seed=0)
    quantizer = ResidualQuantizer.fit(vectors, n_levels=4, n_codes=16, seed=1)
    expected = []
    for vector in vectors:
        residual, codes = vector.copy(), []
        for codebook in quantizer.codebooks:
            codes.append(int(np.argmin([np.sum((residual - code) ** 2) for code in codebook])))
            residual -= codebook[codes[-1]]
        expected.append(codes)
    assert quantizer.encode(vectors).tolist() == expected


def test_encode_does_not_depend_on_the_batch_and_leaves_its_input_alone() -> None:
    vectors = unit_vectors(9000, 8, seed=2)
    kept = vectors.copy()
    quantizer = ResidualQuantizer.fit(vectors[:500], n_levels=3, n_codes=8, seed=3)
    codes = quantizer.encode(vectors)
    assert np.array_equal(vectors, kept)
    assert np.array_equal(codes[8190:8195], quantizer.encode(vectors[8190:8195]))
    assert quantizer.encode(vectors[:0]).shape == (0, 3)


def test_decode_sums_the_codes_vectors() -> None:
    codebooks = np.random.default_rng(4).normal(size=(3, 5, 2)).astype(np.float32)
    decoded = ResidualQuantizer(codebooks).decode(np.array([[4, 0, 2], [1, 1, 1]]))
    expected = [
        codebooks[0, 4] + codebooks[1, 0] + codebooks[2, 2],
        codebooks[0, 1] + codebooks[1, 1] + codebooks[2, 1],
    ]
    np.testing.assert_allclose(decoded, expected, rtol=1e-6)


def test_every_level_brings_the_decoded_vectors_nearer() -> None:
    vectors = unit_vectors(600, 16, seed=5)
    codebooks = ResidualQuantizer.fit(vectors, n_levels=8, n_codes=32, seed=6).codebooks
    errors = []
    for n_levels in range(1, 9):
        quantizer = ResidualQuantizer(codebooks[:n_levels])
        errors.append(float(((vectors - quantizer.decode(quantizer.encode(vectors))) ** 2).sum(axis=1).mean()))
    assert all(below < above for above, below in pairwise(errors))
    assert errors[-1] < 0.2 * errors[0]


def test_fit_is_reproducible_for_a_seed() -> None:
    vectors = unit_vectors(200, 8, seed=7)
    first, again, other = (ResidualQuantizer.fit(vectors, 3, 16, seed=seed).codebooks for seed in (8, 8, 9))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_fit_clamps_the_codebooks_and_tells_its_progress() -> None:
    told: list[tuple[str, int, int]] = []
    vectors = unit_vectors(100, 4, seed=10)
    quantizer = ResidualQuantizer.fit(vectors, 3, 256, seed=0, progress=lambda *news: told.append(news))
    assert (quantizer.n_levels, quantizer.n_codes) == (3, clamped_codes(100, 256)) == (3, 25)
    assert [done for _, done, _ in told] == [1, 2, 3]


@pytest.mark.parametrize("n_documents", [1, 2, 5])
def test_few_documents_are_coded_without_error(n_documents: int) -> None:
    vectors = unit_vectors(n_documents, 4, seed=11)
    quantizer = ResidualQuantizer.fit(vectors, 2, 256, seed=0)
    np.testing.assert_allclose(quantizer.decode(quantizer.encode(vectors)), vectors, atol=1e-6)


def test_equal_documents_get_equal_codes() -> None:
    vectors = np.repeat(unit_vectors(1, 4, seed=12), 30, axis=0)
    quantizer = ResidualQuantizer.fit(vectors, 2, 256, seed=0)
    assert np.isfinite(quantizer.codebooks).all()
    assert len(np.unique(quantizer.encode(vectors), axis=0)) == 1


@pytest.mark.parametrize("n_codes", [1, 16, 32, 256])
def test_clamped_codes_can_be_filled(n_codes: int) -> None:
    clamped = [clamped_codes(n_documents, n_codes) for n_documents in range(1, 2001)]
    assert all(1 <= codes <= min(n_codes, n) for n, codes in enumerate(clamped, 1))
    assert all(before <= after for before, after in pairwise(clamped))
    assert clamped[:16] == [min(n, n_codes) for n in range(1, 17)]
    assert clamped[63:] == [min(n // 4, n_codes) for n in range(64, 2001)]


def test_equal_codes_are_told_apart_in_order() -> None:
    codes = as_codes([(0, 0), (0, 1), (0, 0), (0, 0), (0, 1)])
    assert assign_suffixes(codes, as_codes([]), np.zeros(0, dtype=np.int64)).tolist() == [NO_SUFFIX, NO_SUFFIX, 0, 1, 0]


def test_new_documents_follow_the_highest_suffix_taken() -> None:
    taken, suffixes = as_codes([(0, 0), (1, 1)]), np.array([5, NO_SUFFIX])
    assert assign_suffixes(as_codes([(0, 0), (1, 1), (0, 0)]), taken, suffixes).tolist() == [6, 0, 7]


@settings(deadline=None, max_examples=200)
@given(batches=st.lists(st.tuples(st.lists(CODES, max_size=8), st.sets(st.integers(0, 40), max_size=4)), max_size=6))
def test_docids_are_unique_over_batches_and_deletions(batches: list[tuple[list[tuple[int, int]], set[int]]]) -> None:
    codes, suffixes = as_codes([]), np.zeros(0, dtype=np.int64)
    for added, deleted in batches:
        taken = codes.copy(), suffixes.copy()
        new = assign_suffixes(as_codes(added), codes, suffixes)
        assert np.array_equal(codes, taken[0])
        assert np.array_equal(suffixes, taken[1])
        codes, suffixes = np.concatenate([codes, as_codes(added)]), np.concatenate([suffixes, new])
        docids = np.column_stack([codes, suffixes])
        assert len(np.unique(docids, axis=0)) == len(docids)
        assert (suffixes >= NO_SUFFIX).all()
        kept = np.array([row not in deleted for row in range(len(codes))], dtype=np.bool_)
        codes, suffixes = codes[kept], suffixes[kept]


def test_a_code_that_is_not_the_nearest_is_found_and_no_other() -> None:
    rng = np.random.default_rng(31)
    vectors = rng.normal(size=(60, 8)).astype(np.float32)
    quantizer = ResidualQuantizer.fit(vectors, 4, 8, seed=0)
    codes = quantizer.encode(vectors)
    assert quantizer.faults(vectors, codes).tolist() == []
    for row, level in ((0, 0), (17, 2), (59, 3)):
        wrong = codes.copy()
        wrong[row, level] = (wrong[row, level] + 1) % 8
        assert quantizer.faults(vectors, wrong.astype(np.uint8)).tolist() == [row]


def test_the_codes_of_vectors_have_no_faults() -> None:
    vectors = unit_vectors(9000, 8, seed=13)
    quantizer = ResidualQuantizer.fit(vectors[:500], n_levels=3, n_codes=8, seed=14)
    assert quantizer.faults(vectors, quantizer.encode(vectors)).tolist() == []
    assert quantizer.faults(vectors, quantizer.encode(vectors).astype(np.uint8)).tolist() == []
    assert quantizer.faults(vectors[:0], quantizer.encode(vectors[:0])).tolist() == []


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_wrong_code_is_found_whatever_its_level_and_block(level: int) -> None:
    vectors = unit_vectors(9000, 8, seed=15)
    quantizer = ResidualQuantizer.fit(vectors[:500], n_levels=3, n_codes=8, seed=16)
    codes = quantizer.encode(vectors)
    wrong = [0, 17, 8191, 8192, 8999]
    codes[wrong, level] = (codes[wrong, level] + 1 + np.arange(5) % 7) % 8
    assert quantizer.faults(vectors, codes).tolist() == wrong


def test_either_of_two_codes_that_are_equally_near_is_right() -> None:
    codebooks = np.array([[[1, 0], [0, 1], [-1, 0]], [[0.5, 0], [0.5, 0], [9, 9]]], dtype=np.float32)
    vectors = np.repeat(np.array([[0.6, 0.6]], dtype=np.float32), 6, axis=0)
    codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [0, 2]])
    assert ResidualQuantizer(codebooks).faults(vectors, codes).tolist() == [4, 5]


def test_a_refining_level_codes_later_vectors_and_leaves_the_others_alone() -> None:
    old, later = unit_vectors(60, 16, seed=13), unit_vectors(20, 16, seed=14)
    quantizer = ResidualQuantizer.fit(old, 24, 32, seed=0)
    rest = quantizer.residuals(later, quantizer.encode(later))
    np.testing.assert_allclose(rest, later - quantizer.decode(quantizer.encode(later)), atol=1e-6)
    refined = quantizer.refined(rest, seed=1)
    assert refined.refines(quantizer)
    assert not quantizer.refines(refined)
    assert not ResidualQuantizer.fit(later, 25, 32, seed=0).refines(quantizer)
    assert not refined.encode(old)[:, -1].any(), "code 0 adds nothing"
    np.testing.assert_allclose(refined.decode(refined.encode(old)), old, atol=1e-5)
    n_codes = quantizer.n_codes
    assert n_codes == 16
    assert (rest**2).sum() > 0.05 * len(later)
    left = refined.residuals(later, refined.encode(later))
    assert (left**2).sum() < 0.3 * (rest**2).sum()
    assert refined.faults(later, refined.encode(later)).tolist() == []
    few = quantizer.refined(rest[:3], seed=1)
    np.testing.assert_allclose(few.decode(few.encode(later[:3])), later[:3], atol=1e-5)
    assert not few.codebooks[-1, 4:].any(), "codes that no document needs"
