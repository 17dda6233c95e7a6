"""What the retrievers say of the rows that they found together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybridret.types import BoolArray, IntArray, Run, ScoreArray, Scores


class Candidates(NamedTuple):
    """What the retrievers say of one query's candidates.

    Attributes:
        rows: *Shape:* (n_candidates,), int64, ascending.
        scores: *Shape:* (n_retrievers, n_candidates), float64, each retriever's score of each candidate.
        is_floor: *Shape:* (n_retrievers, n_candidates), bool, scores that stand for ones that were not worked out.
        ranks: *Shape:* (n_retrievers, n_candidates), int64, from 1; 0 where a retriever did not return it.
    """

    rows: IntArray
    scores: ScoreArray
    is_floor: BoolArray
    ranks: IntArray


def assembled(pools: list[IntArray], runs: dict[str, list[Run]], scores: dict[str, list[Scores]]) -> list[Candidates]:
    """Puts together what retrievers say of pooled rows, in the order of the runs."""
    return [
        Candidates(
            pool,
            np.array([scores[name][query].values for name in runs]),
            np.array([scores[name][query].is_floor for name in runs]),
            np.array([_ranks(pool, runs[name][query].rows) for name in runs]),
        )
        for query, pool in enumerate(pools)
    ]


def _ranks(pool: IntArray, found: IntArray) -> IntArray:
    """The place of each pooled row in a run, from 1; 0 where it is not in it. *Shapes:* (n_pool,), (n_found,)."""
    ranks = np.zeros(len(pool), dtype=np.int64)
    if len(pool):
        at = np.minimum(np.searchsorted(pool, found), len(pool) - 1)
        inside = pool[at] == found
        ranks[at[inside]] = np.flatnonzero(inside) + 1
    return ranks
