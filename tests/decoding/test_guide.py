"""Guided beam search against a slow one that looks at every docid below a prefix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.decoding import END, Guide, Trie, beam_search
from hybridret.types import BoolArray, IntArray, Run, ScoreArray


def random_docids(rng: np.random.Generator, n: int, n_codes: int, depth: int) -> IntArray:
    """Unique docids of different lengths in random order."""
    found = {tuple(rng.integers(0, n_codes, rng.integers(1, depth + 1)).tolist()) for _ in range(n)}
    return rng.permutation(np.array([[*docid, *[END] * (depth - len(docid))] for docid in sorted(found)]))


def slow_guided_search(
    docids: IntArray, tables: ScoreArray, bonus: dict[int, float], n_beams: int, allowed: BoolArray | None
) -> dict[int, float]:
    """Rows and unguided scores; log-probabilities are by level and token. *Shape of tables:* (depth, n_codes)."""
    paths = {tuple(docid): row for row, docid in enumerate(docids.tolist()) if allowed is None or allowed[row]}
    beams: list[tuple[float, tuple[int, ...]]] = [(0.0, ())] if paths else []

    def worth(beam: tuple[float, tuple[int, ...]]) -> float:
        score, prefix = beam
        return score + max(bonus.get(row, 0.0) for path, row in paths.items() if path[: len(prefix)] == prefix)

    for level in range(docids.shape[1]):
        grown = {}
        for score, prefix in beams:
            for path in paths:
                if path[:level] == prefix:
                    gain = 0.0 if path[level] == END else tables[level, path[level]]
                    grown[path[: level + 1]] = score + gain
        beams = sorted(((score, prefix) for prefix, score in grown.items()), key=lambda beam: -worth(beam))
        beams = beams[: len(beams) if level + 1 == docids.shape[1] else n_beams]
    return {paths[path]: score for score, path in sorted(beams, reverse=True)[:n_beams]}


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 40),
    n_codes=st.integers(1, 6),
    depth=st.integers(1, 4),
    n_beams=st.integers(1, 6),
    n_hits=st.integers(0, 8),
    share=st.sampled_from([None, 0.3, 0.8]),
    split=st.sampled_from([None, 0.0, 0.3, 0.7]),
)
def test_guided_search_is_the_slow_one(
    seed: int, n: int, n_codes: int, depth: int, n_beams: int, n_hits: int, share: float | None, split: float | None
) -> None:
    rng = np.random.default_rng(seed)
    docids = random_docids(rng, n, n_codes, depth)
    n = len(docids)
    allowed = None if share is None else rng.random(n) < share
    tables = -5 * rng.random((3, depth, n_codes))
    rows = np.array([rng.permutation(np.append(np.arange(n), [-1] * n_hits))[:n_hits] for _ in range(3)])
    bonus = rng.random((3, n_hits)) * 5
    tries = [Trie(docids)]
    if split is not None:
        n_base = round(split * n)
        tries = [Trie(docids[:n_base]), Trie(docids[n_base:], first_row=n_base)]
    runs = beam_search(
        *(tries, lambda level, *_: tables[:, level, None], 3, n_beams),
        *([trie.alive_before(allowed) for trie in tries], np.arange(n), Guide(rows.astype(np.int64), bonus)),
    )
    for run, table, own_rows, own_bonus in zip(runs, tables, rows, bonus, strict=True):
        given_bonus = dict(zip(own_rows.tolist(), own_bonus.tolist(), strict=True))
        expected = slow_guided_search(docids, table, given_bonus, n_beams, allowed)
        assert run.rows.tolist() == list(expected)
        np.testing.assert_allclose(run.scores, list(expected.values()))


def test_a_docid_with_an_unlikely_beginning_is_reached_and_reported_unguided() -> None:
    docids = np.array([[0, 0], [1, 0], [2, 1]])
    tables = np.log([[[0.6, 0.3, 0.1]], [[0.01, 0.99, 0.0001]]])
    trie = Trie(docids)

    def found(guide: Guide | None) -> Run:
        return beam_search([trie], lambda level, *_: tables[level][None], 1, 1, [None], np.arange(3), guide)[0]

    assert found(None).rows.tolist() == [0]
    guided = found(Guide(np.array([[2]]), np.array([[3.0]])))
    assert guided.rows.tolist() == [2]
    np.testing.assert_allclose(guided.scores, [np.log(0.1) + np.log(0.99)])


def test_the_bonus_falls_from_the_best_hit_to_the_last() -> None:
    runs = [
        Run(np.array([4, 2, 7]), np.array([0.9, 0.6, 0.4])),
        Run(np.array([1]), np.array([0.3])),
        Run(np.zeros(0, dtype=np.int64), np.zeros(0)),
    ]
    guide = Guide.of_runs(runs, 10.0)
    assert guide.rows.tolist() == [[4, 2, 7], [1, -1, -1], [-1, -1, -1]]
    np.testing.assert_allclose(guide.bonus, [[10, 10 * (0.6 - 0.4) / (0.9 - 0.4), 0], [10, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("rows", "bonus"), [([[0]], [[-1.0]]), ([[0]], [[np.nan]]), ([[0]], [[1.0, 2.0]])], ids=["low", "nan", "shape"]
)
def test_a_bonus_below_zero_is_refused(rows: list[list[int]], bonus: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="one bonus from 0 up"):
        beam_search(
            *([Trie(np.array([[0]]))], lambda *_: None, 1, 1, [None], np.arange(1)),
            Guide(np.array(rows), np.array(bonus)),
        )
