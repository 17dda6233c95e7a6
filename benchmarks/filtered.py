"""Filtered search over many documents: exact against brute force, and what it costs beside unfiltered search.

Filters of three sizes asked again and again, and those of many tenants in turn, with and without additions in between.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from benchmarks.results import write_result
from hybridret.config import Config
from hybridret.evaluation import SYSTEMS
from hybridret.hybrid import HybridIndex
from hybridret.types import Document, FloatArray, IntArray, Progress

DOCUMENTS, DIMENSION, WORDS, LENGTH, QUERIES, K, SEED = 100_000, 384, 20_000, 40, 60, 10, 0
TENANTS = 70
SELECTIVITIES = {"50 %": 2, "1 %": 100, "0.1 %": 1000}


class SyntheticEncoder:
    """Vectors around 500 centres, by the number that a text begins with; queries are noisy copies of documents'."""

    name, max_tokens = "synthetic", None

    def __init__(self, n: int) -> None:
        rng = np.random.default_rng(SEED)
        centres = rng.normal(size=(500, DIMENSION))
        vectors = centres[rng.integers(0, len(centres), n)] + 0.7 * rng.normal(size=(n, DIMENSION))
        self.vectors = _unit(vectors)

    def encode_documents(self, texts: Any, progress: Progress | None = None) -> FloatArray:
        """The vector of each text's number."""
        return self.vectors[[int(text.split()[0]) for text in texts]]

    def encode_queries(self, texts: Any) -> FloatArray:
        """A noisy copy of the vector of each text's number."""
        numbers = [int(text.split()[0]) for text in texts]
        noise = np.concatenate([np.random.default_rng(number).normal(size=(1, DIMENSION)) for number in numbers])
        return _unit(self.vectors[numbers] + 0.03 * noise)

    def count_cut_tokens(self, texts: Any) -> IntArray:
        """Zeros."""
        return np.zeros(len(texts), dtype=np.int64)

    def save(self, folder: Any) -> None:
        """Nothing."""


def main() -> None:
    """Builds an index of synthetic documents in memory, checks filtered search and times it."""
    load = os.getloadavg()[0]  # above 1 the machine had other work, and times are too long
    rng = np.random.default_rng(SEED)
    frequency = 1 / np.arange(1, WORDS + 1)
    words = rng.choice(WORDS, size=(DOCUMENTS, LENGTH), p=frequency / frequency.sum())
    documents = [
        Document(f"d{at}", f"{at} " + " ".join(f"w{word}" for word in words[at]), {"part": at, "tenant": at % TENANTS})
        for at in range(DOCUMENTS)
    ]
    encoder = SyntheticEncoder(DOCUMENTS)
    index = HybridIndex.build(documents, encoder, Config())
    asked = rng.choice(DOCUMENTS, QUERIES, replace=False)
    queries = [f"{at} " + " ".join(f"w{word}" for word in rng.choice(words[at], 4, replace=False)) for at in asked]
    filters: dict[str, Any] = {"none": None} | {
        name: {"part": {"$lt": DOCUMENTS // share}} for name, share in SELECTIVITIES.items()
    }
    result: dict[str, Any] = {"documents": DOCUMENTS, "k": K, "first_use_ms": {}, "median_ms": {}, "ratio": {}}
    for name, filter in filters.items():
        result["first_use_ms"][name] = _milliseconds(lambda: index.search(queries[:1], K, filter, ["bm25"]))
    for system, retrievers in SYSTEMS.items():
        times: dict[str, list[float]] = {name: [] for name in filters}
        for query in [*queries[:5], *queries]:
            for name, filter in filters.items():
                times[name].append(_milliseconds(lambda: index.search([query], K, filter, retrievers)))
        medians = {name: median(values[5:]) for name, values in times.items()}
        result["median_ms"][system] = medians
        result["ratio"][system] = {name: medians[name] / medians["none"] for name in SELECTIVITIES}
    result["wrong_answers"] = {name: _wrong(index, encoder, queries, name) for name in SELECTIVITIES}
    result["tenants"] = _tenants(index, queries)
    ratios = [*result["ratio"].values(), result["tenants"]["ratio"]]
    result["load_average"] = load
    result["held"] = all(ratio <= 2 for each in ratios for ratio in each.values())
    write_result("filtered", result)


def _tenants(index: HybridIndex, queries: list[str]) -> dict[str, Any]:
    """Times the searches of tenants that ask in turn, each of all retrievers and after one of all documents."""
    times: dict[str, list[float]] = {}
    wrong = 0
    for turn, added in {"first": False, "again": False, "after an addition each": True}.items():
        for tenant in range(TENANTS):
            query, filter = queries[tenant % len(queries)], {"tenant": tenant}
            if added:
                index.add([Document(f"d{DOCUMENTS + tenant}", query, filter)])
            unfiltered = _milliseconds(partial(index.search, [query], K))
            if added:
                index.add([Document(f"e{DOCUMENTS + tenant}", query, filter)])
            times.setdefault(f"none, {turn}", []).append(unfiltered)
            times.setdefault(turn, []).append(_milliseconds(partial(index.search, [query], K, filter)))
            (hits,) = index.search([query], K, filter)
            tenants = {document.metadata["tenant"] for document in index.get([hit.doc_id for hit in hits])}
            wrong += tenants != {tenant} or len(hits) != K
    medians = {turn: median(values) for turn, values in times.items()}
    return {
        "tenants": TENANTS,
        "median_ms": medians,
        "first_of_all_ms": times["first"][0],
        "ratio": {turn: medians[turn] / medians[f"none, {turn}"] for turn in medians if not turn.startswith("none")},
        "wrong_answers": wrong,
    }


def _wrong(index: HybridIndex, encoder: SyntheticEncoder, queries: list[str], name: str) -> dict[str, int]:
    """How many answers of dense and bm25 are not those of brute force over the allowed documents."""
    n_allowed = DOCUMENTS // SELECTIVITIES[name]
    filter = {"part": {"$lt": n_allowed}}
    cosines = encoder.encode_queries(queries) @ encoder.vectors[:n_allowed].T
    wrong = {"dense": 0, "bm25": 0, "docid": 0, "short": 0}
    unfiltered = {"bm25": index.search(queries, DOCUMENTS, retrievers=["bm25"])} if n_allowed <= 1000 else {}
    for at, query in enumerate(queries):
        (dense,) = index.search([query], K, filter, ["dense"])
        expected = np.sort(cosines[at])[::-1][:K]
        wrong["dense"] += not np.allclose([hit.score for hit in dense], expected, atol=1e-6)
        (bm25,) = index.search([query], K, filter, ["bm25"])
        if unfiltered:
            kept = [hit for hit in unfiltered["bm25"][at] if int(hit.doc_id[1:]) < n_allowed][:K]
            wrong["bm25"] += [hit[:2] for hit in bm25] != [hit[:2] for hit in kept]
        (docid,) = index.search([query], K, filter, ["docid"])
        outside = [hit for hit in (*dense, *bm25, *docid) if int(hit.doc_id[1:]) >= n_allowed]
        wrong["docid"] += bool(outside)
        wrong["short"] += any(len(hits) != K for hits in (dense, bm25, docid))
    return wrong


def _unit(vectors: Any) -> FloatArray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def _milliseconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
