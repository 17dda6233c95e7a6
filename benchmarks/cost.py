"""What an answer costs: latency and where it goes, throughput, and the floors below which it cannot go."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from benchmarks.memory import peak_memory
from benchmarks.subject import Subject
from benchmarks.systems import BATCH, HYBRID, own_systems
from benchmarks.timing import Call, milliseconds, percentiles, pinned_threads, repeated_ratio, timed_in_turn
from hybridret.dense import TransformerEncoder
from hybridret.evaluation import SYSTEMS
from hybridret.hybrid import HybridIndex
from hybridret.types import RETRIEVERS, Queries

THREADS, K, WARM_UP, SEED = 1, 10, 10, 0
_BATCHES, _COPIES, _SPARE_BYTES = 5, 7, 1 << 26


def cost(subject: Subject, n_questions: int = 100, memory: Sequence[str] = (HYBRID,)) -> dict[str, Any]:
    """Measures an index.

    Args:
        subject: The index and its questions.
        n_questions: How many questions are asked one by one, twice.
        memory: Systems whose peak memory is measured, each in a process of its own.

    Returns:
        Milliseconds at batch 1, questions a second at batch 64, milliseconds by part, floors, a ratio measured twice,
        bytes of memory, and bytes on disk a document.
    """
    texts = drawn(list(subject.collection.dataset.queries.values()), n_questions)
    with pinned_threads(THREADS):
        systems = own_systems(subject.index)

        def asking(name: str) -> Call:
            return lambda at: systems[name]([texts[at % len(texts)]], K)

        calls = {name: asking(name) for name in systems}
        first, second = (timed_in_turn(calls, len(texts), WARM_UP) for _ in range(2))
        result = {
            "threads": THREADS,
            "questions": len(texts),
            "latency_ms": {name: percentiles(first[name] + second[name]) for name in systems},
            "repeated": repeated_ratio(first, second, HYBRID, "dense"),
            "questions_a_second": {name: throughput(search, texts) for name, search in systems.items()},
            "parts_ms": parts(subject.index, texts),
            "floors_ms": floors(subject.index, texts),
        }
    return result | {
        "memory_bytes": {name: peak_memory(subject.bundle, texts[:K], SYSTEMS[name]) for name in memory},
        "disk_bytes_a_document": subject.index.info()["bytes_per_document"],
    }


def throughput(search: Any, texts: Sequence[str]) -> float:
    """Questions a second at batch 64: the median of a few batches after one that warms up."""
    asked = [texts[at % len(texts)] for at in range(BATCH)]
    search(asked, K)
    return 1000 * BATCH / median(milliseconds(lambda: search(asked, K)) for _ in range(_BATCHES))


def parts(index: HybridIndex, texts: Sequence[str]) -> dict[str, float]:
    """Median milliseconds of the parts of one fused answer: encode, search, decode, fuse."""
    generation, encoder = index._changes.generation, index.encoder
    depth, allowed = generation.config.depth, generation.living
    state: dict[str, Any] = {"runs": {}}

    def encode(at: int) -> None:
        text = texts[at % len(texts)]
        state["queries"] = Queries([text], encoder.encode_queries([text]))

    def search(name: str) -> Call:
        def call(_: int) -> None:
            state["runs"] |= generation.runs(state["queries"], {name: depth}, allowed)

        return call

    def fuse(_: int) -> None:
        queries, runs = state["queries"], {name: state["runs"][name] for name in RETRIEVERS}
        (candidates,) = generation.candidates(queries, runs, ["dense", "bm25"])
        generation.fuse(queries.texts[0], candidates, RETRIEVERS, None, K)

    calls: dict[str, Call] = {
        "encode": encode,
        "search dense": search("dense"),
        "search bm25": search("bm25"),
        "decode docid": search("docid"),
        "fuse": fuse,
    }
    times = timed_in_turn(calls, len(texts), WARM_UP)
    return {name: median(own) for name, own in times.items()}


def floors(index: HybridIndex, texts: Sequence[str]) -> dict[str, float]:
    """What nobody can undercut with this model on this machine, in milliseconds.

    ``encoder forward``: the model's pass over a question's tokens; absent where the encoder is no transformer here.
    ``flat search``: reading all vectors once at the memory's bandwidth, which a copy of 64 MiB measures.
    """
    import torch

    encoder, found = index.encoder, {}
    if isinstance(encoder, TransformerEncoder):
        features: list[dict[str, Any]] = [dict(encoder.model.preprocess([text])) for text in texts]
        with torch.inference_mode():
            forward = timed_in_turn(
                {"forward": lambda at: encoder.model(dict(features[at % len(texts)]))}, len(texts), WARM_UP
            )
        found["encoder forward"] = median(forward["forward"])
    found["flat search"] = bandwidth() * index._changes.generation.dense.vectors.nbytes
    return found


def bandwidth() -> float:
    """Milliseconds that the memory takes for a byte, by the best of several copies of 64 MiB."""
    source = np.ones(_SPARE_BYTES, dtype=np.uint8)
    target = np.empty_like(source)
    return min(milliseconds(lambda: np.copyto(target, source)) for _ in range(_COPIES)) / (2 * _SPARE_BYTES)


def drawn(texts: list[str], n_questions: int) -> list[str]:
    """At most so many of the texts, drawn by a fixed seed, in their order."""
    chosen = np.random.default_rng(SEED).permutation(len(texts))[:n_questions]
    return [texts[at] for at in np.sort(chosen)]
