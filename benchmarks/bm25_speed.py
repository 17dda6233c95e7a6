"""BM25 against rank-bm25: the same scores, and how much faster."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rank_bm25

from benchmarks.results import write_result
from hybridret.bm25 import BM25Okapi

DOCUMENTS, QUERIES, VOCABULARY, SEED = 20_000, 200, 50_000, 0


def main() -> None:
    """Scores 200 queries against 20,000 documents of Zipf-distributed words with both."""
    random = np.random.default_rng(SEED)
    chances = 1 / np.arange(1, VOCABULARY + 1)
    chances /= chances.sum()

    def words(low: int, high: int) -> list[str]:
        return [f"w{term}" for term in random.choice(VOCABULARY, size=random.integers(low, high), p=chances)]

    documents = [words(30, 120) for _ in range(DOCUMENTS)]
    queries = [words(3, 12) for _ in range(QUERIES)]
    theirs, ours = rank_bm25.BM25Okapi(documents), BM25Okapi(documents)
    their_time, expected = _timed(theirs.get_scores, queries)
    cold_time, scores = _timed(ours.get_scores, queries)
    warm_time, _ = _timed(ours.get_scores, queries)
    write_result(
        "bm25_speed",
        {
            "documents": DOCUMENTS,
            "queries": QUERIES,
            "equal_bit_for_bit": all(np.array_equal(a, b) for a, b in zip(expected, scores, strict=True)),
            "ms_per_query": {"rank_bm25": their_time, "hybridret_first_time": cold_time, "hybridret_warm": warm_time},
            "times_faster": {"first_time": their_time / cold_time, "warm": their_time / warm_time},
        },
    )


def _timed(score: Callable[[list[str]], Any], queries: list[list[str]]) -> tuple[float, list[Any]]:
    start = time.perf_counter()
    scores = [score(query) for query in queries]
    return 1000 * (time.perf_counter() - start) / len(queries), scores


if __name__ == "__main__":
    main()
