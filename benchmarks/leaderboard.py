"""The leaderboard: each retriever and the hybrid untrained, trained on made questions, and trained on labelled ones.

``python -m benchmarks.leaderboard NAME... [--minutes 10] [--split test]``. Dense and docid get the same questions
and the same time. Each entry is written when it is measured; those that are there with the same settings are kept.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import FOLDER, write_result
from finetune import Recipe, finetune
from finetune.recipe import changed
from finetune.types import Question
from hybridret.data.dataset import read_dataset
from hybridret.data.readers import PYTHON_DOCS, find_source, read_corpus
from hybridret.dense import make_encoder
from hybridret.display import progress_bars
from hybridret.evaluation import evaluate_queries
from hybridret.hybrid import HybridIndex
from hybridret.types import Document

NAME, SHARE, SEED = "leaderboard", 0.5, 0
STATES = ("untrained", "made questions", "labels")
MEASURES = ("nDCG@10", "Recall@1", "Recall@10")


def main() -> None:
    """Measures what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help=f"collections in $HYBRIDRET_DATA, or {PYTHON_DOCS}")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args()
    path = FOLDER / f"{NAME}.json"
    entries = json.loads(path.read_text(encoding="utf-8"))["result"] if path.is_file() else {}
    settings = {"minutes": arguments.minutes, "split": arguments.split, "docid share": SHARE, "seed": SEED}
    for name in arguments.names:
        for state in STATES:
            key = f"{name}, {state}"
            if entries.get(key, {}).get("settings") == settings:
                continue
            entries[key] = {"settings": settings, **measure(name, state, arguments.minutes, arguments.split)}
            write_result(NAME, dict(sorted(entries.items())))


def measure(name: str, state: str, minutes: float, split: str) -> dict[str, Any]:
    """Brings a collection into a state and asks its questions.

    Args:
        name: The collection.
        state: One of ``STATES``.
        minutes: Time for training.
        split: Whose questions are asked.

    Returns:
        ``systems``: by system the mean of each measure; and what training reports. ``not run`` and why where there is
        no labelled question.
    """
    source = find_source(name)
    documents = read_corpus(source)
    questions = _labelled(source, documents) if state == "labels" else []
    if state == "labels" and not questions:
        return {"not run": "the collection has no labelled questions to train on"}
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, progress_bars() as progress:
        bundle = Path(folder) / "bundle"
        if state == "untrained":
            index = HybridIndex.build(documents, make_encoder(), path=bundle, progress=progress, fit=True)
        else:
            recipe = changed(Recipe(), {"minutes": minutes, "seed": SEED, "docid": {"share": SHARE}}, NAME)
            report = finetune(documents, bundle, questions=questions, recipe=recipe, progress=progress)
            facts = {each: report[each] for each in ("questions", "steps", "decision", "docid", "seconds")}
            index = HybridIndex.open(bundle)
        dataset = read_dataset(source, split, {document.doc_id for document in documents})
        values = evaluate_queries(index, dataset, progress)
    systems = {
        system: {each: sum(measured[each].values()) / len(measured[each]) for each in MEASURES}
        for system, measured in values.items()
    }
    return {"systems": systems, **facts}


def _labelled(source: str, documents: Sequence[Document]) -> list[Question]:
    if source != PYTHON_DOCS and not Path(source, "qrels", "train.tsv").is_file():
        return []
    train = read_dataset(source, "train", {document.doc_id for document in documents})
    positives = {
        query: tuple(name for name, grade in found.items() if grade > 0) for query, found in train.qrels.items()
    }
    return [Question(query, text, positives[query]) for query, text in train.queries.items() if positives[query]]


if __name__ == "__main__":
    main()
