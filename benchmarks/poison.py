"""How far documents climb that were written to be found, and how many of them are noticed on their way in.

``python -m benchmarks.poison COLLECTION... --noticed COLLECTION...`` measures collections of ``$HYBRIDRET_DATA``, of
those after ``--noticed`` only the latter, which takes no model and no index.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.attacks import ATTACKS, PREFIX, poisoned
from benchmarks.collection import read_collection
from benchmarks.detection import detection
from benchmarks.quality import PRIMARY
from benchmarks.results import write_result
from benchmarks.robustness import part_of
from benchmarks.subject import Subject, build, open_subject
from benchmarks.systems import own_systems, run
from hybridret.data.dataset import Dataset
from hybridret.dense import make_encoder
from hybridret.evaluation import measure_run
from hybridret.types import Progress

QUESTIONS = 50


def main() -> None:
    """Measures collections one after another and writes ``results/poison.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.poison", description=__doc__)
    parser.add_argument("collection", nargs="*", help="measured in full")
    parser.add_argument("--noticed", nargs="*", default=[], metavar="COLLECTION", help="without an index")
    options = parser.parse_args()
    result: dict[str, Any] = {name: {"detection": detection(read_collection(name))} for name in options.noticed}
    for name in options.collection:
        collection, encoder = read_collection(name), make_encoder(None)
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder) / "bundle"
            build(collection, encoder, bundle)
            subject = open_subject(collection, bundle, encoder)
            result[name] = {"poison": poisoning(subject), "detection": detection(collection)}
    write_result("poison", result)


def poisoning(subject: Subject, progress: Progress | None = None) -> dict[str, Any]:
    """Adds poisoned documents to a copy of the index, one attack at a time.

    Args:
        subject: The index and its questions, of which at most 50 are drawn.
        progress: Told how far the work is.

    Returns:
        nDCG@10 before; by attack and system the share of questions that find their poisoned document first and among
        the first ten, and nDCG@10 with it.
    """
    dataset = part_of(subject.collection, QUESTIONS)
    found: dict[str, Any] = {"questions": len(dataset.queries), "before": {}, "attacks": {}}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "bundle"
        shutil.copytree(subject.bundle, copy)
        spoilt = open_subject(subject.collection, copy, subject.index.encoder)
        systems = own_systems(spoilt.index)
        found["before"] = {name: _values(run(search, dataset.queries), dataset) for name, search in systems.items()}
        for done, attack in enumerate(ATTACKS, 1):
            added = spoilt.index.add(poisoned(subject.collection.documents, dataset, attack))
            found["attacks"][attack] = {
                name: _climbed(run(search, dataset.queries), dataset) for name, search in systems.items()
            }
            spoilt.index.delete(added)
            if progress is not None:
                progress("poisoned documents", done, len(ATTACKS))
    return found


def _climbed(answers: dict[str, dict[str, float]], dataset: Dataset) -> dict[str, float]:
    places = [
        list(answer).index(PREFIX + query) + 1 if PREFIX + query in answer else np.inf
        for query, answer in answers.items()
    ]
    return {
        "first": float(np.mean([place == 1 for place in places])),
        "among ten": float(np.mean([place <= 10 for place in places])),
        PRIMARY: _values(answers, dataset),
    }


def _values(answers: dict[str, dict[str, float]], dataset: Dataset) -> float:
    return float(np.mean(list(measure_run(answers, dataset, (PRIMARY,))[PRIMARY].values())))


if __name__ == "__main__":
    main()
