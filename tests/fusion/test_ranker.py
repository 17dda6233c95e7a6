"""The learned ranker: sums, probabilities, thresholds, and what is stored of it."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from hybridret.fusion import EVIDENCE, Ranker, Spread

EXAMPLE = Ranker(
    (1.0, 2.0, 3.0, 4.0, 5.0, 6.0), Spread(0.2, 0.1), 0.5, -1.0, (0.1, 0.2, 0.3, 0.4), {"shipped": "learned"}
)


def test_sums_probabilities_and_contributions_are_their_formulas() -> None:
    row = np.array([0.1, 0.2, 0.3, 0.4, 0.5, -0.6])
    total = 1 * 0.1 + 2 * 0.2 + 3 * 0.3 + 4 * 0.4 + 5 * 0.5 - 6 * 0.6
    assert EXAMPLE.sums(row[None]) == pytest.approx([total])
    assert EXAMPLE.probabilities(np.array([total])) == pytest.approx([1 / (1 + math.exp(-(0.5 * total - 1)))])
    assert EXAMPLE.contributions(np.stack([row * 2, row]), 1) == pytest.approx(
        {"dense": 1 * 0.1, "bm25": 2 * 0.2 + 3 * 0.3 + 4 * 0.4, "both": 5 * 0.5, "docid": -6 * 0.6}
    )


@pytest.mark.parametrize(("name", "column"), [("dense", "cosine"), ("bm25", "bm25_share"), ("docid", "docid")])
def test_a_single_retrievers_ranker_orders_by_it(name: str, column: str) -> None:
    table = np.random.default_rng(0).normal(size=(9, len(EVIDENCE)))
    np.testing.assert_array_equal(Ranker.single(name).sums(table), table[:, EVIDENCE.index(column)])


def test_thresholds_miss_no_more_than_was_asked() -> None:
    """Of n exchangeable scores a new one is below the k-th lowest with probability k / (n + 1)."""
    assert EXAMPLE.threshold(1 / 5) == 0.1
    assert EXAMPLE.threshold(3 / 5) == 0.3
    generator, missed = np.random.default_rng(0), []
    for _ in range(2000):
        scores = generator.random(50)
        fitted = Ranker(scores=tuple(sorted(scores[:49].tolist())))
        missed.append(scores[49] < fitted.threshold(0.1))
    assert np.mean(missed) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("missed", [0.0, 1.0, 0.01, -1.0])
def test_a_threshold_that_cannot_be_had_is_refused(missed: float) -> None:
    with pytest.raises(ValueError, match="cannot be had from 4"):
        EXAMPLE.threshold(missed)


def test_a_ranker_of_a_bundle_from_before_docids_were_evidence_is_read() -> None:
    old = {**EXAMPLE.as_json(), "weights": [1.0, 2.0, 3.0, 4.0, 5.0]}
    assert Ranker.from_json(old).weights == (1.0, 2.0, 3.0, 4.0, 5.0, 0.0)


def test_a_ranker_comes_back_from_json() -> None:
    assert Ranker.from_json(json.loads(json.dumps(EXAMPLE.as_json()))) == EXAMPLE
    assert Ranker.from_json(json.loads(json.dumps(Ranker().as_json()))) == Ranker()


@pytest.mark.parametrize(
    "change",
    [
        {"weights": [1.0]},
        {"weights": [1.0, 2.0, 3.0, 4.0, math.nan]},
        {"weights": None},
        {"spread": [0.1, 0.0]},
        {"spread": [0.1]},
        {"slope": 0.0},
        {"slope": "much"},
        {"offset": math.inf},
        {"scores": [[1]]},
        {"report": 3},
        {"more": 1},
    ],
)
def test_what_is_no_ranker_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Ranker.from_json({**EXAMPLE.as_json(), **change})
