"""The trie as sorted rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.decoding import END, Trie
from hybridret.types import IntArray

DOCIDS = st.sets(st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple), min_size=1, max_size=30)


def padded(docids: list[tuple[int, ...]], longest: int) -> IntArray:
    return np.array([[*docid, *[END] * (longest - len(docid))] for docid in docids], dtype=np.int64)


def test_shorter_docid_comes_before_those_it_begins() -> None:
    trie = Trie(padded([(1, 2, 0), (1,), (0, 3), (1, 2)], longest=3))
    assert trie.rows.tolist() == [2, 1, 3, 0]
    assert trie.levels[1].tokens.tolist() == [0, 1]
    assert trie.levels[2].tokens.tolist() == [3, END, 2]
    assert trie.levels[3].tokens.tolist() == [END, END, END, 0]


@settings(deadline=None, max_examples=200)
@given(docids=DOCIDS, seed=st.integers(0, 1000))
def test_nodes_are_the_distinct_prefixes(docids: set[tuple[int, ...]], seed: int) -> None:
    rows = sorted(docids)
    np.random.default_rng(seed).shuffle(rows)
    table = padded(rows, longest=4)
    trie = Trie(table)
    ordered = sorted(table.tolist())
    assert table[trie.rows].tolist() == ordered
    assert trie.n_leaves == len(docids)
    for depth, level in enumerate(trie.levels):
        prefixes = sorted({tuple(docid[:depth]) for docid in ordered})
        assert level.starts.tolist() == [
            *(
                next(leaf for leaf, docid in enumerate(ordered) if tuple(docid[:depth]) == prefix)
                for prefix in prefixes
            ),
            len(ordered),
        ]
        assert level.tokens.tolist() == [prefix[-1] if prefix else 0 for prefix in prefixes]
        if depth < trie.depth:
            longer = sorted({tuple(docid[: depth + 1]) for docid in ordered})
            for node, prefix in enumerate(prefixes):
                children = longer[level.children[node] : level.children[node + 1]]
                assert children == [child for child in longer if child[:depth] == prefix]


def test_alive_before_counts_allowed_leaves() -> None:
    trie = Trie(padded([(2,), (0,), (1,)], longest=1))
    assert trie.alive_before(np.array([True, False, True])).tolist() == [0, 0, 1, 2]
    assert trie.alive_before(None) is None


@pytest.mark.parametrize("docids", [[(1, 2), (1, 2)], [(1,), (0, 1), (1,)], [(), ()]])
def test_equal_docids_are_rejected(docids: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="two docids are equal"):
        Trie(padded(docids, longest=2))


@pytest.mark.parametrize("docid", [[1, END, 2], [END, 0, 0], [END, END, 3]])
def test_token_after_the_end_is_rejected(docid: list[int]) -> None:
    with pytest.raises(ValueError, match="follows END"):
        Trie(np.array([[1, 2, 3], docid]))


def test_no_docids_make_an_empty_trie() -> None:
    trie = Trie(np.zeros((0, 3), dtype=np.int64))
    assert trie.n_leaves == 0
    assert trie.alive_before(np.zeros(0, dtype=np.bool_)).tolist() == [0]


def test_docids_given_are_not_changed() -> None:
    table = padded([(1, 2), (0,), (1,)], longest=2)
    kept = table.copy()
    Trie(table)
    assert np.array_equal(table, kept)
