"""How many poisoned documents are noticed before they are indexed, and how many sound ones are suspected."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.attacks import ATTACKS, SEED, poisoned
from benchmarks.collection import Collection
from benchmarks.robustness import part_of
from hybridret.data.dataset import Dataset
from hybridret.data.poison import Detector
from hybridret.data.poison.screening import SAMPLE
from hybridret.types import Document

QUESTIONS, SHARE = 200, 0.01


def detection(collection: Collection) -> dict[str, Any]:
    """Looks at a collection's documents as if half of them were indexed and the others arrived, then the other way.

    Args:
        collection: Documents and questions, of which at most 200 are drawn.

    Returns:
        The share of sound documents that are suspected, milliseconds of processor time a document, and by attack the
        share of poisoned documents that are noticed (recall), also where one in a hundred of the index's own documents
        is poisoned, and the precision where one in a hundred of those that arrive is:
        ``recall * .01 / (recall * .01 + suspected * .99)``.
    """
    dataset = part_of(collection, QUESTIONS)
    order = np.random.default_rng(SEED).permutation(len(collection.documents)).tolist()
    halves = [[collection.documents[place] for place in order[start::2]] for start in (0, 1)]
    suspected: list[bool] = []
    noticed: dict[str, list[bool]] = {attack: [] for attack in ATTACKS}
    noticed_by_spoilt: dict[str, list[bool]] = {attack: [] for attack in ATTACKS}
    seconds = 0.0
    for known, arriving in (halves, halves[::-1]):
        detector = Detector(document.text for document in known[:SAMPLE])
        spoilt = Detector(document.text for document in _spoilt(known[:SAMPLE], dataset))
        start = time.process_time()
        suspected += _suspected(detector, arriving)
        seconds += time.process_time() - start
        for attack in ATTACKS:
            bad = poisoned(arriving, dataset, attack)
            noticed[attack] += _suspected(detector, bad)
            noticed_by_spoilt[attack] += _suspected(spoilt, bad)
    wrong = float(np.mean(suspected))
    return {
        "documents": len(suspected),
        "questions": len(dataset.queries),
        "share": SHARE,
        "suspected": wrong,
        "ms_a_document": 1000 * seconds / len(suspected),
        "attacks": {
            attack: {
                "recall": (recall := float(np.mean(found))),
                "precision": _precision(recall, wrong),
                "recall in a poisoned index": float(np.mean(noticed_by_spoilt[attack])),
            }
            for attack, found in noticed.items()
        },
    }


def _suspected(detector: Detector, documents: Sequence[Document]) -> list[bool]:
    return [bool(detector.reasons(document.text)) for document in documents]


def _spoilt(documents: Sequence[Document], dataset: Dataset) -> list[Document]:
    """The documents, one in a hundred replaced by a poisoned one, attacks in turn."""
    n_bad = max(1, round(SHARE * len(documents)))
    kinds = [poisoned(documents, dataset, attack) for attack in ATTACKS]
    bad = [kinds[at % len(kinds)][at % len(dataset.queries)] for at in range(n_bad)]
    return [*documents[:-n_bad], *bad]


def _precision(recall: float, wrong: float) -> float:
    right, false = SHARE * recall, (1 - SHARE) * wrong
    return right / (right + false) if right + false else 0.0
