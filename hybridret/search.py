"""Searching one generation: arguments in, hits out, also where a retriever fails."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from numbers import Integral, Real

import numpy as np

from hybridret.allowed import Allowed
from hybridret.candidates import Candidates, assembled
from hybridret.errors import InputError, RetrievalError
from hybridret.fusion import CALIBRATED, RULES, check_weights
from hybridret.generation import Generation
from hybridret.guard import GUIDING, SCORING, SEARCHING, Asked, Budget, ask, is_overdue
from hybridret.ranking import diversify, top_k
from hybridret.types import RETRIEVERS, Detail, Hit, IntArray, Queries, Run, ScoreArray, Scores

_log = logging.getLogger(__name__)


def check_search(
    queries: Sequence[str], k: int, retrievers: Sequence[str], diversity: float, min_score: float | None = None
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
    if min_score is not None and (not isinstance(min_score, Real) or math.isnan(min_score)):
        raise InputError(f"min_score must be a number, not {min_score!r}")


@dataclass(frozen=True)
class Search:
    """How queries are answered.

    Attributes:
        k: How many hits a query.
        allowed: Rows that may be found; None: all.
        names: The retrievers that shall take part.
        weights: The caller's weights; None: the index's fusion.
        diversity: See ``HybridIndex.search``.
        min_score: Hits with a lower score are left out.
        allow_partial_results: Whether the other retrievers answer where one fails.
        budget: Time for the answer.
        failed: Why retrievers are out from the start, by name.
        owner: Whose retrievers they are; see ``guard.ask``.
    """

    k: int
    allowed: Allowed | None
    names: Sequence[str]
    weights: Mapping[str, float] | None = None
    diversity: float = 0.0
    min_score: float | None = None
    allow_partial_results: bool = True
    budget: Budget = field(default_factory=lambda: Budget(None))
    failed: Mapping[str, str] = field(default_factory=dict)
    owner: object = None


def weights_of(generation: Generation, weights: Mapping[str, float] | None, names: Sequence[str]) -> ScoreArray | None:
    """The weights under which a rule fuses what retrievers say; None where the ranker does.

    Args:
        generation: The index's state.
        weights: The caller's; None: the index's fusion.
        names: The retrievers that take part.

    Returns:
        *Shape:* (n_retrievers,), float64, summing to 1.

    Raises:
        InputError: A weight cannot be.
    """
    if weights is None and generation.learns(names):
        return None
    return check_weights(generation.config.weights if weights is None else weights, names)


def search_rows(generation: Generation, queries: Queries, search: Search) -> list[list[tuple[int, Hit]]]:
    """Answers encoded queries on one generation.

    A retriever that raises, exceeds its time or gives what cannot be is left out, and the hits say so: of the query in
    question alone, or with a time budget, which leaves no time to ask again, of all that are asked together. Scores are
    then those of ``_partial``.

    Args:
        generation: The index's state.
        queries: The queries, encoded.
        search: How they are answered.

    Returns:
        Rows and hits per query, best first.

    Raises:
        RetrievalError: No retriever could answer, or one failed and partial results are not allowed.
    """
    failed = dict(search.failed)
    names = [name for name in search.names if name not in failed]
    depths = generation.depths(names, search.k)
    if len(search.names) == 1 and not search.diversity:
        depths = dict.fromkeys(names, search.k)
    has_time_for_each = len(queries.texts) > 1 and search.budget.left(1.0) is None
    searched = _searched(generation, queries, search, depths)
    if searched.failures and has_time_for_each:
        return _one_by_one(generation, queries, search)
    failed |= searched.failures
    names, runs = _left(list(searched.results), failed, search), searched.results
    while True:
        pools = generation.pools(runs, pooled_names(generation, names, weights_of(generation, search.weights, names)))
        scored = _scored(generation, queries, search, {name: runs[name] for name in names}, pools)
        if not scored.failures:
            break
        if has_time_for_each:
            return _one_by_one(generation, queries, search)
        failed |= scored.failures
        names = _left(list(scored.results), failed, search)
    return [
        _hits(generation, queries.texts[at], candidates, {name: runs[name][at] for name in names}, search, failed)
        for at, candidates in enumerate(assembled(pools, {name: runs[name] for name in names}, scored.results))
    ]


def _one_by_one(generation: Generation, queries: Queries, search: Search) -> list[list[tuple[int, Hit]]]:
    return [
        hits
        for at in range(len(queries.texts))
        for hits in search_rows(generation, Queries(queries.texts[at : at + 1], queries.vectors[at : at + 1]), search)
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
            return _sound(generation, queries, runs, search.allowed)

        return (lambda: _kept(dense, answer)) if name == "dense" else answer

    first = sorted(depths, key=RETRIEVERS.index)
    if is_overdue("dense", search.owner):
        dense.cancel()
    asked = ask({name: of(name) for name in first}, search.budget.left(SEARCHING), search.owner)
    return asked._replace(results={name: asked.results[name] for name in depths if name in asked.results})


def _kept(shared: Future[list[Run]], answer: Callable[[], list[Run]]) -> list[Run]:
    """An answer, kept for another part that waits for it."""
    waited_for = shared.set_running_or_notify_cancel()
    try:
        runs = answer()
    except Exception as error:
        if waited_for:
            shared.set_exception(error)
        raise
    if waited_for:
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

    return ask({name: of(name) for name in runs}, search.budget.left(SCORING), search.owner)


def _left(names: list[str], failed: Mapping[str, str], search: Search) -> list[str]:
    reasons = "; ".join(f"{name}: {why}" for name, why in failed.items())
    if not names:
        raise RetrievalError(f"no retriever could answer: {reasons}")
    if failed and not search.allow_partial_results:
        raise RetrievalError(f"the answer would be without {reasons}; allow_partial_results=True takes it all the same")
    return names


def _sound(generation: Generation, queries: Queries, runs: list[Run], allowed: Allowed | None) -> list[Run]:
    """Runs as they came.

    Raises:
        ValueError: They are not of these queries, or name rows or scores that cannot be.
    """
    if len(runs) != len(queries.texts):
        raise ValueError(f"it gave {len(runs)} answers to {len(queries.texts)} queries")
    for run in runs:
        if run.rows.ndim != 1 or run.rows.shape != run.scores.shape or not np.isfinite(run.scores).all():
            raise ValueError("it gave scores that are no numbers")
        if not len(run.rows):
            continue
        if run.rows.dtype.kind not in "iu" or not 0 <= run.rows.min() <= run.rows.max() < generation.n_rows:
            raise ValueError("it gave rows that the index does not have")
        if len(np.unique(run.rows)) < len(run.rows):
            raise ValueError("it gave a row twice")
        if allowed is not None and not allowed.mask[run.rows].all():
            raise ValueError("it gave rows that are deleted or that the filter hides")
        if (np.diff(run.scores) > 0).any():
            raise ValueError("it gave rows in another order than that of their scores")
    return runs


def _finite(scores: list[Scores], pools: list[IntArray]) -> list[Scores]:
    """Scores as they came.

    Raises:
        ValueError: They are not of these rows, or no numbers.
    """
    shapes = [pool.shape for pool in pools]
    fits = [each.values.shape for each in scores] == [each.is_floor.shape for each in scores] == shapes
    if not fits or not all(np.isfinite(each.values).all() for each in scores):
        raise ValueError("it gave scores that are no numbers")
    return scores


def fused(
    generation: Generation,
    text: str,
    candidates: Candidates,
    names: Sequence[str],
    weights: ScoreArray | None,
    k: int,
) -> tuple[Run, IntArray]:
    """The k best candidates of a query as a search ranks and scores them, and their positions among the candidates.

    A retriever that was asked alone keeps its own scores; otherwise see ``Generation.fuse``.
    """
    if len(names) > 1:
        return generation.fuse(text, candidates, names, weights, k)
    run = top_k(candidates.scores[0], k, generation.ties, candidates.rows)
    return run, np.searchsorted(candidates.rows, run.rows)


def _hits(
    generation: Generation,
    text: str,
    candidates: Candidates,
    runs: Mapping[str, Run],
    search: Search,
    failed: Mapping[str, str],
) -> list[tuple[int, Hit]]:
    """Fuses one query's candidates."""
    names, k, diversity = list(runs), search.k, search.diversity
    wanted = max(k, generation.config.depth) if diversity else k
    is_on_scale = True
    if len(search.names) == 1:
        run = runs[names[0]]
    elif failed:
        run, is_on_scale = _partial(generation, text, candidates, runs, search, failed, wanted)
    else:
        run = fused(generation, text, candidates, names, weights_of(generation, search.weights, names), wanted)[0]
    places = np.searchsorted(candidates.rows, run.rows)
    picked = (
        diversify(run.scores, generation.dense.vectors[run.rows], k, diversity)
        if diversity
        else range(min(k, len(run.rows)))
    )
    hits = []
    for at in picked:
        if search.min_score is not None and not (is_on_scale and run.scores[at] >= search.min_score):
            continue
        row, details = int(run.rows[at]), _details(names, candidates, int(places[at]))
        hits.append((row, Hit(generation.ids[row], float(run.scores[at]), details, failed)))
    if failed and len(run.rows) and not hits:
        _log.warning("an answer is empty: without %s no document reaches min_score", " and ".join(failed))
    return hits


def _partial(
    generation: Generation,
    text: str,
    candidates: Candidates,
    runs: Mapping[str, Run],
    search: Search,
    failed: Mapping[str, str],
    k: int,
) -> tuple[Run, bool]:
    """The k best candidates by the retrievers that are left, and whether ``min_score`` can be compared with the scores.

    Under the ranker and the rule ``calibrated`` scores stay from 0 to 1: one retriever that is left has those of its
    sigmoid, low enough for ``min_score`` to stop rather too much than too little; bm25's share of its ceiling is cut by
    the words that no document has, and 0 where no word was found. Where those that are left weigh nothing, nothing is
    known, and scores are 0. The scores of other rules mean something else without a retriever that weighs.
    """
    names = list(runs)
    weights, weighed = weights_of(generation, search.weights, names), search.weights
    if weights is None:
        return generation.fuse(text, candidates, names, weights, k)[0], True
    if weighed is None:
        weighed = generation.config.weights
    ranked = weights_of(generation, search.weights, search.names) is None
    is_lost = any(name in generation.evident if ranked else weighed.get(name, 0.0) > 0 for name in failed)
    scores, bm25 = candidates.scores.copy(), names.index("bm25") if "bm25" in names else None
    if is_lost and generation.rule == CALIBRATED and bm25 is not None:
        scores[bm25] *= generation.bm25.known_share(text)
    comparable = generation.comparable(text, candidates._replace(scores=scores), names)
    if is_lost and generation.rule == CALIBRATED and bm25 is not None:
        comparable[bm25, candidates.scores[bm25] <= 0] = 0.0
    fused = RULES[generation.rule](comparable, candidates.ranks, weights)
    if len(names) == 1:
        rows = runs[names[0]].rows
        run = Run(rows, fused[np.searchsorted(candidates.rows, rows)])
    else:
        run = top_k(fused, k, generation.ties, candidates.rows)
    if generation.rule == CALIBRATED and not any(weighed.get(name, 0.0) > 0 for name in names):
        run = Run(run.rows, np.zeros(len(run.rows)))
    return run, generation.rule == CALIBRATED or not is_lost


def _details(names: Sequence[str], candidates: Candidates, place: int) -> dict[str, Detail]:
    columns = (each[:, place].tolist() for each in (candidates.ranks, candidates.scores, candidates.is_floor))
    return {
        name: Detail(rank or None, score, is_floor) for name, rank, score, is_floor in zip(names, *columns, strict=True)
    }
