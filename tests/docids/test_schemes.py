"""What all docid schemes have in common, and what the report says of their codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest

from hybridret.docids import AtomicIds, SchemeName, assign_suffixes, fit_scheme, load_scheme, stacked, usage
from hybridret.errors import InputError
from hybridret.types import Document, FloatArray

NAMES = get_args(SchemeName)
Vectors = Callable[[int, int], FloatArray]


def corpus(n: int, seed: int) -> list[Document]:
    words = np.random.default_rng(seed).choice([f"word{at}" for at in range(50)], size=(n, 12))
    return [Document(f"d{at}", " ".join(own), {"title": " ".join(own[:3])}) for at, own in enumerate(words)]


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_scheme_gives_old_and_new_documents_the_same_docids(
    name: SchemeName, tokenizer: Any, unit_vectors: Vectors
) -> None:
    scheme = fit_scheme(name, unit_vectors(60, 0), corpus(60, 0), seed=1, tokenizer=tokenizer)
    arrays = {key: value.copy() for key, value in scheme.arrays().items()}
    assert all(isinstance(value, np.ndarray) and value.dtype != object for value in arrays.values())
    loaded = load_scheme(name, arrays, tokenizer)
    assert loaded.level_sizes == scheme.level_sizes
    for n, seed in ((60, 0), (20, 2), (0, 3)):
        one = scheme.encode(unit_vectors(n, seed), corpus(n, seed))
        assert one.dtype == np.int64
        assert np.array_equal(loaded.encode(unit_vectors(n, seed), corpus(n, seed)), one)


@pytest.mark.parametrize("name", NAMES)
def test_two_fits_with_one_seed_agree(name: SchemeName, tokenizer: Any, unit_vectors: Vectors) -> None:
    one, other = (fit_scheme(name, unit_vectors(60, 0), corpus(60, 0), 1, tokenizer=tokenizer) for _ in range(2))
    for key, value in one.arrays().items():
        assert np.array_equal(value, other.arrays()[key])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["the same words", ""])
def test_identical_and_empty_documents_are_told_apart_by_suffixes(
    name: SchemeName, text: str, tokenizer: Any, unit_vectors: Vectors
) -> None:
    documents = [Document(f"d{at}", text, {"title": "one"}) for at in range(30)]
    vectors = np.repeat(unit_vectors(1, 4), 30, axis=0)
    scheme = fit_scheme(name, vectors, documents, seed=0, tokenizer=tokenizer)
    docids = scheme.encode(vectors, documents)
    suffixes = assign_suffixes(docids, docids[:0], docids[:0, 0])
    assert len(np.unique(np.column_stack([docids, suffixes]), axis=0)) == 30
    report = usage(docids, scheme.level_sizes)
    assert report.collided == 1
    assert "100% of the documents share their docid with others" in report.problems


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 3])
def test_fewer_documents_than_codes_are_clamped(
    name: SchemeName, n: int, tokenizer: Any, unit_vectors: Vectors
) -> None:
    scheme = fit_scheme(name, unit_vectors(n, 5), corpus(n, 5), 0, n_codes=256, tokenizer=tokenizer)
    assert scheme.level_sizes is None or max(scheme.level_sizes) <= n
    docids = scheme.encode(unit_vectors(n, 5), corpus(n, 5))
    assert len(np.unique(docids, axis=0)) == n


def test_a_new_atomic_document_has_the_token_of_the_nearest_one(unit_vectors: Vectors) -> None:
    known, new = unit_vectors(5, 0), unit_vectors(20, 1)
    scheme = AtomicIds(known)
    assert scheme.level_sizes == (5,)
    assert scheme.encode(known).tolist() == [[0], [1], [2], [3], [4]]
    assert scheme.encode(new)[:, 0].tolist() == [int(np.linalg.norm(known - one, axis=1).argmin()) for one in new]


@pytest.mark.parametrize("name", ["rq", "hierarchical", "atomic"])
def test_vectors_of_another_encoder_are_refused(name: SchemeName, unit_vectors: Vectors) -> None:
    scheme = fit_scheme(name, unit_vectors(20, 0), corpus(20, 0), 0)
    with pytest.raises(InputError, match="fitted to 8 dimensions: another embedding model"):
        scheme.encode(unit_vectors(3, 1)[:, :5], corpus(3, 1))


ODD: dict[str, Callable[[Any], Any]] = {
    "missing": lambda array: None,
    "of another type": lambda array: array.astype(np.float16),
    "not a number": lambda array: np.full_like(array, np.nan) if array.dtype.kind == "f" else None,
    "shorter": lambda array: array[:-1] if array.dtype == np.int64 else None,
    "negative": lambda array: -array - 1 if array.dtype == np.int64 else None,
    "huge": lambda array: array * 0 + 2**62 if array.dtype == np.int64 and len(array) > 3 else None,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ODD)
def test_arrays_that_are_no_scheme_are_refused(
    name: SchemeName, how: str, tokenizer: Any, unit_vectors: Vectors
) -> None:
    arrays = fit_scheme(name, unit_vectors(60, 0), corpus(60, 0), seed=1, tokenizer=tokenizer).arrays()
    for key, array in arrays.items():
        odd = ODD[how](array)
        if odd is not None or how == "missing":
            left = {other: kept for other, kept in arrays.items() if other != key}
            with pytest.raises((KeyError, ValueError)):
                load_scheme(name, left if odd is None else {**left, key: odd}, tokenizer)


def test_levels_and_codes_are_as_asked(unit_vectors: Vectors) -> None:
    scheme = fit_scheme("rq", unit_vectors(100, 0), corpus(100, 0), 0, n_levels=3, n_codes=8)
    assert scheme.level_sizes == (8, 8, 8)
    tree = fit_scheme("hierarchical", unit_vectors(100, 0), corpus(100, 0), 0, n_levels=2, n_codes=8)
    assert tree.level_sizes == (8, 8)


def test_narrow_tables_are_filled_up_to_the_widest() -> None:
    assert stacked([np.array([[1, 2, 3]]), np.array([[4], [5]])]).tolist() == [[1, 2, 3], [4, -1, -1], [5, -1, -1]]


def test_healthy_codebooks_have_no_problems(unit_vectors: Vectors) -> None:
    vectors = unit_vectors(500, 6)
    scheme = fit_scheme("rq", vectors, corpus(500, 6), 0, n_levels=6, n_codes=16)
    report = usage(scheme.encode(vectors, []), scheme.level_sizes)
    assert report.problems == ()
    assert min(report.perplexity) > 8
    assert report.attainable == (16,) * 6
    assert report.dead == (0,) * 6


def test_a_collapsed_and_an_unbalanced_codebook_are_reported() -> None:
    rng = np.random.default_rng(7)
    collapsed = np.where(rng.random(1000) < 0.001, rng.integers(0, 32, 1000), 3)
    unbalanced = np.where(rng.random(1000) < 0.5, rng.integers(0, 32, 1000), 3)
    report = usage(np.column_stack([rng.integers(0, 32, 1000), collapsed, unbalanced]), (32, 32, 32))
    assert [problem.split(":")[0] for problem in report.problems[:2]] == [
        "codebook 1 is collapsed",
        "codebook 2 is unbalanced",
    ]


def test_perplexity_is_the_exponential_of_the_entropy() -> None:
    docids = np.array([[0, 0], [0, -1], [1, -1], [2, -1]])
    report = usage(docids, (4, 2))
    entropy = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25))
    assert report.perplexity == pytest.approx((math.exp(entropy), 1.0))
    assert (report.attainable, report.dead, report.n_documents) == ((4, 1), (1, 1), 4)


def test_collisions_are_the_documents_with_the_docid_of_another() -> None:
    docids = np.array([[0, 1], [0, 1], [1, 1], [2, 0], [1, 0]], dtype=np.uint8)
    assert usage(docids, None).collided == pytest.approx(2 / 5)
    assert usage(docids[:0], (3, 2)).collided == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "magic"}, "unknown docid scheme 'magic'; known are rq"),
        ({"documents": []}, "not 0, 3"),
        ({"documents": [], "vectors": np.zeros((0, 8), dtype=np.float32)}, "not 0, 0"),
        ({"name": "keyword"}, "hand in its tokenizer"),
        (
            {"vectors": np.array([[0.0], [np.nan], [1.0]], dtype=np.float32)},
            "the vector of document 'd1' is not finite",
        ),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], problem: str, unit_vectors: Vectors) -> None:
    given = {"name": "rq", "vectors": unit_vectors(3, 0), "documents": corpus(3, 0), "seed": 0} | change
    with pytest.raises(InputError, match=problem):
        fit_scheme(**given)


def test_loading_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(InputError, match="unknown docid scheme"):
        load_scheme("magic", {})  # type: ignore[arg-type]
