"""Guided decoding: which beams to spare because documents below them look good from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hybridret.decoding.trie import Leaves, Trie
from hybridret.types import IntArray, Run, ScoreArray


class Guide(NamedTuple):
    """Documents towards which a search is guided.

    A beam is pruned by its score plus the highest bonus of a document below it, so that a docid with an unlikely
    beginning is still reached; what is reported stays the score alone. Zeng et al., "Planning Ahead in Generative
    Retrieval", SIGIR 2024, section 3.2.

    Attributes:
        rows: *Shape:* (n_queries, n_hits), int64; -1 where a query has fewer.
        bonus: *Shape:* (n_queries, n_hits), float64, from 0 up, in units of log-probability.
    """

    rows: IntArray
    bonus: ScoreArray

    @classmethod
    def of_runs(cls, runs: Sequence[Run], scale: float) -> Guide:
        """Guides towards another retriever's hits.

        Args:
            runs: One a query.
            scale: What a query's best hit has as bonus; the others have proportionally less, the last one 0.

        Returns:
            The guide.
        """
        width = max((len(run.rows) for run in runs), default=0)
        guide = cls(np.full((len(runs), width), -1, dtype=np.int64), np.zeros((len(runs), width)))
        for rows, bonus, run in zip(guide.rows, guide.bonus, runs, strict=True):
            rows[: len(run.rows)] = run.rows
            if len(run.rows):
                low, high = run.scores[-1], run.scores[0]
                bonus[: len(run.rows)] = scale * ((run.scores - low) / (high - low) if high > low else 1.0)
        return guide


class Peaks:
    """The bonuses of one trie's leaves, looked up by node.

    Args:
        guide: The documents; those of other tries are left out.
        trie: The trie.
        alive: What its ``alive_before`` gave: a document that may not be found guides nowhere.

    Raises:
        ValueError: A bonus is negative or not a number, or the guide's shapes differ.
    """

    def __init__(self, guide: Guide, trie: Trie, alive: IntArray | None) -> None:
        if guide.rows.shape != guide.bonus.shape or not (guide.bonus >= 0).all():
            raise ValueError("a guide has one bonus from 0 up for each row")
        queries, hits = np.nonzero((guide.rows >= trie.first_row) & (guide.rows < trie.first_row + trie.n_leaves))
        leaves = trie.leaves(guide.rows[queries, hits])
        if alive is not None:
            living = np.flatnonzero(alive[leaves + 1] > alive[leaves])
            queries, hits, leaves = queries[living], hits[living], leaves[living]
        self._n_leaves = trie.n_leaves
        keys = queries * self._n_leaves + leaves
        order = np.argsort(keys)
        self._keys = keys[order]
        self._bonus = np.append(guide.bonus[queries, hits][order], 0.0)

    def highest(self, queries: IntArray, nodes: Leaves) -> ScoreArray:
        """The highest bonus below each node, 0 where there is none.

        Args:
            queries: *Shape:* (n_nodes,), int64, whose bonuses to look at.
            nodes: *Shape:* (2, n_nodes), uint32, first leaf and end of each.

        Returns:
            *Shape:* (n_nodes,), float64.
        """
        first, end = np.searchsorted(self._keys, queries * self._n_leaves + nodes.astype(np.int64))
        if not len(first):
            return np.zeros(0)
        highest: ScoreArray = np.maximum.reduceat(self._bonus, np.column_stack([first, end]).ravel())[::2]
        return np.where(first < end, highest, 0.0)
