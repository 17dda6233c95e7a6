"""How well systems answer: measures by ir-measures, files by question, tests of significance."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.collection import Collection
from benchmarks.significance import as_json, compare, intervals
from benchmarks.slices import Runs, complementarity, oracle, sliced
from benchmarks.systems import HYBRID, RETRIEVERS, RRF, Answer
from hybridret.evaluation import measure_run

MEASURES = (
    "nDCG@10",
    "RR@10",
    "AP",
    "Recall@1",
    "Recall@10",
    "Recall@100",
    "Success@1",
    "Success@5",
    "Success@10",
)
PRIMARY = "nDCG@10"
_CORE = (HYBRID, *RETRIEVERS, RRF)
Values = dict[str, dict[str, dict[str, float]]]


def measured(runs: Runs, collection: Collection) -> Values:
    """By system, measure and query id the value; answers are a hundred deep, and so is AP."""
    return {
        system: measure_run({query: dict(answer) for query, answer in run.items()}, collection.dataset, MEASURES)
        for system, run in runs.items()
    }


def quality(runs: Runs, collection: Collection) -> dict[str, Any]:
    """What is reported of a collection.

    Args:
        runs: By system and query id the answers, best first.
        collection: What was asked.

    Returns:
        Means with 95 % bootstrap intervals, comparisons on nDCG@10, what an oracle would gain, what one retriever
        finds alone, and nDCG@10 by slice.
    """
    values = measured(runs, collection)
    primary = {system: own[PRIMARY] for system, own in values.items()}
    retrievers = [name for name in RETRIEVERS if name in runs]
    core = [name for name in _CORE if name in runs]
    pairs = list(combinations(core, 2))
    if HYBRID in runs:
        pairs += [(HYBRID, name) for name in runs if name not in core]
    return {
        "split": collection.split,
        "documents": len(collection.documents),
        "questions": len(collection.dataset.queries),
        "dropped": collection.dataset.dropped,
        "systems": _means(values),
        "comparisons": [
            as_json(each) for each in compare({name: list(own.values()) for name, own in primary.items()}, pairs)
        ],
        "oracle": oracle(primary, retrievers),
        "complementarity": complementarity(runs, collection.dataset.qrels, retrievers),
        "slices": sliced(collection, primary),
    }


def _means(values: Values) -> dict[str, dict[str, dict[str, float]]]:
    columns = [(system, measure) for system, own in values.items() for measure in own]
    table = np.array([list(values[system][measure].values()) for system, measure in columns]).T
    lows, highs = intervals(table)
    found: dict[str, dict[str, dict[str, float]]] = {system: {} for system in values}
    for at, (system, measure) in enumerate(columns):
        found[system][measure] = {
            "mean": float(table[:, at].mean()),
            "low": float(lows[at]),
            "high": float(highs[at]),
        }
    return found


def write_questions(path: Path, runs: Runs, collection: Collection) -> None:
    """Writes what the means are made of: a line a question with its judgements, every system's hits and measures.

    Args:
        path: The JSON lines file.
        runs: By system and query id the answers, best first.
        collection: What was asked.
    """
    values = measured(runs, collection)
    questions = [
        {
            "_id": query,
            "text": text,
            "judged": collection.dataset.qrels[query],
            "systems": {
                system: {
                    "hits": list(run[query].items()),
                    "measures": {measure: values[system][measure][query] for measure in MEASURES},
                }
                for system, run in runs.items()
            },
        }
        for query, text in collection.dataset.queries.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in questions), encoding="utf-8")


def read_runs(path: Path) -> dict[str, dict[str, Answer]]:
    """The runs that ``write_questions`` wrote, by system and query id."""
    runs: dict[str, dict[str, Answer]] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            question = json.loads(line)
            for system, found in question["systems"].items():
                runs.setdefault(system, {})[question["_id"]] = dict(found["hits"])
    return runs
