"""The trie as sorted rows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.decoding import END, Stored, Trie
from hybridret.types import IntArray

DOCIDS = st.sets(st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple), min_size=1, max_size=30)
DEPTH = 4


def padded(docids: list[tuple[int, ...]], longest: int) -> IntArray:
    return np.array([[*docid, *[END] * (longest - len(docid))] for docid in docids], dtype=np.int64)


def shuffled(docids: set[tuple[int, ...]], seed: int) -> IntArray:
    rows = sorted(docids)
    np.random.default_rng(seed).shuffle(rows)
    return padded(rows, DEPTH)


def leaf_rows(trie: Trie) -> list[int]:
    rows: list[int] = trie.rows(np.arange(trie.n_leaves, dtype=np.uint32)).tolist()
    return rows


def walked(trie: Trie) -> dict[int, list[tuple[list[int], int, int]]]:
    """The prefix, first leaf and end of all nodes of each level, as the trie gives them from the root on."""
    nodes = np.array([[0], [trie.n_leaves]], dtype=np.uint32)
    prefixes: list[list[int]] = [[]]
    found = {0: [([], 0, trie.n_leaves)]}
    for level in range(trie.depth):
        fanout, tokens, nodes = trie.children(level, nodes)
        owners = np.repeat(np.arange(len(fanout)), fanout)
        prefixes = [[*prefixes[owner], token] for owner, token in zip(owners, tokens.tolist(), strict=True)]
        found[level + 1] = list(zip(prefixes, *nodes.tolist(), strict=True))
    return found


def same(one: Trie, other: Trie) -> bool:
    return (
        all(np.array_equal(left, right) for left, right in zip(one.stored, other.stored, strict=True))
        and all(left.dtype == right.dtype for left, right in zip(one.stored, other.stored, strict=True))
        and walked(one) == walked(other)
        and leaf_rows(one) == leaf_rows(other)
    )


def test_shorter_docid_comes_before_those_it_begins() -> None:
    trie = Trie(padded([(1, 2, 0), (1,), (0, 3), (1, 2)], longest=3))
    assert leaf_rows(trie) == [2, 1, 3, 0]
    assert walked(trie) == {
        0: [([], 0, 4)],
        1: [([0], 0, 1), ([1], 1, 4)],
        2: [([0, 3], 0, 1), ([1, END], 1, 2), ([1, 2], 2, 4)],
        3: [([0, 3, END], 0, 1), ([1, END, END], 1, 2), ([1, 2, END], 2, 3), ([1, 2, 0], 3, 4)],
    }


@settings(deadline=None, max_examples=200)
@given(docids=DOCIDS, seed=st.integers(0, 1000))
def test_nodes_are_the_distinct_prefixes(docids: set[tuple[int, ...]], seed: int) -> None:
    table = shuffled(docids, seed)
    trie = Trie(table)
    ordered = sorted(table.tolist())
    assert table[leaf_rows(trie)].tolist() == ordered
    assert (trie.n_leaves, trie.depth) == (len(docids), DEPTH)
    for depth, nodes in walked(trie).items():
        prefixes = [docid[:depth] for docid in ordered]
        assert [prefix for prefix, _, _ in nodes] == sorted({tuple(prefix): prefix for prefix in prefixes}.values())
        for prefix, first, end in nodes:
            assert prefixes[first:end] == [prefix] * prefixes.count(prefix)


@settings(deadline=None, max_examples=100)
@given(docids=DOCIDS, seed=st.integers(0, 1000), level=st.integers(0, DEPTH - 1))
def test_any_nodes_of_a_level_can_be_asked_for_children(docids: set[tuple[int, ...]], seed: int, level: int) -> None:
    trie = Trie(shuffled(docids, seed))
    levels = walked(trie)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(levels[level]), rng.integers(0, 8)).tolist()
    nodes = [levels[level][node] for node in chosen]
    asked = np.array([[0, 0], *([first, end] for _, first, end in nodes), [0, 0]], dtype=np.uint32).T
    expected = [[child for child in levels[level + 1] if child[0][:level] == prefix] for prefix, _, _ in nodes]
    fanout, tokens, found = trie.children(level, asked)
    assert fanout.tolist() == [0, *map(len, expected), 0]
    assert tokens.tolist() == [prefix[-1] for children in expected for prefix, _, _ in children]
    assert found.T.tolist() == [[first, end] for children in expected for _, first, end in children]
    assert trie.is_branching(level, asked) == any(len(children) > 1 for children in expected)


@settings(deadline=None, max_examples=50)
@given(docids=DOCIDS, seed=st.integers(0, 1000), level=st.integers(0, DEPTH))
def test_paths_are_the_docids_of_leaves(docids: set[tuple[int, ...]], seed: int, level: int) -> None:
    table = shuffled(docids, seed)
    ordered = np.array(sorted(table.tolist()))
    leaves = np.random.default_rng(seed).integers(0, len(docids), 6).astype(np.uint32)
    assert np.array_equal(Trie(table).paths(level, leaves), ordered[leaves, level:])
    assert np.array_equal(Trie(table[:, :-1], table[:, -1]).paths(level, leaves), ordered[leaves, level:])


@settings(deadline=None, max_examples=100)
@given(docids=DOCIDS, seed=st.integers(0, 1000))
def test_a_stored_trie_is_the_same_trie(docids: set[tuple[int, ...]], seed: int) -> None:
    table = shuffled(docids, seed)
    trie = Trie(table, first_row=seed)
    assert (trie.stored.order.dtype, trie.stored.lcp.dtype) == (np.uint32, np.uint8)
    assert same(Trie(table, first_row=seed, stored=trie.stored), trie)
    assert sorted(leaf_rows(trie)) == list(range(seed, seed + len(docids)))
    ordered = table[trie.stored.order].tolist()
    common = [
        max(length for length in range(DEPTH) if one[:length] == other[:length]) for one, other in pairwise(ordered)
    ]
    assert trie.stored.lcp.tolist() == [0, *common]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint64])
def test_the_type_of_the_docids_and_where_the_last_token_stands_change_nothing(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    codes = np.unique(rng.integers(0, [2, 3, 256, 256], (500, 4)), axis=0)
    codes, suffixes = np.repeat(codes, 2, axis=0), np.tile([END, 70_000], len(codes))
    order = rng.permutation(len(codes))
    codes, suffixes = codes[order], suffixes[order]
    whole = Trie(np.column_stack([codes, suffixes]))
    narrow = Trie(codes.astype(dtype), suffixes.astype(np.int32))
    assert same(narrow, whole)
    assert same(Trie(codes.astype(dtype), suffixes.astype(np.int32), stored=whole.stored), whole)
    assert same(Trie(np.asfortranarray(codes), suffixes), whole)


def test_prefixes_of_more_than_255_tokens_are_stored() -> None:
    table = np.zeros((3, 300), dtype=np.uint8)
    table[1, 299] = table[2, 280] = 1
    trie = Trie(table)
    assert (trie.stored.lcp.tolist(), trie.stored.lcp.dtype) == ([0, 299, 280], np.uint16)
    assert same(Trie(table, stored=trie.stored), trie)


TABLE = padded([(1, 2, 0), (1,), (0, 3), (1, 2), (2, 1), (2, 2)], longest=3)
ORDER, LCP = Trie(TABLE).stored


@pytest.mark.parametrize(
    "order",
    [
        ORDER[:-1],
        np.append(ORDER, 0),
        np.append(ORDER[:-1], ORDER[0]),
        np.append(ORDER[:-1], 6),
        ORDER.astype(np.int64) - 1,
        ORDER.astype(np.float64),
        ORDER[None],
    ],
    ids=["short", "long", "twice", "beyond", "negative", "float", "matrix"],
)
def test_an_order_that_is_no_permutation_is_refused(order: Any) -> None:
    with pytest.raises(ValueError, match="no permutation"):
        Trie(TABLE, stored=Stored(order, LCP))


def test_an_order_that_does_not_sort_is_refused() -> None:
    for one in range(len(ORDER)):
        for other in range(one):
            damaged = ORDER.copy()
            damaged[[one, other]] = ORDER[[other, one]]
            with pytest.raises(ValueError, match="stored order"):
                Trie(TABLE, stored=Stored(damaged, LCP))


def test_wrong_prefix_lengths_are_refused() -> None:
    for leaf in range(len(LCP)):
        damaged = LCP.copy()
        damaged[leaf] ^= 1
        with pytest.raises(ValueError, match="prefix lengths"):
            Trie(TABLE, stored=Stored(ORDER, damaged))
    for lcp in (LCP[:-1], np.append(LCP, 0), LCP[None]):
        with pytest.raises(ValueError, match="prefix lengths"):
            Trie(TABLE, stored=Stored(ORDER, lcp))


def test_what_was_stored_of_other_docids_is_refused() -> None:
    with pytest.raises(ValueError, match="stored"):
        Trie(TABLE[::-1], stored=Stored(ORDER, LCP))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_a_hundred_thousand_docids_take_less_than_60_bytes_each_beside_the_docids(dtype: Any) -> None:
    n = 100_000
    codes = np.random.default_rng(0).integers(0, 256, (n, 16)).astype(dtype)
    suffixes = np.full(n, END, dtype=np.int32)
    trie = Trie(codes, suffixes)
    kept = [part for value in vars(trie).values() for part in (value if isinstance(value, list) else [value])]
    own = [part for part in kept if isinstance(part, np.ndarray) and not shares_memory(part, codes, suffixes)]
    assert sum(part.nbytes for part in own) == trie.nbytes
    assert trie.nbytes <= 60 * n
    assert all(array.nbytes <= 5 * n for array in trie.stored)


def shares_memory(part: Any, *arrays: Any) -> bool:
    return any(np.may_share_memory(part, array) for array in arrays)


def test_alive_before_counts_allowed_leaves() -> None:
    table = padded([(2,), (0,), (1,)], longest=1)
    allowed = np.array([False, True, False, True, True])
    assert Trie(table).alive_before(allowed).tolist() == [0, 1, 1, 1]
    assert Trie(table, first_row=2).alive_before(allowed).tolist() == [0, 1, 2, 2]
    assert Trie(table).alive_before(None) is None


@pytest.mark.parametrize("docids", [[(1, 2), (1, 2)], [(1,), (0, 1), (1,)], [(), ()]])
def test_equal_docids_are_rejected(docids: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="two docids are equal"):
        Trie(padded(docids, longest=2))


@pytest.mark.parametrize("docid", [[1, END, 2], [END, 0, 0], [END, END, 3]])
def test_token_after_the_end_is_rejected(docid: list[int]) -> None:
    table = np.array([[1, 2, 3], docid])
    with pytest.raises(ValueError, match="follows END"):
        Trie(table)


def test_a_suffix_may_follow_the_end() -> None:
    docids, suffixes = np.array([[1, 2], [1, END], [1, END], [1, END]]), np.array([END, 1, END, 0])
    trie = Trie(docids, suffixes)
    assert leaf_rows(trie) == [2, 3, 1, 0]
    assert same(Trie(docids, suffixes, stored=trie.stored), trie)
    with pytest.raises(ValueError, match="follows END"):
        Trie(docids[:, ::-1], suffixes)


@pytest.mark.parametrize("token", [-2, 2**31])
def test_a_token_out_of_range_is_rejected(token: int) -> None:
    with pytest.raises(ValueError, match="a token is not from"):
        Trie(np.array([[1, 2], [1, token]]))


@pytest.mark.parametrize("suffixes", [np.zeros(2, dtype=np.int64), np.zeros(3), np.zeros((3, 1), dtype=np.int64)])
def test_suffixes_that_are_not_one_integer_a_docid_are_rejected(suffixes: Any) -> None:
    with pytest.raises(ValueError, match="one integer"):
        Trie(np.array([[1], [2], [3]]), suffixes)


def test_no_docids_make_an_empty_trie() -> None:
    table = np.zeros((0, 3), dtype=np.int64)
    trie = Trie(table)
    assert trie.n_leaves == 0
    assert trie.alive_before(np.zeros(0, dtype=np.bool_)).tolist() == [0]
    assert same(Trie(table, stored=trie.stored), trie)


def test_docids_given_are_not_changed() -> None:
    table = padded([(1, 2), (0,), (1,)], longest=2)
    kept = table.copy()
    Trie(table)
    assert np.array_equal(table, kept)
