"""Each retriever's scores as probabilities of relevance, for the rule ``calibrated``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hybridret.fusion.evidence import EVIDENCE
from hybridret.fusion.training import Judged, fit_calibration
from hybridret.types import ScoreArray

MEASURED = {"dense": "cosine", "bm25": "bm25_share", "docid": "docid"}
"""The column of the evidence that a retriever's scores come as."""
_DEEP = 10
_FINITE = 700.0
_LEAST = 1e-30
"""Room for a million lower 32-bit floats above 0."""


class Sigmoid(NamedTuple):
    """Turns one retriever's evidence into a probability of relevance: ``sigmoid(slope * evidence + offset)``.

    Attributes:
        slope: Above 0.
        offset: Any number.
    """

    slope: float
    offset: float

    def __call__(self, evidence: ScoreArray) -> ScoreArray:
        """The probabilities. *Shape:* that of the evidence."""
        logits = np.clip(self.slope * evidence + self.offset, -_FINITE, _FINITE)
        probabilities: ScoreArray = 1.0 / (1.0 + np.exp(-logits))
        return keep_order(probabilities, evidence)


def keep_order(scores: ScoreArray, sums: ScoreArray) -> ScoreArray:
    """Scores in exactly the order of the sums that a rising map made them of, also as 32-bit floats.

    A sigmoid saturates, and a flat one gives all candidates nearly one value: different sums then come out equal, or
    equal once they are rounded. Where that happens, a score is lowered to the next 32-bit float below the score before
    it, so that whoever sorts by scores gets the order of the sums. Other scores stay as they are.

    Args:
        scores: *Shape:* (n,), float64, finite, in [0, 1].
        sums: *Shape:* (n,), float64, finite, what the scores were made of.

    Returns:
        *Shape:* (n,), float64: higher where the sum is higher, equal where the sums are equal.
    """
    order = np.argsort(-sums, kind="stable")
    lower = np.diff(sums[order]) < 0
    rounded = scores[order].astype(np.float32)
    if (np.diff(rounded)[lower] < 0).all() and (np.diff(scores[order])[~lower] == 0).all():
        return scores
    ordered = np.maximum(scores[order], _LEAST)
    for place in range(1, len(ordered)):
        above = np.float32(ordered[place - 1])
        if not lower[place - 1]:
            ordered[place] = ordered[place - 1]
        elif not np.float32(ordered[place]) < above:
            ordered[place] = np.nextafter(above, np.float32(-1.0))
    result = np.empty_like(ordered)
    result[order] = ordered
    return result


USUAL: Mapping[str, Sigmoid] = {
    "dense": Sigmoid(0.493, -3.706),
    "bm25": Sigmoid(6.948, -4.266),
    "docid": Sigmoid(1.334, 1.374),
}
"""Fitted to the train and dev questions of six collections together, by ``benchmarks/fusion_default.py``."""


def fit_sigmoids(questions: Sequence[Judged]) -> dict[str, Sigmoid]:
    """Fits each retriever's sigmoid to the ten candidates that it ranks highest for each question (Platt, 1999).

    Args:
        questions: Questions with known answers.

    Returns:
        By retriever; one whose evidence is the same for all candidates, as that of untrained docids is, is left out.
    """
    found: dict[str, Sigmoid] = {}
    for name, column in MEASURED.items() if questions else ():
        at = EVIDENCE.index(column)
        tops = [np.argsort(-each.evidence[:, at], kind="stable")[:_DEEP] for each in questions]
        values = np.concatenate([each.evidence[top, at] for each, top in zip(questions, tops, strict=True)])
        gains = np.concatenate([each.gains[top] for each, top in zip(questions, tops, strict=True)])
        if len(values) and np.ptp(values) > 0:
            found[name] = Sigmoid(*fit_calibration(values, (gains > 0).astype(np.float64)))
    return found
