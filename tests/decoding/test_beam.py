"""Beam search against plain-Python oracles: exhaustive scoring, and a slow beam search."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.decoding import END, LogProbs, Trie, beam_search
from hybridret.types import BoolArray, IntArray, Run

_MASK = 2**64 - 1
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mixed(value: int) -> int:
    """A pseudo-random 64-bit number (splitmix64)."""
    value = (value + _STEP) & _MASK
    value = ((value ^ (value >> 30)) * _FIRST) & _MASK
    value = ((value ^ (value >> 27)) * _SECOND) & _MASK
    return value ^ (value >> 31)


def mixed_array(values: np.ndarray) -> np.ndarray:
    """The same of each uint64 in an array."""
    values = values + np.uint64(_STEP)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_FIRST)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_SECOND)
    return values ^ (values >> np.uint64(31))


class Model(NamedTuple):
    """Random log-probabilities, no two alike, that depend on the query and the whole prefix."""

    seed: int
    n_codes: int
    unscored_level: int | None = None

    def state(self, query: int, prefix: tuple[int, ...]) -> int:
        state = mixed(self.seed * 1000 + query)
        for token in prefix:
            state = mixed(state ^ (token + 2))
        return state

    def gain(self, query: int, prefix: tuple[int, ...], token: int) -> float:
        if token == END or len(prefix) == self.unscored_level:
            return 0.0
        return -5.0 * (mixed(self.state(query, prefix) ^ (1000 + token)) / 2**64)

    def score(self, query: int, docid: tuple[int, ...]) -> float:
        return sum(self.gain(query, docid[:level], token) for level, token in enumerate(docid))

    def step(self, n_queries: int) -> Callable[[int, IntArray, IntArray], LogProbs | None]:
        """A step that knows each beam's prefix only through ``parents``."""
        states = np.array([[self.state(query, ())] for query in range(n_queries)], dtype=np.uint64)

        def scored(level: int, tokens: IntArray, parents: IntArray) -> LogProbs | None:
            nonlocal states
            if level:
                inherited = np.take_along_axis(states, parents, axis=1)
                states = mixed_array(inherited ^ (tokens + 2).astype(np.uint64))
            if level == self.unscored_level:
                return None
            codes = np.arange(1000, 1000 + self.n_codes, dtype=np.uint64)
            return -5.0 * (mixed_array(states[:, :, None] ^ codes) / 2.0**64)

        return scored

    def ahead(self, n_queries: int) -> tuple[Any, Any]:
        """A step, and one that scores several levels by calling it."""
        step = self.step(n_queries)

        def scored(level: int, tokens: IntArray, parents: IntArray, paths: IntArray) -> LogProbs:
            gains = np.zeros(paths.shape)
            own = np.tile(np.arange(tokens.shape[1]), (n_queries, 1))
            for at, path in enumerate(paths):
                log_probs = step(level + at, tokens, parents)
                if log_probs is not None:
                    picked = np.take_along_axis(log_probs, np.maximum(path, 0)[..., None], axis=2)[..., 0]
                    gains[at] = np.where(path == END, 0.0, picked)
                tokens, parents = path, own
            return gains

        return step, scored


def random_docids(rng: np.random.Generator, n: int, n_codes: int, depth: int) -> IntArray:
    """Unique docids of different lengths, many with shared prefixes; at most ``n``, at least one."""
    found: dict[tuple[int, ...], None] = {}
    for _ in range(n):
        docid = tuple(rng.integers(0, n_codes, rng.integers(1, depth + 1)).tolist())
        if found and rng.random() < 0.5:
            known = list(found)[rng.integers(len(found))]
            docid = (known[: rng.integers(0, len(known) + 1)] + docid)[:depth]
        found[docid] = None
    return np.array([[*docid, *[END] * (depth - len(docid))] for docid in found], dtype=np.int64)


def allowed_rows(rng: np.random.Generator, n: int, share: float | None) -> BoolArray | None:
    return None if share is None else rng.random(n) < share


def halves(docids: IntArray, n_base: int) -> list[Trie]:
    """A trie of the first rows and one of the others."""
    return [Trie(docids[:n_base]), Trie(docids[n_base:], first_row=n_base)]


def search(
    tries: list[Trie], model: Model, n_queries: int, n_beams: int, allowed: BoolArray | None, ties: IntArray
) -> list[Run]:
    alive = [trie.alive_before(allowed) for trie in tries]
    return beam_search(tries, model.step(n_queries), n_queries, n_beams, alive, ties)


def exhaustive(
    docids: IntArray, model: Model, query: int, allowed: BoolArray | None, ties: IntArray
) -> list[tuple[int, float]]:
    """All allowed rows with their scores, best first."""
    rows = [row for row in range(len(docids)) if allowed is None or allowed[row]]
    scores = {row: model.score(query, tuple(docids[row].tolist())) for row in rows}
    return [(row, scores[row]) for row in sorted(rows, key=lambda row: (-scores[row], ties[row]))]


def slow_beam_search(
    docids: IntArray, model: Model, query: int, n_beams: int, allowed: BoolArray | None
) -> list[tuple[int, float]]:
    """Beam search with tuples and sets."""
    paths = {tuple(docid): row for row, docid in enumerate(docids.tolist()) if allowed is None or allowed[row]}
    beams: list[tuple[float, tuple[int, ...]]] = [(0.0, ())] if paths else []
    for level in range(docids.shape[1]):
        legal = {path[: level + 1] for path in paths}
        grown = [
            (score + model.gain(query, prefix, token), (*prefix, token))
            for score, prefix in beams
            for token in range(END, model.n_codes)
            if (*prefix, token) in legal
        ]
        beams = sorted(grown, reverse=True)[:n_beams]
    return [(paths[path], score) for score, path in beams]


def tries_over(docids: IntArray, split: float | None) -> list[Trie]:
    """One trie, or a base of this share of the docids and a delta of the others."""
    return [Trie(docids)] if split is None else halves(docids, round(split * len(docids)))


def assert_same(run: Run, expected: list[tuple[int, float]]) -> None:
    assert run.rows.tolist() == [row for row, _ in expected]
    np.testing.assert_allclose(run.scores, [score for _, score in expected], atol=1e-4)


CASES = {
    "seed": st.integers(0, 10**6),
    "n": st.integers(1, 40),
    "n_codes": st.integers(1, 6),
    "depth": st.integers(1, 5),
    "share": st.sampled_from([None, None, 0.0, 0.1, 0.5, 1.0]),
    "split": st.sampled_from([None, 0.0, 0.1, 0.5, 0.9, 1.0]),
}


@settings(deadline=None, max_examples=200)
@given(**CASES, spare=st.integers(0, 50), last_scored=st.booleans())
def test_beams_for_every_docid_give_exhaustive_scoring(
    seed: int,
    n: int,
    n_codes: int,
    depth: int,
    share: float | None,
    split: float | None,
    spare: int,
    last_scored: bool,
) -> None:
    rng = np.random.default_rng(seed)
    docids = random_docids(rng, n, n_codes, depth)
    allowed, ties = allowed_rows(rng, len(docids), share), rng.permutation(len(docids))
    model = Model(seed, n_codes, None if last_scored else depth - 1)
    runs = search(tries_over(docids, split), model, 3, len(docids) + spare, allowed, ties)
    for query, run in enumerate(runs):
        assert_same(run, exhaustive(docids, model, query, allowed, ties))


@settings(deadline=None, max_examples=200)
@given(**CASES, n_beams=st.integers(1, 12))
def test_few_beams_give_a_slow_beam_search(
    seed: int, n: int, n_codes: int, depth: int, share: float | None, split: float | None, n_beams: int
) -> None:
    rng = np.random.default_rng(seed)
    docids = random_docids(rng, n, n_codes, depth)
    allowed, ties = allowed_rows(rng, len(docids), share), rng.permutation(len(docids))
    model = Model(seed, n_codes)
    runs = search(tries_over(docids, split), model, 3, n_beams, allowed, ties)
    for query, run in enumerate(runs):
        assert_same(run, slow_beam_search(docids, model, query, n_beams, allowed))


@settings(deadline=None, max_examples=200)
@given(**CASES, n_beams=st.integers(1, 12))
def test_looking_ahead_changes_nothing(
    seed: int, n: int, n_codes: int, depth: int, share: float | None, split: float | None, n_beams: int
) -> None:
    rng = np.random.default_rng(seed)
    docids = random_docids(rng, n, n_codes, depth)
    allowed, ties = allowed_rows(rng, len(docids), share), rng.permutation(len(docids))
    tries, model = tries_over(docids, split), Model(seed, n_codes, depth - 1 if seed % 2 else None)
    step, ahead = model.ahead(3)
    found = beam_search(tries, step, 3, n_beams, [trie.alive_before(allowed) for trie in tries], ties, ahead=ahead)
    for run, other in zip(found, search(tries, model, 3, n_beams, allowed, ties), strict=True):
        assert run.rows.tolist() == other.rows.tolist()
        np.testing.assert_allclose(run.scores, other.scores)


def test_ten_thousand_searches_find_no_illegal_docid() -> None:
    illegal = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        n_codes, n_beams = int(rng.integers(2, 12)), int(rng.integers(1, 30))
        docids = random_docids(rng, int(rng.integers(1, 300)), n_codes, int(rng.integers(1, 7)))
        share, split = [None, 0.02, 0.2, 0.8][seed % 4], [None, 0.5, 0.9][seed % 3]
        allowed = allowed_rows(rng, len(docids), share)
        legal = set(range(len(docids)) if allowed is None else np.flatnonzero(allowed).tolist())
        ties = rng.permutation(len(docids))
        runs = search(tries_over(docids, split), Model(seed, n_codes), 100, n_beams, allowed, ties)
        assert len(runs) == 100
        for run in runs:
            rows = run.rows.tolist()
            illegal += len(set(rows) - legal)
            assert len(rows) == len(set(rows)) == min(n_beams, len(legal))
            assert (np.diff(run.scores) <= 0).all()
    assert illegal == 0


def test_allowed_rows_are_found_however_unlikely_their_prefixes() -> None:
    docids = np.array([[first, second] for first in range(20) for second in range(20)])
    unlikely = np.zeros(400, dtype=np.bool_)
    unlikely[[395, 396, 397, 398, 399]] = True
    log_probs = np.log(np.linspace(1, 0.01, 20))[None, None]
    trie = Trie(docids)
    (run,) = beam_search([trie], lambda *_: log_probs, 1, 5, [trie.alive_before(unlikely)], np.arange(400))
    assert run.rows.tolist() == [395, 396, 397, 398, 399]


def test_score_is_the_sum_of_log_probabilities_along_the_docid() -> None:
    docids = np.array([[0, 1], [1, END]])
    tables = [np.log([[[0.7, 0.3]]]), np.log([[[0.4, 0.6]]])]
    (run,) = beam_search([Trie(docids)], lambda level, *_: tables[level], 1, 2, [None], np.arange(2))
    assert run.rows.tolist() == [0, 1]
    np.testing.assert_allclose(run.scores, [math.log(0.7) + math.log(0.6), math.log(0.3)])


def test_shared_log_probs_equal_the_same_for_each_beam() -> None:
    rng = np.random.default_rng(0)
    docids = random_docids(rng, 100, 5, 4)
    tables = np.log(rng.dirichlet(np.ones(5), size=(4, 7))).astype(np.float32)
    trie, ties = Trie(docids), np.arange(len(docids))
    shared = beam_search([trie], lambda level, *_: tables[level][:, None], 7, 6, [None], ties)
    each = beam_search(
        [trie],
        lambda level, tokens, _: np.repeat(tables[level][:, None], tokens.shape[1], axis=1),
        *(7, 6, [None], ties),
    )
    for one, other in zip(shared, each, strict=True):
        assert np.array_equal(one.rows, other.rows)
        assert np.array_equal(one.scores, other.scores)


def test_equal_scores_go_by_ties() -> None:
    ties = np.array([3, 0, 4, 1, 2])
    docids = np.column_stack([np.zeros(5, dtype=np.int64), np.arange(-1, 4)])
    (run,) = beam_search([Trie(docids)], lambda *_: None, 1, 5, [None], ties)
    assert run.rows.tolist() == np.argsort(ties).tolist()


def test_equal_scores_go_by_ties_also_where_the_cut_runs_through_them() -> None:
    ties = np.random.default_rng(1).permutation(300)
    docids = np.column_stack([np.zeros(300, dtype=np.int64), np.arange(-1, 299)])
    (run,) = beam_search([Trie(docids)], lambda *_: None, 1, 10, [None], ties)
    assert run.rows.tolist() == np.argsort(ties)[:10].tolist()


@pytest.mark.parametrize("allowed", [None, np.array([True]), np.array([False])])
def test_one_document(allowed: BoolArray | None) -> None:
    log_probs = np.log([[[0.25, 0.75]]])
    trie = Trie(np.array([[1, 0]]))
    (run,) = beam_search([trie], lambda *_: log_probs, 1, 100, [trie.alive_before(allowed)], np.arange(1))
    if allowed is not None and not allowed[0]:
        assert len(run.rows) == 0
    else:
        assert_same(run, [(0, math.log(0.75) + math.log(0.25))])


def test_no_documents_no_queries_and_no_beams_find_nothing() -> None:
    empty, trie = Trie(np.zeros((0, 1), dtype=np.int64)), Trie(np.array([[1]]))
    for tries in ([empty], [empty, empty]):
        runs = beam_search(tries, lambda *_: None, 2, 5, [None] * len(tries), np.arange(0))
        assert [len(run.rows) for run in runs] == [0, 0]
    assert beam_search([trie], lambda *_: np.zeros((0, 1, 2)), 0, 5, [None], np.arange(1)) == []
    (run,) = beam_search([trie], lambda *_: None, 1, 0, [None], np.arange(1))
    assert len(run.rows) == 0


def recorded(
    tries: list[Trie],
    model: Model,
    n_beams: int,
    allowed: BoolArray | None,
    ties: IntArray,
    never: float,
    coarse: bool,
) -> tuple[list[Run], list[tuple[int, list[list[int]], list[list[int]]]]]:
    """What a search of 3 queries finds and what it asks of a model.

    ``never`` is the share of tokens whose log-probability is -inf; the others', if ``coarse``, are whole numbers.
    """
    calls = []
    model_step = model.step(3)

    def step(level: int, tokens: IntArray, parents: IntArray) -> LogProbs | None:
        calls.append((level, tokens.tolist(), parents.tolist()))
        log_probs = model_step(level, tokens, parents)
        if log_probs is None:
            return None
        return np.where(log_probs < -5 * (1 - never), -np.inf, np.round(log_probs) if coarse else log_probs)

    alive = [trie.alive_before(allowed) for trie in tries]
    return beam_search(tries, step, 3, n_beams, alive, ties), calls


@settings(deadline=None, max_examples=300)
@given(
    **CASES,
    n_beams=st.sampled_from([1, 2, 3, 5, 8, 100]),
    never=st.sampled_from([0.0, 0.0, 0.2, 0.7]),
    coarse=st.booleans(),
)
def test_a_base_and_a_delta_are_searched_as_one_trie(
    seed: int,
    n: int,
    n_codes: int,
    depth: int,
    share: float | None,
    split: float | None,
    n_beams: int,
    never: float,
    coarse: bool,
) -> None:
    rng = np.random.default_rng(seed)
    docids = rng.permutation(random_docids(rng, n, n_codes, depth))
    allowed, ties = allowed_rows(rng, len(docids), share), rng.permutation(len(docids))
    model = Model(seed, n_codes)
    together = recorded([Trie(docids)], model, n_beams, allowed, ties, never, coarse)
    apart = recorded(tries_over(docids, 0.3 if split is None else split), model, n_beams, allowed, ties, never, coarse)
    assert apart[1] == together[1]
    for one, other in zip(apart[0], together[0], strict=True):
        assert np.array_equal(one.rows, other.rows)
        assert np.array_equal(one.scores, other.scores)


@pytest.mark.parametrize("n_base", [0, 1, 150, 299, 300])
@pytest.mark.parametrize("filtered", ["none", "base", "delta", "both"])
def test_a_side_may_be_empty_or_filtered_away(n_base: int, filtered: str) -> None:
    rng = np.random.default_rng(3)
    docids = np.unique(rng.integers(0, 5, (500, 5)), axis=0)[:300]
    docids, ties = rng.permutation(docids), rng.permutation(300)
    allowed = np.ones(300, dtype=np.bool_)
    allowed[:n_base] = filtered not in ("base", "both")
    allowed[n_base:] = filtered not in ("delta", "both")
    model = Model(4, 5)
    for run, other in zip(
        search(halves(docids, n_base), model, 4, 7, allowed, ties),
        search([Trie(docids)], model, 4, 7, allowed, ties),
        strict=True,
    ):
        assert np.array_equal(run.rows, other.rows)
        assert np.array_equal(run.scores, other.scores)
        assert len(run.rows) == min(7, allowed.sum())


def test_codes_of_bytes_with_suffixes_are_searched_as_base_and_delta() -> None:
    rng = np.random.default_rng(5)
    codes = np.repeat(rng.integers(0, [2, 3, 256, 256], (400, 4)), rng.integers(1, 4, 400), axis=0)
    known: Counter[bytes] = Counter()
    suffixes = np.empty(len(codes), dtype=np.int64)
    for row, code in enumerate(codes):
        suffixes[row] = known[code.tobytes()] - 1
        known[code.tobytes()] += 1
    order, ties = rng.permutation(len(codes)), rng.permutation(len(codes))
    codes, suffixes = codes[order], suffixes[order]
    n_base = len(codes) - 50
    narrow, last = codes.astype(np.uint8), suffixes.astype(np.int16)
    pair = [Trie(narrow[:n_base], last[:n_base]), Trie(narrow[n_base:], last[n_base:], first_row=n_base)]
    model = Model(6, 256, 4)
    for run, other in zip(
        search(pair, model, 2, 40, None, ties),
        search([Trie(np.column_stack([codes, suffixes]))], model, 2, 40, None, ties),
        strict=True,
    ):
        assert np.array_equal(run.rows, other.rows)
        assert np.array_equal(run.scores, other.scores)


@pytest.mark.parametrize("n_base", [0, 1, 2, 3])
def test_a_beam_of_score_minus_infinity_ends_and_the_others_close_up(n_base: int) -> None:
    docids = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2]])
    calls = []

    def step(level: int, tokens: IntArray, parents: IntArray) -> LogProbs:
        calls.append((tokens.tolist(), parents.tolist()))
        return np.array([[[math.log(0.5), -np.inf if level == 1 else math.log(0.2), math.log(0.3)]]])

    (run,) = beam_search(halves(docids, n_base), step, 1, 3, [None, None], np.arange(3))
    assert calls == [([[END]], [[0]]), ([[0, 1, 2]], [[0, 0, 0]]), ([[0, END, 2]], [[0, 0, 2]]), ([[0, 2]], [[0, 2]])]
    assert_same(run, [(0, 4 * math.log(0.5)), (2, 4 * math.log(0.3))])


def test_equal_scores_at_the_cut_of_a_level_keep_the_first_prefixes() -> None:
    docids = np.array([[first, second, third] for first in range(4) for second in range(4) for third in range(4)])
    docids = np.random.default_rng(7).permutation(docids)
    kept: list[list[int]] = []

    def step(level: int, tokens: IntArray, parents: IntArray) -> None:
        kept.append(tokens[0].tolist())

    beam_search([Trie(docids)], step, 1, 6, [None], np.arange(64))
    assert kept == [[END], [0, 1, 2, 3], [0, 1, 2, 3, 0, 1]]


def test_what_does_not_fit_together_is_an_error() -> None:
    trie, ties = Trie(np.array([[1, 2], [1, 3]])), np.arange(2)
    deeper = Trie(np.array([[1, 2, 3]]), first_row=2)
    for tries, alive, message in (
        ([], [], "no trie"),
        ([trie, deeper], [None, None], "differ in depth"),
        ([trie], [None, None], "counts"),
        ([trie, trie], [None], "counts"),
        ([trie], [np.arange(2)], "counts"),
    ):
        with pytest.raises(ValueError, match=message):
            beam_search(tries, lambda *_: None, 1, 5, alive, ties)
    for shape in ((1, 1, 3), (1, 3, 4), (2, 1, 4)):
        with pytest.raises(ValueError, match="log-probabilities"):
            beam_search([trie], lambda *_, shape=shape: np.zeros(shape), 1, 5, [None], ties)
