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
from hybridret.evaluation import SYSTEMS, evaluate_queries
from hybridret.hybrid import HybridIndex
from hybridret.types import Document, Encoder, FloatArray, IntArray, Progress

BATCHES, SEED, MEASURE = 5, 0, "Recall@10"


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
    """Measures one collection: half of it indexed, the rest added in five batches, then single documents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection")
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    documents = read_corpus(find_source(options.collection))
    order = np.random.default_rng(SEED).permutation(len(documents))
    documents = [documents[at] for at in order]
    half, spare = len(documents) // 2, documents[-50:]
    documents = documents[:-50]
    first, batches = documents[:half], np.array_split(np.arange(half, len(documents)), BATCHES)
    dataset = read_dataset(find_source(options.collection), options.split, {document.doc_id for document in documents})
    old, new = parted(dataset, {document.doc_id for document in first})
    encoder = TimedEncoder(make_encoder())
    with tempfile.TemporaryDirectory() as folder:
        whole = HybridIndex.build(documents, encoder, path=Path(folder) / "whole")
        grown = HybridIndex.build(first, encoder, path=Path(folder) / "grown")
        steps = [{"documents": len(grown), "old": _recall(grown, old)}]
        for batch in batches:
            seconds = _added(grown, [documents[at] for at in batch], encoder)
            steps.append(
                {"documents": len(grown), "old": _recall(grown, old), "ms_per_document": 1000 * seconds / len(batch)}
            )
        result: dict[str, Any] = {
            "collection": Path(options.collection).name,
            "split": options.split,
            "measure": MEASURE,
            "questions": {"old": len(old.queries), "new": len(new.queries)},
            "at_once": {"old": _recall(whole, old), "new": _recall(whole, new)},
            "grown": {"old": _recall(grown, old), "new": _recall(grown, new)},
            "steps": steps,
            "single_adds_ms": sorted(1000 * _added(grown, [document], encoder) for document in spare),
        }
    result["difference_on_new"] = {
        system: result["grown"]["new"][system] - result["at_once"]["new"][system] for system in SYSTEMS
    }
    result["difference_on_old"] = {
        system: result["grown"]["old"][system] - result["at_once"]["old"][system] for system in SYSTEMS
    }
    write_result("updates", result)


def _added(index: HybridIndex, documents: list[Document], encoder: TimedEncoder) -> float:
    """Adds documents and gives the seconds that this takes beyond encoding them."""
    encoder.seconds, start = 0.0, time.perf_counter()
    index.add(documents)
    return time.perf_counter() - start - encoder.seconds


def _recall(index: HybridIndex, dataset: Dataset) -> dict[str, float]:
    measured = evaluate_queries(index, dataset)
    return {system: float(np.mean(list(values[MEASURE].values()))) for system, values in measured.items()}


if __name__ == "__main__":
    main()
