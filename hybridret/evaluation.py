"""Measuring an index on queries with judgements."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from hybridret.data.dataset import Dataset
from hybridret.types import RETRIEVERS, Progress

if TYPE_CHECKING:
    from hybridret.hybrid import HybridIndex

MEASURES = ("nDCG@10", "Recall@1", "Recall@10", "Recall@100", "RR@10")
SYSTEMS: Mapping[str, Sequence[str]] = {"bm25": ["bm25"], "dense": ["dense"], "docid": ["docid"], "hybrid": RETRIEVERS}
_DEPTH, _BATCH = 100, 128
_TIMED_QUERIES, _WARM_UP = 50, 5


def evaluate(
    index: HybridIndex, dataset: Dataset, progress: Progress | None = None, exclude_same_id: bool = False
) -> dict[str, dict[str, float]]:
    """Measures each retriever alone and all together.

    Args:
        index: What to measure.
        dataset: Queries and judgements.
        progress: Told how far the work is.
        exclude_same_id: Whether the document whose id is the query's is left out of its answers, as BEIR does.

    Returns:
        By system the mean of each measure, and ``latency_ms_p50``: the median time of single queries, encoding
        included, in milliseconds.
    """
    per_query = evaluate_queries(index, dataset, progress, exclude_same_id=exclude_same_id)
    texts = list(dataset.queries.values())[:_TIMED_QUERIES]
    return {
        system: {
            **{measure: sum(values.values()) / len(values) for measure, values in measures.items()},
            "latency_ms_p50": _latency(index, texts, SYSTEMS[system]),
        }
        for system, measures in per_query.items()
    }


def evaluate_queries(
    index: HybridIndex,
    dataset: Dataset,
    progress: Progress | None = None,
    systems: Mapping[str, Sequence[str]] = SYSTEMS,
    exclude_same_id: bool = False,
) -> dict[str, dict[str, dict[str, float]]]:
    """Measures by system, measure and query id; see ``evaluate``.

    Args:
        index: What to measure.
        dataset: Queries and judgements.
        progress: Told how far the work is.
        systems: By name the retrievers that are asked together.
        exclude_same_id: As in ``evaluate``.
    """
    return {
        system: measure_run(_run(index, dataset, retrievers, system, progress, exclude_same_id), dataset)
        for system, retrievers in systems.items()
    }


def measure_run(
    run: dict[str, dict[str, float]], dataset: Dataset, measures: Sequence[str] = MEASURES
) -> dict[str, dict[str, float]]:
    """Measures a run with ir-measures.

    What is measured is the ranking that is shown: documents by score, equal scores in the given order. Ranks are handed
    on in place of scores, since trec_eval (pytrec_eval-terrier 0.5) compares scores as 32-bit floats and breaks ties by
    document id, descending: scores that differ in the last digits alone, or not at all, would be put in another order.

    Args:
        run: Score by query id and document id, best first.
        dataset: Queries and judgements.
        measures: Names of ir-measures, with ``Recall`` for its ``R``.

    Returns:
        By measure and query id; a query without hits measures 0.
    """
    import ir_measures

    run = {query: _rank_scores(scores) for query, scores in run.items()}
    parsed = {ir_measures.parse_measure(name.replace("Recall", "R")): name for name in measures}
    values = {name: dict.fromkeys(dataset.queries, 0.0) for name in measures}
    for metric in ir_measures.iter_calc(list(parsed), dataset.qrels, run):
        values[parsed[metric.measure]][metric.query_id] = metric.value
    return values


def _rank_scores(scores: dict[str, float]) -> dict[str, float]:
    """Scores by document id that fall by 1 a rank, which 32-bit floats hold exactly."""
    ranking = sorted(scores, key=lambda doc_id: -scores[doc_id])
    return {doc_id: float(len(ranking) - rank) for rank, doc_id in enumerate(ranking)}


def _run(
    index: HybridIndex,
    dataset: Dataset,
    retrievers: Sequence[str],
    system: str,
    progress: Progress | None,
    exclude_same_id: bool,
) -> dict[str, dict[str, float]]:
    ids, texts = list(dataset.queries), list(dataset.queries.values())
    judged, parents = {doc_id for grades in dataset.qrels.values() for doc_id in grades}, index.parents()
    run: dict[str, dict[str, float]] = {}
    for start in range(0, len(ids), _BATCH):
        answers = index.search(texts[start : start + _BATCH], _DEPTH + exclude_same_id, retrievers=retrievers)
        for query, hits in zip(ids[start : start + _BATCH], answers, strict=True):
            run[query] = {}
            for hit in hits:  # of a document that was split the best chunk counts, unless chunks were judged
                doc_id = hit.doc_id if hit.doc_id in judged else parents.get(hit.doc_id, hit.doc_id)
                if not (exclude_same_id and doc_id == query):
                    run[query].setdefault(doc_id, hit.score)
        if progress is not None:
            progress(f"asking {system}", len(run), len(ids))
    return run


def _latency(index: HybridIndex, texts: Sequence[str], retrievers: Sequence[str]) -> float:
    """Median milliseconds of single warm queries for ten hits."""
    taken = []
    warm_up = texts[:_WARM_UP]
    for text in [*warm_up, *texts]:
        start = time.perf_counter()
        index.search([text], 10, retrievers=retrievers)
        taken.append(1000 * (time.perf_counter() - start))
    return median(taken[len(warm_up) :])
