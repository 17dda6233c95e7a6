"""Tries of disjoint documents, walked as if they were one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hybridret.decoding.guide import Guide, Peaks
from hybridret.decoding.trie import Children, Leaves, Trie
from hybridret.types import BoolArray, IntArray, ScoreArray

_TOKEN_BITS = 32
_TOKEN_MASK = (1 << _TOKEN_BITS) - 1
_LAST = np.iinfo(np.int64).max


class Branches(NamedTuple):
    """Prefixes that continue others by one token, in the order of those others and then of their tokens.

    Attributes:
        fanout: *Shape:* (n_prefixes,), int64, how many prefixes continue each one.
        tokens: *Shape:* (n_branches,), int64, by which token.
        children: The living children in each trie, of which these are the union.
        keys: What ``_keys`` gives for the union and then for each trie's children; nothing where there is one trie.
    """

    fanout: IntArray
    tokens: IntArray
    children: list[Children]
    keys: list[IntArray]

    def owners(self, branches: IntArray) -> IntArray:
        """Which prefix each of some branches continues. *Shape:* as that of ``branches``, int64."""
        return np.searchsorted(np.cumsum(self.fanout), branches, side="right")

    def nodes(self, branches: IntArray) -> Leaves:
        """The nodes of some branches, empty in a trie without them. *Shape:* (n_tries, 2, *that of ``branches``)."""
        if not self.keys:
            return self.children[0].nodes[None, :, branches]
        wanted = self.keys[0][branches]
        found = np.zeros((len(self.children), 2, *branches.shape), dtype=np.uint32)
        for children, keys, nodes in zip(self.children, self.keys[1:], found, strict=True):
            place, is_there = _places(keys, wanted)
            nodes[:, is_there] = children.nodes[:, place[is_there]]
        return found


class Forest:
    """Tries walked together; those without a living leaf are left out.

    Args:
        tries: Tries of equal depth over disjoint rows, no docid of one being in another.
        alive: What ``alive_before`` of each trie gave.
        guide: Documents towards which the walk is guided.

    Raises:
        ValueError: There is no trie, they differ in depth, the counts are not theirs, or a bonus is below 0.
    """

    def __init__(self, tries: Sequence[Trie], alive: Sequence[IntArray | None], guide: Guide | None = None) -> None:
        if len({trie.depth for trie in tries}) != 1:
            raise ValueError("there is no trie, or they differ in depth")
        if len(alive) != len(tries):
            raise ValueError("there are not as many counts of living leaves as tries")
        for trie, counts in zip(tries, alive, strict=True):
            if counts is not None and counts.shape != (trie.n_leaves + 1,):
                raise ValueError("the counts of living leaves are not those of the trie")
        self.depth = tries[0].depth
        self._living = [
            (trie, counts)
            for trie, counts in zip(tries, alive, strict=True)
            if (trie.n_leaves if counts is None else counts[-1])
        ]
        self._peaks = None if guide is None else [Peaks(guide, trie, counts) for trie, counts in self._living]

    @property
    def n_leaves(self) -> int:
        """How many leaves there are, dead ones among living ones included."""
        return sum(trie.n_leaves for trie, _ in self._living)

    def roots(self) -> Leaves:
        """The node of the empty prefix. *Shape:* (n_tries, 2, 1), uint32."""
        return np.array([[[0], [trie.n_leaves]] for trie, _ in self._living], dtype=np.uint32)

    def branches(self, level: int, nodes: Leaves) -> Branches:
        """Continues prefixes by all tokens that lead to a living leaf. *Shape:* (n_tries, 2, n_prefixes)."""
        children = [
            _living(trie.children(level, own), alive) for (trie, alive), own in zip(self._living, nodes, strict=True)
        ]
        if len(children) == 1:
            return Branches(children[0].fanout, children[0].tokens, children, [])
        keys = [_keys(own) for own in children]
        union, fanout = keys[0], children[0].fanout
        for own in keys[1:]:
            place, is_there = _places(union, own)
            new = np.flatnonzero(~is_there)
            fanout = fanout + np.bincount(own[new] >> _TOKEN_BITS, minlength=len(fanout))
            union = np.insert(union, place[new], own[new])
        return Branches(fanout, (union[:-1] & _TOKEN_MASK) - 1, children, [union, *keys])

    def bonus(self, branches: Branches, queries: IntArray) -> ScoreArray | None:
        """The highest bonus below each branch; None where the walk is not guided.

        Args:
            branches: Some branches.
            queries: *Shape:* (n_prefixes,), int64, the query of each prefix that they continue.

        Returns:
            *Shape:* (n_branches,), float64.
        """
        if self._peaks is None:
            return None
        queries = np.repeat(queries, branches.fanout)
        nodes = branches.nodes(np.arange(len(queries)))
        highest = np.zeros(len(queries))
        for peaks, own in zip(self._peaks, nodes, strict=True):
            highest = np.maximum(highest, peaks.highest(queries, own))
        return highest

    def straight(self, level: int, nodes: Leaves) -> IntArray:
        """The tokens by which all prefixes continue before any of them branches, dead branches included.

        *Shapes:* (n_tries, 2, n_prefixes) to (n_levels, n_prefixes), int64; ``n_levels`` is 0 where one branches here.
        """
        paths = np.zeros((nodes.shape[2], self.depth - level), dtype=np.int64)
        if any(trie.is_branching(level, own) for (trie, _), own in zip(self._living, nodes, strict=True)):
            return paths.T[:0]
        ends = []
        for (trie, _), (first, end) in zip(self._living, nodes, strict=True):
            n_leaves = end - first
            for has, leaves in ((n_leaves > 0, first), (n_leaves > 1, end - np.uint32(1))):
                chosen = np.flatnonzero(has)
                ends.append((chosen, trie.paths(level, leaves[chosen])))
        for chosen, path in ends:
            paths[chosen] = path
        branching = np.zeros(self.depth - level, dtype=np.bool_)
        for chosen, path in ends:
            branching |= (path != paths[chosen]).any(axis=0)
        n_levels = branching.argmax() if branching.any() else len(branching)
        return np.ascontiguousarray(paths.T[:n_levels])

    def rows(self, nodes: Leaves) -> IntArray:
        """The document of each whole docid. *Shapes:* (n_tries, 2, *any) to that of the rest, int64."""
        rows = np.zeros(nodes.shape[2:], dtype=np.int64)
        for (trie, _), (first, end) in zip(self._living, nodes, strict=True):
            rows = np.where(first < end, trie.rows(first), rows)
        return rows


def _living(children: Children, alive: IntArray | None) -> Children:
    """Leaves out the children without a living leaf."""
    if alive is None:
        return children
    kept = np.flatnonzero(alive[children.nodes[1]] > alive[children.nodes[0]])
    starts = np.searchsorted(kept, np.append(0, np.cumsum(children.fanout)))
    return Children(np.diff(starts), children.tokens[kept], children.nodes[:, kept])


def _keys(children: Children) -> IntArray:
    """Numbers that sort children by owner and then by token, and a last one. *Shape:* (n_children + 1,), int64."""
    owners = np.arange(1, 1 + (len(children.fanout) << _TOKEN_BITS), 1 << _TOKEN_BITS)
    keys = np.full(len(children.tokens) + 1, _LAST)
    np.add(np.repeat(owners, children.fanout), children.tokens, out=keys[:-1])
    return keys


def _places(keys: IntArray, wanted: IntArray) -> tuple[IntArray, BoolArray]:
    """Where keys have the wanted ones, or would have them, and whether they do."""
    place = np.searchsorted(keys, wanted)
    return place, keys[place] == wanted
