"""The prefix tree of docids, as sorted rows.

Sort the docids lexicographically, a shorter one before those it begins. A node is then a contiguous range of leaves.
Its children begin at the first leaf and at each further one that has exactly the node's prefix in common with the leaf
before it. So every leaf but the very first is kept in the list of one level, and a deep tree takes no more than a flat
one.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybridret.types import BoolArray, IntArray

Codes: TypeAlias = NDArray[np.integer[Any]]
Leaves: TypeAlias = NDArray[np.uint32]

END = -1
"""The token that fills docids up to the longest one's length; as an edge it means that the docid has ended."""

MAX_TOKEN = 2**31 - 1
"""The highest token."""


class Stored(NamedTuple):
    """What a trie is made from without sorting.

    Attributes:
        order: *Shape:* (n_leaves,), uint32, the docid of each leaf, by its position among the trie's docids.
        lcp: *Shape:* (n_leaves,), uint8, or uint16 for docids of more than 255 tokens, the length of the prefix that
            each leaf has in common with the one before it; 0 for the first.
    """

    order: Leaves
    lcp: Codes


class Children(NamedTuple):
    """Children of some nodes, in the order of their parents and then of their tokens.

    Attributes:
        fanout: *Shape:* (n_nodes,), int64, how many children each of the nodes has.
        tokens: *Shape:* (n_children,), int64, the token on the edge that leads to each child.
        nodes: *Shape:* (2, n_children), uint32, first leaf and end of each child.
    """

    fanout: IntArray
    tokens: IntArray
    nodes: Leaves


class Trie:
    """A prefix tree over docids.

    The docids stay the caller's: they are read, not copied, as long as the trie lives, and must not change. Beside them
    a trie takes about 10 bytes a document. A node is a range of leaves, given as its first leaf and its end, the one
    after its last; an empty range stands for no node.

    Args:
        docids: *Shape:* (n_documents, n_tokens), any integer type, token rows, ended ones filled up with ``END``; a
            type without sign serves where no docid ends early. Unique rows.
        suffixes: *Shape:* (n_documents,), any integer type, a last token or ``END`` for each docid, kept apart so that
            ``docids`` can be of a narrower type; it tells equal docids apart, those that have ended too. None: the
            docids are whole.
        first_row: The row of the first document; those of the others follow.
        stored: What ``stored`` gave of a trie over the same docids: then nothing is sorted.

    Raises:
        ValueError: Two docids are equal, a token follows ``END`` or is out of range, or ``stored`` is of other docids.
    """

    def __init__(
        self, docids: Codes, suffixes: Codes | None = None, first_row: int = 0, stored: Stored | None = None
    ) -> None:
        self.first_row = first_row
        self._docids, self._suffixes = docids, suffixes
        self._columns: list[Codes] = [*docids.T] if suffixes is None else [*docids.T, suffixes]
        _check_tokens(self._columns, len(docids), n_free=0 if suffixes is None else 1)
        self._order = _sorted(self._columns, len(docids)) if stored is None else _checked(stored.order, len(docids))
        self._find_splits()
        if stored is not None and not np.array_equal(stored.lcp, self.stored.lcp):
            raise ValueError("the stored prefix lengths are not those of the docids")

    def _find_splits(self) -> None:
        """Lists per level the leaves that first differ there from the one before, and their tokens there.

        Each list begins with a 0 that is no such leaf: every node then has an entry before those inside its range.
        """
        self._splits: list[Leaves] = []
        self._tokens: list[Codes] = []
        leaves = np.arange(1, self.n_leaves, dtype=np.uint32)
        for column in self._columns:
            here, before = column[self._order[leaves]], column[self._order[leaves - 1]]
            if (here < before).any():
                raise ValueError("the stored order is not that of the docids")
            splits = here > before
            tokens = np.append(0, here[splits])
            self._splits.append(np.append(np.uint32(0), leaves[splits]))
            self._tokens.append(tokens.astype(np.min_scalar_type(tokens.max())))
            leaves = leaves[~splits]
        if len(leaves):
            raise ValueError("two docids are equal")

    @property
    def n_leaves(self) -> int:
        """The number of docids."""
        return len(self._order)

    @property
    def depth(self) -> int:
        """The number of tokens of a docid, those included that fill it up."""
        return len(self._columns)

    @property
    def nbytes(self) -> int:
        """Bytes that the trie takes beside the docids."""
        return self._order.nbytes + sum(part.nbytes for part in [*self._splits, *self._tokens])

    @property
    def stored(self) -> Stored:
        """What makes the trie again without sorting."""
        lcp = np.zeros(self.n_leaves, dtype=np.min_scalar_type(self.depth))
        for level, splits in enumerate(self._splits):
            lcp[splits[1:]] = level
        return Stored(self._order, lcp)

    def rows(self, leaves: Leaves) -> IntArray:
        """The documents of leaves. *Shape:* as that of ``leaves``, int64."""
        return self._order[leaves].astype(np.int64) + self.first_row

    @cached_property
    def _leaf_of(self) -> Leaves:
        """Where each docid stands in the order; made where a search is guided, 4 bytes a document more."""
        inverse = np.empty_like(self._order)
        inverse[self._order] = np.arange(self.n_leaves, dtype=np.uint32)
        return inverse

    def leaves(self, rows: IntArray) -> IntArray:
        """The leaves of documents. *Shape:* as that of ``rows``, int64."""
        return self._leaf_of[rows - self.first_row].astype(np.int64)

    def paths(self, level: int, leaves: Leaves) -> IntArray:
        """The docids of leaves from a level on. *Shape:* (n_leaves, depth - level), int64."""
        chosen = self._order[leaves]
        paths = np.empty((len(chosen), self.depth), dtype=np.int64)
        paths[:, : self._docids.shape[1]] = self._docids.take(chosen, axis=0)
        if self._suffixes is not None:
            paths[:, -1] = self._suffixes[chosen]
        return paths[:, level:]

    def is_branching(self, level: int, nodes: Leaves) -> bool:
        """Whether any of some nodes has more than one child; arguments as in ``children``."""
        low, high = np.searchsorted(self._splits[level], nodes, side="right")
        return bool((low < high).any())

    def children(self, level: int, nodes: Leaves) -> Children:
        """Lists the children of nodes.

        Args:
            level: How many tokens lead to the nodes; less than ``depth``.
            nodes: *Shape:* (2, n_nodes), uint32, first leaf and end of each; an empty range has no children.
        """
        first, end = nodes
        low, high = np.searchsorted(self._splits[level], nodes, side="right")
        fanout = high - low + (first < end)
        has_child = np.flatnonzero(fanout)
        after = np.cumsum(fanout)
        eldest, youngest = (after - fanout)[has_child], after[has_child] - 1
        entry = np.arange(fanout.sum()) + np.repeat(low - 1 - after + fanout, fanout)
        tokens = self._tokens[level].take(entry).astype(np.int64)
        tokens[eldest] = self._columns[level][self._order[first[has_child]]]
        found = np.empty((2, len(entry)), dtype=np.uint32)
        found[0] = self._splits[level].take(entry)
        found[0, eldest] = first[has_child]
        found[1, :-1] = found[0, 1:]
        found[1, youngest] = end[has_child]
        return Children(fanout, tokens, found)

    def alive_before(self, allowed: BoolArray | None) -> IntArray | None:
        """Counts allowed leaves before each leaf: a node is alive where the count grows over its range.

        Args:
            allowed: *Shape:* (n_rows,), by row, the rows of other tries included; None allows all.

        Returns:
            *Shape:* (n_leaves + 1,), int64; None where all are allowed.
        """
        if allowed is None:
            return None
        own = allowed[self.first_row : self.first_row + self.n_leaves]
        return np.concatenate([[0], np.cumsum(own[self._order], dtype=np.int64)])


def _check_tokens(columns: list[Codes], n_documents: int, n_free: int) -> None:
    """Checks all columns; the last ``n_free`` ones may have tokens after ``END``."""
    has_ended = np.zeros(n_documents, dtype=np.bool_)
    for level, column in enumerate(columns):
        if column.shape != (n_documents,) or column.dtype.kind not in "iu":
            raise ValueError("docids are not one integer a document and level")
        if ((column < END) | (column > MAX_TOKEN)).any():
            raise ValueError(f"a token is not from {END} to {MAX_TOKEN}")
        is_end = column == END
        if level < len(columns) - n_free and (has_ended & ~is_end).any():
            raise ValueError("a token follows END in a docid")
        has_ended = is_end


def _sorted(columns: list[Codes], n_documents: int) -> Leaves:
    order = np.lexsort(columns[::-1]) if columns else np.arange(n_documents)
    return order.astype(np.uint32)


def _checked(order: Codes, n_documents: int) -> Leaves:
    seen = np.zeros(n_documents, dtype=np.bool_)
    if order.shape == seen.shape and order.dtype.kind in "iu" and ((order >= 0) & (order < n_documents)).all():
        seen[order] = True
    if not seen.all():
        raise ValueError("the stored order is no permutation of the docids")
    return order.astype(np.uint32, copy=False)
