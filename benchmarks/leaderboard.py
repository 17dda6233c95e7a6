"""The leaderboard: each retriever and the hybrid untrained, trained on made questions, and trained on labelled ones.

``python -m benchmarks.leaderboard NAME... [--minutes 10] [--split test]``. Dense and docid get the same questions
and the same time. A collection is written when it is measured; those that are there with the same settings are kept.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import FOLDER, read_result, write_result
from benchmarks.significance import gains
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
REPORTED = ("questions", "steps", "decision", "whitening", "docid", "seconds")
Values = Mapping[str, Mapping[str, Mapping[str, float]]]


def main() -> None:
    """Measures the collections that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help=f"collections in $HYBRIDRET_DATA, or {PYTHON_DOCS}")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args()
    entries = read_result(NAME)["result"] if (FOLDER / f"{NAME}.json").is_file() else {}
    settings = {"minutes": arguments.minutes, "split": arguments.split, "docid share": SHARE, "seed": SEED}
    for name in arguments.names:
        if entries.get(name, {}).get("settings") != settings:
            entries[name] = {"settings": settings, **measure(name, arguments.minutes, arguments.split)}
            write_result(NAME, dict(sorted(entries.items())))


def measure(name: str, minutes: float, split: str) -> dict[str, Any]:
    """Brings a collection into each state and asks its questions.

    Args:
        name: The collection.
        minutes: Time for training.
        split: Whose questions are asked.

    Returns:
        ``questions``: how many; ``states``: by state ``systems``, by system and measure the ``gain`` over the same
        system untrained, and what training reports, or ``not run``: why.
    """
    source = find_source(name)
    documents = read_corpus(source)
    dataset = read_dataset(source, split, {document.doc_id for document in documents})
    states: dict[str, Any] = {}
    untrained: Values = {}
    for state in STATES:
        questions = _labelled(source, documents) if state == "labels" else []
        if state == "labels" and not questions:
            states[state] = {"not run": "the collection has no labelled questions to train on"}
            continue
        with tempfile.TemporaryDirectory() as folder, progress_bars() as progress:
            bundle, facts = Path(folder) / "bundle", {}
            if state == "untrained":
                index = HybridIndex.build(documents, make_encoder(), path=bundle, progress=progress, fit=True)
            else:
                recipe = changed(Recipe(), {"minutes": minutes, "seed": SEED, "docid": {"share": SHARE}}, NAME)
                report = finetune(documents, bundle, questions=questions, recipe=recipe, progress=progress)
                facts = {each: report[each] for each in REPORTED}
                index = HybridIndex.open(bundle)
            values = evaluate_queries(index, dataset, progress)
        untrained = untrained or values
        systems = {system: gains(own, untrained[system], MEASURES) for system, own in values.items()}
        states[state] = {"systems": systems, **facts}
    return {"questions": len(dataset.queries), "states": states}


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
