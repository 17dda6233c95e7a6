"""The prefix tree of all docids, as sorted rows.

Sort the docids lexicographically, a shorter one before those it begins. A node is then a contiguous range of leaves,
and the tree is a few flat arrays per level, which all operations read by gathering.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybridret.types import BoolArray, IntArray

END = -1
"""The token that fills docids up to the longest one's length; as an edge it means that the docid has ended."""


class Level(NamedTuple):
    """The nodes at one depth, in lexicographic order.

    Attributes:
        tokens: *Shape:* (n_nodes,), int64, the token on the edge that leads to the node.
        starts: *Shape:* (n_nodes + 1,), int64, where each node's range of leaves starts; the last is the leaf count.
        children: *Shape:* (n_nodes + 1,), int64, where each node's children start in the next level.
    """

    tokens: IntArray
    starts: IntArray
    children: IntArray


class Trie:
    """A prefix tree over docids.

    Args:
        docids: *Shape:* (n_documents, longest), int64, token rows, ended ones filled up with ``END``. Unique rows.

    Raises:
        ValueError: Two rows are equal, or a token follows ``END``.
    """

    def __init__(self, docids: IntArray) -> None:
        n, depth = docids.shape
        if n and depth and ((docids[:, :-1] == END) & (docids[:, 1:] != END)).any():
            raise ValueError("a token follows END in a docid")
        self.rows: IntArray = np.lexsort(docids.T[::-1]).astype(np.int64) if depth else np.arange(n)
        self.depth = depth
        ordered = docids[self.rows]
        is_new = np.zeros(n, dtype=np.bool_)
        is_new[:1] = True
        starts = [np.array([0] if n else [], dtype=np.int64)]
        for level in range(depth):
            is_new[1:] |= ordered[1:, level] != ordered[:-1, level]
            starts.append(np.flatnonzero(is_new))
        if n and not is_new.all():
            raise ValueError("two docids are equal")
        self.levels = [
            Level(
                ordered[starts[level], level - 1] if level else np.zeros(len(starts[0]), dtype=np.int64),
                np.append(starts[level], n),
                np.searchsorted(starts[min(level + 1, depth)], np.append(starts[level], n)),
            )
            for level in range(depth + 1)
        ]

    @property
    def n_leaves(self) -> int:
        """The number of docids."""
        return len(self.rows)

    def alive_before(self, allowed: BoolArray | None) -> IntArray | None:
        """Counts allowed leaves before each leaf: a node is alive where the count grows over its range.

        Args:
            allowed: *Shape:* (n_documents,), by row; None allows all.

        Returns:
            *Shape:* (n_leaves + 1,), int64; None where all are allowed.
        """
        if allowed is None:
            return None
        return np.concatenate([[0], np.cumsum(allowed[self.rows], dtype=np.int64)])
