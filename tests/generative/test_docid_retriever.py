"""The docid retriever: exhaustive scoring, beam search, and what they mean."""

from __future__ import annotations

import numpy as np
import pytest

from hybridret.allowed import Allowed
from hybridret.docids import ResidualQuantizer
from hybridret.generative import CodeDecoder, DocidRetriever
from hybridret.generative.code_decoder import SCALE
from hybridret.types import BoolArray, FloatArray, IntArray, Queries, Run

N_ROWS, DIMENSION = 400, 8


def unit_vectors(n: int, seed: int) -> FloatArray:
    vectors = np.random.default_rng(seed).normal(size=(n, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def queries(n: int, seed: int) -> Queries:
    return Queries([f"query {number}" for number in range(n)], unit_vectors(n, seed))


@pytest.fixture(scope="module")
def retriever() -> DocidRetriever:
    """400 documents under 3 levels of 8 codes, many of them with equal codes."""
    vectors = unit_vectors(N_ROWS, seed=0)
    vectors[::10] = vectors[0]
    quantizer = ResidualQuantizer.fit(vectors, n_levels=3, n_codes=8, seed=1)
    return DocidRetriever(quantizer).appended(vectors)


@pytest.fixture
def ties() -> IntArray:
    return np.random.default_rng(2).permutation(N_ROWS)


def use_beams(monkeypatch: pytest.MonkeyPatch, n_beams: int) -> None:
    monkeypatch.setattr("hybridret.generative.retriever.EXHAUSTIVE_UP_TO", 0)
    monkeypatch.setattr("hybridret.generative.retriever.N_BEAMS", n_beams)


def assert_same(found: list[Run], expected: list[Run]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.rows.tolist() == other.rows.tolist()
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


@pytest.mark.parametrize("share", [None, 0.5, 0.05])
@pytest.mark.parametrize("k", [1, 10, N_ROWS, 2 * N_ROWS])
def test_beams_for_every_docid_find_what_exhaustive_scoring_finds(
    retriever: DocidRetriever, ties: IntArray, monkeypatch: pytest.MonkeyPatch, share: float | None, k: int
) -> None:
    allowed = None if share is None else np.random.default_rng(3).random(N_ROWS) < share
    exhaustive = retriever.search(queries(20, seed=4), k, None if allowed is None else Allowed(allowed), ties)
    use_beams(monkeypatch, N_ROWS)
    assert_same(
        retriever.search(queries(20, seed=4), k, None if allowed is None else Allowed(allowed), ties), exhaustive
    )
    assert all(len(run.rows) == min(k, N_ROWS if allowed is None else allowed.sum()) for run in exhaustive)


def test_equal_docids_go_by_ties_also_with_fewer_beams_than_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    quantizer = ResidualQuantizer(np.random.default_rng(5).normal(size=(2, 4, DIMENSION)).astype(np.float32))
    retriever = DocidRetriever(quantizer).appended(np.repeat(unit_vectors(1, seed=6), N_ROWS, axis=0))
    ties = np.random.default_rng(7).permutation(N_ROWS)
    exhaustive = retriever.search(queries(1, seed=8), 5, None, ties)
    use_beams(monkeypatch, 10)
    assert_same(retriever.search(queries(1, seed=8), 5, None, ties), exhaustive)


@pytest.mark.parametrize("n_allowed", [0, 1, 7, 50])
def test_few_beams_find_only_allowed_rows_and_k_of_them(
    retriever: DocidRetriever, ties: IntArray, monkeypatch: pytest.MonkeyPatch, n_allowed: int
) -> None:
    allowed: BoolArray = np.zeros(N_ROWS, dtype=np.bool_)
    allowed[np.random.default_rng(9).choice(N_ROWS, n_allowed, replace=False)] = True
    use_beams(monkeypatch, 2)
    for run in retriever.search(queries(30, seed=10), 10, Allowed(allowed), ties):
        assert len(set(run.rows.tolist())) == len(run.rows) == min(10, n_allowed)
        assert allowed[run.rows].all()
        assert (np.diff(run.scores) <= 0).all()


def test_untrained_decoding_is_additive_quantisation_search(retriever: DocidRetriever, ties: IntArray) -> None:
    asked = queries(20, seed=11)
    decoded = retriever.quantizer.decode(retriever.codes).astype(np.float64)
    for vector, run in zip(asked.vectors, retriever.search(asked, N_ROWS, None, ties), strict=True):
        products = np.round(decoded @ vector.astype(np.float64), 9)
        assert run.rows.tolist() == np.lexsort((ties, -products)).tolist()
        log_totals = run.scores - SCALE * products[run.rows]
        np.testing.assert_allclose(log_totals, log_totals[0], atol=1e-3)


def test_score_is_what_search_reports(
    retriever: DocidRetriever, ties: IntArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = queries(5, seed=12)
    for n_beams in (None, N_ROWS):
        if n_beams is not None:
            use_beams(monkeypatch, n_beams)
        runs = retriever.search(asked, 20, None, ties)
        for run, scores in zip(runs, retriever.score(asked, [run.rows for run in runs]), strict=True):
            np.testing.assert_array_equal(scores, run.scores)


def test_filter_does_not_change_scores(retriever: DocidRetriever, ties: IntArray) -> None:
    asked, allowed = queries(1, seed=13), np.arange(N_ROWS) % 3 == 0
    (everything,) = retriever.search(asked, N_ROWS, None, ties)
    (filtered,) = retriever.search(asked, N_ROWS, Allowed(allowed), ties)
    kept = allowed[everything.rows]
    assert filtered.rows.tolist() == everything.rows[kept].tolist()
    assert np.array_equal(filtered.scores, everything.scores[kept])


def test_appending_keeps_the_docids_given_before(retriever: DocidRetriever) -> None:
    grown = retriever.appended(unit_vectors(30, seed=0)).appended(unit_vectors(5, seed=14))
    assert np.array_equal(grown.codes[:N_ROWS], retriever.codes)
    assert np.array_equal(grown.suffixes[:N_ROWS], retriever.suffixes)
    assert [trie.n_leaves for trie in grown.tries] == [N_ROWS, 35]
    assert [trie.n_leaves for trie in retriever.tries] == [len(retriever.codes)] == [N_ROWS]


def test_explanation_sums_to_the_score(retriever: DocidRetriever) -> None:
    asked = queries(1, seed=15)
    for row in (int(np.flatnonzero(retriever.suffixes == -1)[0]), int(np.argmax(retriever.suffixes))):
        path = retriever.explain(asked, row)
        (score,) = retriever.score(asked, [np.array([row])])
        assert sum(step["log_prob"] for step in path) == pytest.approx(float(score[0]))
        suffix = int(retriever.suffixes[row])
        assert [step["code"] for step in path] == [*retriever.codes[row].tolist(), *([] if suffix == -1 else [suffix])]


def test_no_rows_find_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = DocidRetriever(ResidualQuantizer(np.ones((2, 3, DIMENSION), dtype=np.float32)))
    none = np.zeros(0, dtype=np.int64)
    assert [len(run.rows) for run in empty.search(queries(2, seed=16), 5, None, none)] == [0, 0]
    monkeypatch.setattr("hybridret.generative.retriever.EXHAUSTIVE_UP_TO", -1)
    assert [len(run.rows) for run in empty.search(queries(2, seed=16), 5, None, none)] == [0, 0]


def test_stored_docids_and_trie_give_the_same_retriever(
    retriever: DocidRetriever, ties: IntArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [retriever.arrays("docid", 0), retriever.arrays("trie", 0), retriever.arrays("codebooks", 0)]
    read = DocidRetriever(ResidualQuantizer(parts[2]["codebooks"])).joined(parts[0]["codes"], parts[0]["suffixes"])
    read = read.with_base(parts[1])
    assert read.base.stored.order.tolist() == retriever.base.stored.order.tolist()
    use_beams(monkeypatch, 20)
    asked = queries(10, seed=17)
    for one, other in zip(read.search(asked, 10, None, ties), retriever.search(asked, 10, None, ties), strict=True):
        assert (one.rows.tolist(), one.scores.tolist()) == (other.rows.tolist(), other.scores.tolist())


def test_a_stored_trie_may_cover_the_first_rows_alone(
    retriever: DocidRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = retriever.appended(unit_vectors(40, seed=18))
    read = (
        DocidRetriever(retriever.quantizer).joined(grown.codes, grown.suffixes).with_base(retriever.arrays("trie", 0))
    )
    assert [trie.n_leaves for trie in read.tries] == [N_ROWS, 40]
    asked, ties = queries(10, seed=19), np.random.default_rng(20).permutation(N_ROWS + 40)
    exhaustive = grown.search(asked, 30, None, ties)
    use_beams(monkeypatch, N_ROWS + 40)
    assert_same(read.search(asked, 30, None, ties), exhaustive)


@pytest.mark.parametrize("damage", ["short", "long", "reversed", "repeated", "prefixes"])
def test_a_stored_trie_of_other_docids_is_refused(retriever: DocidRetriever, damage: str) -> None:
    arrays = dict(retriever.arrays("trie", 0))
    if damage == "short":
        retriever = retriever.picked(np.arange(N_ROWS - 1))
    elif damage == "long":
        arrays["order"] = arrays["order"][:-1]
    elif damage == "reversed":
        arrays["order"] = arrays["order"][::-1].copy()
    elif damage == "repeated":
        arrays["order"] = np.where(arrays["order"] == 1, 0, arrays["order"]).astype(np.uint32)
    else:
        arrays["lcp"] = np.roll(arrays["lcp"], 1)
    with pytest.raises(ValueError, match=r"stored|there are fewer docids"):
        retriever.with_base(arrays)


@pytest.mark.parametrize(
    ("codes", "suffixes"),
    [
        (np.zeros((2, 2), dtype=np.int64), np.zeros(2, dtype=np.int64)),
        (np.zeros((2, 4), dtype=np.int64), np.zeros(2, dtype=np.int64)),
        (np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)),
        (np.zeros((2, 3), dtype=np.int64), np.zeros(3, dtype=np.int64)),
        (np.full((1, 3), 8), np.full(1, -1)),
        (np.full((1, 3), -1), np.full(1, -1)),
        (np.zeros((1, 3), dtype=np.int64), np.full(1, -2)),
    ],
)
def test_docids_that_do_not_fit_the_codebooks_are_refused(
    retriever: DocidRetriever, codes: IntArray, suffixes: IntArray
) -> None:
    with pytest.raises(ValueError, match="docid"):
        retriever.joined(codes, suffixes)


def test_the_trie_is_shared_while_few_rows_lie_beside_it(
    retriever: DocidRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridret.generative.indexed._DELTA_ROWS", 10)
    base = retriever.base
    few = retriever.appended(unit_vectors(60, seed=21))
    assert few.base is base
    many = few.appended(unit_vectors(60, seed=22))
    assert many.base is not base
    assert [trie.n_leaves for trie in many.tries] == [N_ROWS + 120]
    assert few.base is retriever.base is base


def test_picked_rows_keep_docids_and_scores(retriever: DocidRetriever, ties: IntArray) -> None:
    rows = np.random.default_rng(23).permutation(N_ROWS)[:150]
    picked, asked = retriever.picked(rows), queries(5, seed=24)
    wanted = [np.arange(150)] * 5
    for one, other in zip(picked.score(asked, wanted), retriever.score(asked, [rows] * 5), strict=True):
        assert np.array_equal(one, other)
    expected = retriever.search(asked, 20, Allowed(np.isin(np.arange(N_ROWS), rows)), ties)
    for run, other_run in zip(picked.search(asked, 20, None, ties[rows]), expected, strict=True):
        assert rows[run.rows].tolist() == other_run.rows.tolist()


def test_hits_that_guide_a_search_are_found_by_few_beams_and_scores_stay_the_docids_own(
    retriever: DocidRetriever, ties: IntArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = queries(20, seed=9)
    exhaustive = retriever.search(asked, N_ROWS, None, ties)
    scores = [dict(zip(run.rows.tolist(), run.scores.tolist(), strict=True)) for run in exhaustive]
    hit_rows = [run.rows[[5, 40]] for run in exhaustive]
    guides = [Run(rows, np.array([2.0, 1.0])) for rows in hit_rows]
    use_beams(monkeypatch, 4)
    plain = retriever.search(asked, 4, None, ties)
    guided = retriever.search(asked, 4, None, ties, guides)
    assert any(rows[0] not in run.rows for rows, run in zip(hit_rows, plain, strict=True))
    for rows, run, own in zip(hit_rows, guided, scores, strict=True):
        assert rows[0] in run.rows or run.scores[-1] >= own[int(rows[0])]
        np.testing.assert_allclose(run.scores, [own[row] for row in run.rows.tolist()], atol=1e-4)


def test_guides_change_nothing_where_every_docid_has_a_beam(
    retriever: DocidRetriever, ties: IntArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = queries(5, seed=10)
    exhaustive = retriever.search(asked, 10, None, ties)
    use_beams(monkeypatch, N_ROWS)
    guides = [Run(np.array([7, 3]), np.array([1.0, 0.5])) for _ in asked.texts]
    assert_same(retriever.search(asked, 10, None, ties, guides), exhaustive)


def test_refining_codes_later_rows_as_well_as_the_others() -> None:
    old, new = unit_vectors(40, seed=20), unit_vectors(60, seed=21)
    quantizer = ResidualQuantizer.fit(old, 12, 16, seed=0)
    both = np.concatenate([old, new])
    coarse = DocidRetriever(quantizer, trained=CodeDecoder(quantizer.codebooks)).appended(old).appended(new)
    later = np.arange(100) >= 40
    fine = coarse.refined(both, later, seed=0)
    assert fine.quantizer.n_levels in (13, 14)
    np.testing.assert_array_equal(fine.codes[:, :12], coarse.codes)
    np.testing.assert_array_equal(fine.suffixes, coarse.suffixes)
    for level in fine.quantizer.codebooks[12:]:
        assert not level[0].any()
    np.testing.assert_array_equal(fine.codes, fine.quantizer.encode(both))
    errors = [
        (retriever.quantizer.residuals(both[later], retriever.codes[later]) ** 2).sum(axis=1).mean()
        for retriever in (coarse, fine)
    ]
    assert errors[1] < 0.5 * errors[0]
    assert fine.refined(both, later, seed=0).codes.shape[1] <= fine.codes.shape[1] + 2


def test_documents_like_the_others_refine_nothing() -> None:
    vectors = np.tile(unit_vectors(50, seed=22), (2, 1))
    quantizer = ResidualQuantizer.fit(vectors[:50], 3, 8, seed=0)
    retriever = DocidRetriever(quantizer).appended(vectors)
    assert retriever.refined(vectors, np.arange(100) >= 50, seed=0) is retriever
    assert retriever.refined(vectors, np.ones(100, dtype=np.bool_), seed=0).trained is None
