"""Searching one generation: arguments in, hits out, also where a retriever fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np

from hybridret.allowed import Allowed
from hybridret.candidates import Candidates, assembled
from hybridret.errors import InputError, RetrievalError
from hybridret.generation import Generation
from hybridret.guard import GUIDING, SCORING, SEARCHING, Asked, Budget, ask
from hybridret.ranking import diversify
from hybridret.types import RETRIEVERS, Detail, Hit, IntArray, Queries, Run, ScoreArray, Scores


def check_search(
    queries: Sequence[str], k: int, retrievers: Sequence[str], diversity: float, time_budget: float | None = None
) -> None:
    """Checks the arguments of a search.

    Raises:
        InputError: An argument is out of its range.
    """
    if isinstance(queries, str):
        raise InputError("queries must be a list of strings, not one string")
    if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
        raise InputError(f"k must be a whole number from 1 up, not {k!r}")
    if isinstance(retrievers, str) or not retrievers or len(set(retrievers)) != len(retrievers):
        raise InputError(f"retrievers must be a list of different names, not {retrievers!r}")
    if unknown := [name for name in retrievers if name not in RETRIEVERS]:
        raise InputError(f"unknown retriever {unknown[0]!r}; known are {', '.join(RETRIEVERS)}")
    if not 0.0 <= diversity <= 1.0:
        raise InputError(f"diversity must be from 0 to 1, not {diversity!r}")
    if time_budget is not None and not time_budget > 0:
        raise InputError(f"time_budget must be a number of seconds above 0, not {time_budget!r}")


@dataclass(frozen=True)
class Search:
    """How queries are answered.

    Attributes:
        k: How many hits a query.
        allowed: Rows that may be found; None: all.
        names: The retrievers that shall take part.
        weigh: Gives the weights of those that do, *shape:* (n_retrievers,), float64, summing to 1; None where the
            ranker fuses.
        diversity: See ``HybridIndex.search``.
        budget: Time for the answer.
        failed: Why retrievers are out from the start, by name.
    """

    k: int
    allowed: Allowed | None
    names: Sequence[str]
    weigh: Callable[[Sequence[str]], ScoreArray | None]
    diversity: float = 0.0
    budget: Budget = field(default_factory=lambda: Budget(None))
    failed: Mapping[str, str] = field(default_factory=dict)


def search_rows(generation: Generation, queries: Queries, search: Search) -> list[list[tuple[int, Hit]]]:
    """Answers encoded queries on one generation.

    A retriever that raises, exceeds its time or gives what cannot be is left out, and the hits say so: of the query in
    question alone, or with a time budget, which leaves no time to ask again, of all that are asked together.

    Args:
        generation: The index's state.
        queries: The queries, encoded.
        search: How they are answered.

    Returns:
        Rows and hits per query, best first.

    Raises:
        RetrievalError: No retriever could answer.
    """
    failed = dict(search.failed)
    names = [name for name in search.names if name not in failed]
    depths = generation.depths(names, search.k)
    if len(search.names) == 1 and not search.diversity:
        depths = dict.fromkeys(names, search.k)
    searched = _searched(generation, queries, search, depths)
    alone = searched.failures and len(queries.texts) > 1 and search.budget.left(1.0) is None
    if not alone:
        failed |= searched.failures
        runs = searched.results
        names = _left(list(runs), failed)
        pools = generation.pools(runs, pooled_names(generation, names, search.weigh(names)))
        scored = _scored(generation, queries, search, {name: runs[name] for name in names}, pools)
        alone = scored.failures and len(queries.texts) > 1 and search.budget.left(1.0) is None
    if alone:
        return [
            hits
            for at in range(len(queries.texts))
            for hits in search_rows(
                generation, Queries(queries.texts[at : at + 1], queries.vectors[at : at + 1]), search
            )
        ]
    failed |= scored.failures
    names = _left(list(scored.results), failed)
    weights = search.weigh(names)
    found = assembled(pools, {name: runs[name] for name in names}, scored.results)
    return [
        _hits(
            generation, queries.texts[at], candidates, {name: runs[name][at] for name in names}, weights, search, failed
        )
        for at, candidates in enumerate(found)
    ]


def pooled_names(generation: Generation, names: Sequence[str], weights: ScoreArray | None) -> list[str]:
    """The retrievers whose own candidates are pooled: those with a weight, or those that the ranker looks at."""
    if weights is None:
        return [name for name in generation.evident if name in names]
    return [name for name, weight in zip(names, weights, strict=True) if weight > 0]


def _searched(generation: Generation, queries: Queries, search: Search, depths: Mapping[str, int]) -> Asked[list[Run]]:
    dense: Future[list[Run]] = Future()

    def of(name: str) -> Callable[[], list[Run]]:
        def answer() -> list[Run]:
            guides = _guides(dense, search.budget) if name == "docid" and "dense" in depths else None
            runs = generation.runs(queries, {name: depths[name]}, search.allowed, guides)[name]
            return _sound(generation, queries, runs)

        return (lambda: _kept(dense, answer)) if name == "dense" else answer

    first = sorted(depths, key=RETRIEVERS.index)
    asked = ask({name: of(name) for name in first}, search.budget.left(SEARCHING))
    return asked._replace(results={name: asked.results[name] for name in depths if name in asked.results})


def _kept(shared: Future[list[Run]], answer: Callable[[], list[Run]]) -> list[Run]:
    """An answer, kept for another part that waits for it."""
    try:
        runs = answer()
    except Exception as error:
        shared.set_exception(error)
        raise
    shared.set_result(runs)
    return runs


def _guides(dense: Future[list[Run]], budget: Budget) -> list[Run] | None:
    """The dense hits; None where there are none, or not in time."""
    try:
        return dense.result(budget.left(GUIDING))
    except Exception:
        return None


def _scored(
    generation: Generation, queries: Queries, search: Search, runs: Mapping[str, list[Run]], pools: list[IntArray]
) -> Asked[list[Scores]]:
    def of(name: str) -> Callable[[], list[Scores]]:
        return lambda: _finite(generation.scores(name, queries, pools, runs), pools)

    return ask({name: of(name) for name in runs}, search.budget.left(SCORING))


def _left(names: list[str], failed: Mapping[str, str]) -> list[str]:
    if not names:
        raise RetrievalError(
            "no retriever could answer: " + "; ".join(f"{name}: {why}" for name, why in failed.items())
        )
    return names


def _sound(generation: Generation, queries: Queries, runs: list[Run]) -> list[Run]:
    """Runs as they came.

    Raises:
        ValueError: They are not of these queries, or name rows or scores that cannot be.
    """
    if len(runs) != len(queries.texts):
        raise ValueError(f"it gave {len(runs)} answers to {len(queries.texts)} queries")
    for run in runs:
        if run.rows.shape != run.scores.shape or not np.isfinite(run.scores).all():
            raise ValueError("it gave scores that are no numbers")
        if len(run.rows) and not 0 <= run.rows.min() <= run.rows.max() < generation.n_rows:
            raise ValueError("it gave rows that the index does not have")
    return runs


def _finite(scores: list[Scores], pools: list[IntArray]) -> list[Scores]:
    """Scores as they came.

    Raises:
        ValueError: They are not of these rows, or no numbers.
    """
    fits = [len(each.values) for each in scores] == [len(pool) for pool in pools]
    if not fits or not all(np.isfinite(each.values).all() for each in scores):
        raise ValueError("it gave scores that are no numbers")
    return scores


def _hits(
    generation: Generation,
    text: str,
    candidates: Candidates,
    runs: Mapping[str, Run],
    weights: ScoreArray | None,
    search: Search,
    failed: Mapping[str, str],
) -> list[tuple[int, Hit]]:
    """Fuses one query's candidates."""
    names, k, diversity = list(runs), search.k, search.diversity
    if len(names) == 1:
        run = runs[names[0]]
        places = np.searchsorted(candidates.rows, run.rows)
    else:
        wanted = max(k, generation.config.depth) if diversity else k
        run, places = generation.fuse(text, candidates, names, weights, wanted)
    picked = (
        diversify(run.scores, generation.dense.vectors[run.rows], k, diversity)
        if diversity
        else range(min(k, len(run.rows)))
    )
    hits = []
    for at in picked:
        row, details = int(run.rows[at]), _details(names, candidates, int(places[at]))
        hits.append((row, Hit(generation.ids[row], float(run.scores[at]), details, failed)))
    return hits


def _details(names: Sequence[str], candidates: Candidates, place: int) -> dict[str, Detail]:
    columns = (each[:, place].tolist() for each in (candidates.ranks, candidates.scores, candidates.is_floor))
    return {
        name: Detail(rank or None, score, is_floor) for name, rank, score, is_floor in zip(names, *columns, strict=True)
    }
