"""An index that grows by batches against one built at once: what is found, and what an added document costs."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.parting import parted
from benchmarks.results import write_result
from hybridret.data.dataset import Dataset, read_dataset
from hybridret.data.readers import find_source, read_corpus
from hybridret.dense import make_encoder
from hybridret.evaluation import evaluate_queries
from hybridret.hybrid import HybridIndex
from hybridret.types import Document, Encoder, FloatArray, IntArray, Progress

BATCHES, SEED, MEASURE, _SPARE = 5, 0, "Recall@10", 50


class TimedEncoder:
    """An encoder that counts the seconds it takes."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.name, self.max_tokens = encoder.name, encoder.max_tokens
        self.seconds = 0.0

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """As the encoder does."""
        return self._encoder.encode_queries(texts)

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> FloatArray:
        """As the encoder does, timed."""
        start = time.perf_counter()
        vectors = self._encoder.encode_documents(texts, progress)
        self.seconds += time.perf_counter() - start
        return vectors

    def count_cut_tokens(self, texts: Sequence[str]) -> IntArray:
        """As the encoder does."""
        return self._encoder.count_cut_tokens(texts)

    def save(self, folder: Path) -> None:
        """As the encoder does."""
        self._encoder.save(folder)


def main() -> None:
    """Measures one collection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection")
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    source = find_source(options.collection)
    documents = read_corpus(source)
    dataset = read_dataset(source, options.split, {document.doc_id for document in documents})
    result = updates(documents, dataset, make_encoder())
    write_result("updates", {"collection": Path(options.collection).name, "split": options.split, **result})


def updates(
    documents: Sequence[Document], dataset: Dataset, encoder: Encoder, progress: Progress | None = None
) -> dict[str, Any]:
    """Indexes half of the documents, adds the rest in five batches, then single documents, without any training.

    Args:
        documents: The collection; their order is drawn anew.
        dataset: Questions; those that documents of the first half alone answer are the old ones.
        encoder: The model.
        progress: Told how far the work is.

    Returns:
        Recall@10 by system of old and new questions, ``at_once`` and ``grown``, and the differences; of old questions
        after each batch (``steps``), with milliseconds a document beyond encoding; those of single documents.
    """
    shuffled = [documents[at] for at in np.random.default_rng(SEED).permutation(len(documents))]
    n_spare = min(_SPARE, len(shuffled) // 10)
    kept, spare = shuffled[: len(shuffled) - n_spare], shuffled[len(shuffled) - n_spare :]
    known, half = {document.doc_id for document in kept}, len(shuffled) // 2
    first, batches = kept[:half], np.array_split(np.arange(half, len(kept)), BATCHES)
    qrels = {query: found for query, found in dataset.qrels.items() if known & set(found)}
    asked = Dataset({query: dataset.queries[query] for query in qrels}, qrels, dataset.dropped)
    old, new = parted(asked, {document.doc_id for document in first})
    timed = TimedEncoder(encoder)
    with tempfile.TemporaryDirectory() as folder:
        whole = HybridIndex.build(kept, timed, path=Path(folder) / "whole", progress=progress)
        grown = HybridIndex.build(first, timed, path=Path(folder) / "grown", progress=progress)
        steps: list[dict[str, Any]] = [{"documents": len(grown), "old": _recall(grown, old)}]
        for batch in batches:
            seconds = _added(grown, [kept[at] for at in batch], timed)
            taken = 1000 * seconds / max(1, len(batch))
            steps.append({"documents": len(grown), "old": _recall(grown, old), "ms_per_document": taken})
        found = {
            way: {"old": _recall(index, old), "new": _recall(index, new)}
            for way, index in (("at_once", whole), ("grown", grown))
        }
        singles = sorted(1000 * _added(grown, [document], timed) for document in spare)
    return {
        "measure": MEASURE,
        "questions": {"old": len(old.queries), "new": len(new.queries)},
        **found,
        "steps": steps,
        "single_adds_ms": singles,
        **{
            f"difference_on_{part}": {
                system: found["grown"][part][system] - found["at_once"][part][system] for system in found["grown"][part]
            }
            for part in ("new", "old")
        },
    }


def _added(index: HybridIndex, documents: list[Document], encoder: TimedEncoder) -> float:
    """Adds documents and gives the seconds that this takes beyond encoding them."""
    encoder.seconds, start = 0.0, time.perf_counter()
    index.add(documents)
    return time.perf_counter() - start - encoder.seconds


def _recall(index: HybridIndex, dataset: Dataset) -> dict[str, float]:
    if not dataset.queries:
        return {}
    measured = evaluate_queries(index, dataset)
    return {system: float(np.mean(list(values[MEASURE].values()))) for system, values in measured.items()}


if __name__ == "__main__":
    main()
