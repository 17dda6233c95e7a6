"""Growth: what indexing and answering cost as a collection grows, from a thousand documents to a million.

``python -m benchmarks.growth NAME [--sizes 1000 10000 100000 1000000]``. Beyond the collection's own documents there
are made ones: words drawn from a real document, and its vector with noise. The model's cost, which does not grow, is
left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.collection import read_collection
from benchmarks.cost import THREADS, WARM_UP, K, bandwidth, drawn
from benchmarks.results import write_result
from benchmarks.timing import Call, percentiles, pinned_threads, timed_in_turn
from hybridret.config import Config
from hybridret.dense import make_encoder
from hybridret.generation import Generation
from hybridret.types import RETRIEVERS, Document, Encoder, FloatArray, Progress, Queries

SIZES, WORDS, NOISE, SEED, QUESTIONS = (1_000, 10_000, 100_000), 60, 0.5, 0, 50
PARTS = ("vectors", "bm25", "codebooks", "docid", "trie")
_FITTED_FROM = 10_000
"""Below, what every answer costs hides what grows."""


def main() -> None:
    """Measures one collection's growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    collection, encoder = read_collection(options.collection), make_encoder()
    texts = [document.text for document in collection.documents]
    vectors = encoder.encode_documents(texts)
    asked = drawn(list(collection.dataset.queries.values()), QUESTIONS)
    write_result("growth", growth(texts, vectors, asked, encoder, options.sizes))


def growth(
    texts: Sequence[str],
    vectors: FloatArray,
    asked: Sequence[str],
    encoder: Encoder,
    sizes: Sequence[int] = SIZES,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Builds and asks an index of each size.

    Args:
        texts: The collection's own documents.
        vectors: *Shape:* (n_documents, dimension), float32, theirs.
        asked: Questions, asked one by one.
        encoder: Encodes them.
        sizes: How many documents, ascending.
        progress: Told how far the work is.

    Returns:
        ``steps``: by size seconds to build without encoding, milliseconds at batch 1 of each part of an answer, the
        floor of flat search, and bytes a document in memory; ``exponents``: of what grows, fitted by least squares to
        logarithms from 10,000 documents on, or between the last two sizes.
    """
    queries = encoder.encode_queries(list(asked))
    steps = []
    for at, size in enumerate(sizes):
        if progress is not None:
            progress("growth", at, len(sizes))
        made, their_vectors = grown(texts, vectors, size)
        start = time.perf_counter()
        documents = [Document(f"d{row:07}", text, {}) for row, text in enumerate(made)]
        generation = Generation.empty(Config(seed=SEED)).appended(documents, their_vectors)
        built = time.perf_counter() - start
        with pinned_threads(THREADS):
            times = timed_in_turn(_calls(generation, asked, queries), len(asked), WARM_UP)
            floor = bandwidth() * generation.dense.vectors.nbytes
        steps.append(
            {
                "documents": size,
                "own": min(size, len(texts)),
                "build_seconds": built,
                "ms": {name: percentiles(own) for name, own in times.items()},
                "floor_ms": {"dense": floor},
                "bytes_a_document": {part: _bytes(generation, part) / size for part in PARTS},
            }
        )
    return {"threads": THREADS, "questions": len(asked), "steps": steps, "exponents": exponents(steps)}


def grown(texts: Sequence[str], vectors: FloatArray, size: int) -> tuple[list[str], FloatArray]:
    """So many documents: the collection's own in random order, then made ones.

    Args:
        texts: The collection's own.
        vectors: *Shape:* (n_documents, dimension), float32, theirs, of unit length.
        size: How many.

    Returns:
        Texts, and vectors of unit length, *shape:* (size, dimension), float32; those made are the vector of a document
        plus noise of half its length in a random direction.
    """
    generator = np.random.default_rng(SEED)
    order = generator.permutation(len(texts))[:size]
    sources = generator.integers(len(texts), size=size - len(order))
    words = [text.split() or [text] for text in texts]
    made = [" ".join(generator.choice(words[at], min(WORDS, len(words[at])))) for at in sources.tolist()]
    noise = generator.normal(size=(len(sources), vectors.shape[1])).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    near = vectors[sources] + np.float32(NOISE) * noise
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    return [*(texts[at] for at in order.tolist()), *made], np.concatenate([vectors[order], near])


def exponents(steps: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The exponent by which each cost grows: ``cost ~ documents ** exponent``."""
    if len(steps) < 2:
        return {}
    first = min(_FITTED_FROM, steps[-2]["documents"])
    kept = [step for step in steps if step["documents"] >= first]
    logs = np.log([step["documents"] for step in kept])
    series = {f"{name} ms": [step["ms"][name]["p50"] for step in kept] for name in kept[0]["ms"]}
    series["build seconds"] = [step["build_seconds"] for step in kept]
    return {name: float(np.polyfit(logs, np.log(values), 1)[0]) for name, values in series.items()}


def _calls(generation: Generation, asked: Sequence[str], vectors: FloatArray) -> dict[str, Call]:
    depth, state = generation.config.depth, dict[str, Any]()

    def search(name: str) -> Call:
        def call(at: int) -> None:
            queries = Queries([asked[at % len(asked)]], vectors[at % len(asked)][None])
            state[name] = generation.runs(queries, {name: depth}, None, state.get("dense"))[name]

        return call

    def fuse(at: int) -> None:
        queries = Queries([asked[at % len(asked)]], vectors[at % len(asked)][None])
        runs = {name: state[name] for name in RETRIEVERS}
        (candidates,) = generation.candidates(queries, runs, ["dense", "bm25"])
        generation.fuse(queries.texts[0], candidates, RETRIEVERS, None, K)

    return {**{name: search(name) for name in RETRIEVERS}, "fuse": fuse}


def _bytes(generation: Generation, part: str) -> int:
    return sum(np.asarray(array).nbytes for array in generation.arrays(part).values())


if __name__ == "__main__":
    main()
