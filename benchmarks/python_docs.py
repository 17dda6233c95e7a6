"""The built-in collection: each retriever on the test questions with bootstrap intervals, and how far judges agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from benchmarks.results import write_result
from hybridret.data.dataset import read_dataset
from hybridret.data.readers import PYTHON_DOCS, read_corpus
from hybridret.dense import make_encoder
from hybridret.evaluation import evaluate_queries
from hybridret.hybrid import HybridIndex

REJUDGED = Path(__file__).parent / "data" / "python_docs_rejudged.jsonl"
RESAMPLES, SEED = 10_000, 0


def main() -> None:
    """Measures on the test questions and compares the two judges of thirty of them."""
    documents = read_corpus(PYTHON_DOCS)
    dataset = read_dataset(PYTHON_DOCS, "test", {document.doc_id for document in documents})
    measured = evaluate_queries(HybridIndex.build(documents, make_encoder(), fit=True), dataset)
    systems = {
        system: {measure: _interval(list(values.values())) for measure, values in measures.items()}
        for system, measures in measured.items()
    }
    write_result(
        "python_docs",
        {
            "documents": len(documents),
            "questions": len(dataset.queries),
            "dropped": dataset.dropped,
            "systems": systems,
            "agreement": agreement(dataset.qrels),
        },
    )


def agreement(first: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Compares the first judge's grades with those of a second one who saw the candidates in random order, ungraded.

    Returns:
        The number of questions and of judged pairs, and for grades (0, 1, 2) and for relevant-or-not the share of
        pairs judged alike and Cohen's kappa.
    """
    pairs = []
    questions = [json.loads(line) for line in REJUDGED.read_text(encoding="utf-8").splitlines()]
    for question in questions:
        grades = first.get(question["_id"], {})
        pairs += [(grades.get(doc, 0), question["grades"].get(doc, 0)) for doc in question["candidates"]]
    table = np.array(pairs)
    return {
        "questions": len(questions),
        "pairs": len(pairs),
        "grades": _kappa(table),
        "relevant_or_not": _kappa((table > 0).astype(int)),
    }


def _kappa(table: Any) -> dict[str, float]:
    """Cohen, "A coefficient of agreement for nominal scales", 1960."""
    alike = float(np.mean(table[:, 0] == table[:, 1]))
    chance = float(sum(np.mean(table[:, 0] == grade) * np.mean(table[:, 1] == grade) for grade in np.unique(table)))
    return {"alike": alike, "kappa": (alike - chance) / (1 - chance)}


def _interval(values: list[float]) -> dict[str, float]:
    found = bootstrap(
        (np.array(values),), np.mean, n_resamples=RESAMPLES, rng=np.random.default_rng(SEED), method="percentile"
    )
    low, high = found.confidence_interval
    return {"mean": float(np.mean(values)), "low": float(low), "high": float(high)}


if __name__ == "__main__":
    main()
