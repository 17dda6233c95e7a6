"""Searching one generation: arguments in, hits out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybridret.allowed import Allowed
from hybridret.errors import InputError
from hybridret.generation import Candidates, Generation
from hybridret.ranking import diversify
from hybridret.types import RETRIEVERS, Detail, Hit, Queries, ScoreArray


def check_search(queries: Sequence[str], k: int, retrievers: Sequence[str], diversity: float) -> None:
    """Checks the arguments of a search.

    Raises:
        InputError: An argument is out of its range.
    """
    if isinstance(queries, str):
        raise InputError("queries must be a list of strings, not one string")
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise InputError(f"k must be a whole number from 1 up, not {k!r}")
    if isinstance(retrievers, str) or not retrievers or len(set(retrievers)) != len(retrievers):
        raise InputError(f"retrievers must be a list of different names, not {retrievers!r}")
    if unknown := [name for name in retrievers if name not in RETRIEVERS]:
        raise InputError(f"unknown retriever {unknown[0]!r}; known are {', '.join(RETRIEVERS)}")
    if not 0.0 <= diversity <= 1.0:
        raise InputError(f"diversity must be from 0 to 1, not {diversity!r}")


def search_rows(
    generation: Generation,
    queries: Queries,
    k: int,
    allowed: Allowed | None,
    names: Sequence[str],
    weights: ScoreArray | None,
    diversity: float,
) -> list[list[tuple[int, Hit]]]:
    """Answers encoded queries on one generation.

    Args:
        generation: The index's state.
        queries: The queries, encoded.
        k: How many hits a query.
        allowed: Rows that may be found; None: all.
        names: The retrievers that take part.
        weights: *Shape:* (n_retrievers,), float64, summing to 1; None: the learned ranker fuses.
        diversity: See ``HybridIndex.search``.

    Returns:
        Rows and hits per query, best first.
    """
    depth = k if len(names) == 1 and not diversity else max(k, generation.config.depth)
    runs = generation.runs(queries, depth, allowed, names)
    pooled = pooled_names(names, weights)
    results = []
    for query, candidates in enumerate(generation.candidates(queries, runs, pooled)):
        if len(names) == 1:
            run = runs[names[0]][query]
            places = np.searchsorted(candidates.rows, run.rows)
        else:
            run, places = generation.fuse(queries.texts[query], candidates, names, weights, depth if diversity else k)
        picked = (
            diversify(run.scores, generation.dense.vectors[run.rows], k, diversity)
            if diversity
            else range(len(run.rows))
        )
        results.append(
            [
                (
                    int(run.rows[at]),
                    Hit(
                        generation.ids[run.rows[at]],
                        float(run.scores[at]),
                        _details(names, candidates, int(places[at])),
                    ),
                )
                for at in picked
            ]
        )
    return results


def pooled_names(names: Sequence[str], weights: ScoreArray | None) -> list[str]:
    """The retrievers whose own candidates are pooled: those with a weight, or those that the ranker looks at."""
    if weights is None:
        return ["dense", "bm25"]
    return [name for name, weight in zip(names, weights, strict=True) if weight > 0]


def _details(names: Sequence[str], candidates: Candidates, place: int) -> dict[str, Detail]:
    scores, ranks = candidates.scores[:, place].tolist(), candidates.ranks[:, place].tolist()
    return {name: Detail(rank or None, score) for name, rank, score in zip(names, ranks, scores, strict=True)}
