"""The demonstration: Python's documentation, indexed, asked and measured."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from hybridret.data.dataset import read_dataset
from hybridret.data.readers import PYTHON_DOCS, read_corpus
from hybridret.dense import make_encoder
from hybridret.errors import BundleError
from hybridret.evaluation import SYSTEMS, evaluate
from hybridret.hybrid import HybridIndex
from hybridret.store.bundle import DATABASE
from hybridret.store.folders import check_target
from hybridret.types import Document, Hit, Progress

QUESTIONS = (
    "run a shell command and get its output as a string",
    "cache the results of a function",
    "split a path into folder and file name",
)
_SHOWN = 5


def _index(documents: list[Document], output: Path, progress: Progress | None) -> HybridIndex:
    if not (output / DATABASE).is_file():
        check_target(output)
        return HybridIndex.build(documents, make_encoder(), path=output, progress=progress, fit=True)
    index = HybridIndex.open(output)
    if index.ids() != {document.doc_id for document in documents}:
        raise BundleError(f"{output} is a bundle of other documents; give another folder (-o)")
    return index


class Demo(NamedTuple):
    """What the demonstration found.

    Attributes:
        answers: By question and system, the best hits.
        report: What ``hybridret demo --json`` prints.
    """

    answers: dict[str, dict[str, list[Hit]]]
    report: dict[str, Any]


def run_demo(output: Path, progress: Progress | None = None) -> Demo:
    """Indexes the built-in corpus, asks a few questions and measures on the test questions.

    Args:
        output: Folder of the bundle; one that holds this corpus is opened instead of being written.
        progress: Told how far the work is.

    Returns:
        The answers and the report; its ``seconds`` are those of indexing and of the whole.
    """
    start = time.perf_counter()
    documents = read_corpus(PYTHON_DOCS)
    index = _index(documents, output, progress)
    indexed = time.perf_counter()
    dataset = read_dataset(PYTHON_DOCS, "test", {document.doc_id for document in documents})
    answers = {
        question: {
            system: index.search([question], _SHOWN, retrievers=retrievers)[0] for system, retrievers in SYSTEMS.items()
        }
        for question in QUESTIONS
    }
    metrics = evaluate(index, dataset, progress)
    seconds = {"index": round(indexed - start, 1), "total": round(time.perf_counter() - start, 1)}
    return Demo(
        answers,
        {
            "documents": len(documents),
            "questions": len(dataset.queries),
            "dropped_questions": dataset.dropped,
            "seconds": seconds["total"],
            "index_seconds": seconds["index"],
            "split": "test",
            "queries": len(dataset.queries),
            "metrics": metrics,
        },
    )
