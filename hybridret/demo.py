"""The demonstration: Python's documentation, indexed, asked and measured."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from hybridret.data.dataset import read_dataset
from hybridret.data.readers import PYTHON_DOCS, read_corpus
from hybridret.dense import make_encoder
from hybridret.evaluation import SYSTEMS, evaluate
from hybridret.hybrid import HybridIndex
from hybridret.types import Hit, Progress

QUESTIONS = (
    "run a shell command and get its output as a string",
    "cache the results of a function",
    "split a path into folder and file name",
)
_SHOWN = 5


class Demo(NamedTuple):
    """What the demonstration found.

    Attributes:
        answers: By question and system, the best hits.
        report: What ``hybridret demo --json`` prints.
    """

    answers: dict[str, dict[str, list[Hit]]]
    report: dict[str, Any]


def run_demo(progress: Progress | None = None) -> Demo:
    """Indexes the built-in corpus in memory, asks a few questions and measures on the test questions.

    Args:
        progress: Told how far the work is.

    Returns:
        The answers and the report; its ``seconds`` are those of indexing and of the whole.
    """
    start = time.perf_counter()
    documents = read_corpus(PYTHON_DOCS)
    index = HybridIndex.build(documents, make_encoder(), progress=progress, fit=True)
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
