"""The learned ranker: sums, probabilities, thresholds, and what is stored of it."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from hybridret.fusion import EVIDENCE, Ranker, Spread
from hybridret.fusion.ranker import HIGHEST_OFF_TOPIC

EXAMPLE = Ranker(
    (1.0, 2.0, 3.0, 4.0, 5.0, 6.0),
    Spread(0.2, 0.1),
    0.5,
    -1.0,
    (0.1, 0.2, 0.3, 0.4),
    {"trust": 1.0},
    support=2.0,
    off_topic=(0.01, 0.02, 0.03, 0.04),
)


def test_sums_probabilities_and_contributions_are_their_formulas() -> None:
    row = np.array([0.1, 0.2, 0.3, 0.4, 0.5, -0.6])
    total = 1 * 0.1 + 2 * 0.2 + 3 * 0.3 + 4 * 0.4 + 5 * 0.5 - 6 * 0.6
    assert EXAMPLE.sums(row[None]) == pytest.approx([total])
    assert EXAMPLE.probabilities(np.array([total]), 0.7) == pytest.approx([1 / (1 + math.exp(-(0.5 * total + 0.7)))])
    assert EXAMPLE.contributions(np.stack([row * 2, row]), 1) == pytest.approx(
        {"dense": 1 * 0.1, "bm25": 2 * 0.2 + 3 * 0.3 + 4 * 0.4, "both": 5 * 0.5, "docid": -6 * 0.6}
    )


@pytest.mark.parametrize("n", [0, 1, 4, 30])
def test_a_querys_topicality_is_the_mean_of_its_ten_highest_cosines(n: int) -> None:
    table = np.random.default_rng(0).normal(size=(n, len(EVIDENCE)))
    highest = sorted(table[:, 0].tolist(), reverse=True)[:10]
    topicality = sum(highest) / len(highest) if highest else 0.0
    assert EXAMPLE.shift(table) == pytest.approx(2.0 * topicality - 1.0)


def test_off_topic_questions_pass_a_threshold_no_more_often_than_was_asked() -> None:
    """Of n exchangeable scores a new one is above the k-th highest with probability k / (n + 1)."""
    assert EXAMPLE.threshold(1 / 5) == np.nextafter(0.04, 1)
    assert EXAMPLE.threshold(3 / 5) == np.nextafter(0.02, 1)
    generator, passed = np.random.default_rng(0), []
    for _ in range(2000):
        scores = 0.9 * generator.random(50)
        fitted = Ranker(off_topic=tuple(sorted(scores[:49].tolist())))
        passed.append(scores[49] >= fitted.threshold(0.1))
    assert np.mean(passed) == pytest.approx(0.1, abs=0.02)


def test_a_corpus_about_everything_keeps_no_right_document_out_for_being_sure() -> None:
    """Where most questions on everyday matters are answered, their scores are those of answers."""
    assert Ranker(off_topic=(0.2, *[0.999] * 48)).threshold() == HIGHEST_OFF_TOPIC


def test_right_documents_miss_a_threshold_no_more_often_than_was_asked() -> None:
    """Of n exchangeable scores a new one is below the k-th lowest with probability k / (n + 1)."""
    assert EXAMPLE.threshold(missed=1 / 5) == 0.1
    assert EXAMPLE.threshold(missed=3 / 5) == 0.3
    generator, missed = np.random.default_rng(0), []
    for _ in range(2000):
        scores = generator.random(50)
        fitted = Ranker(scores=tuple(sorted(scores[:49].tolist())))
        missed.append(scores[49] < fitted.threshold(missed=0.1))
    assert np.mean(missed) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("share", [0.0, 1.0, 0.01, -1.0, math.nan])
def test_a_threshold_that_cannot_be_had_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="cannot be had from 4 off-topic questions"):
        EXAMPLE.threshold(share)
    with pytest.raises(ValueError, match="cannot be had from 4 labelled questions"):
        EXAMPLE.threshold(missed=share)


@pytest.mark.parametrize("labels_taken", [False, True])
def test_what_an_earlier_version_fitted_without_labels_is_not_used(labels_taken: bool) -> None:
    """It may be the fit to questions that said nothing."""
    report = {"shipped": "dense", "labels_taken": labels_taken}
    old = {**EXAMPLE.as_json(), "weights": [1.0, 0.0, 0.0, 0.0, 0.0, 0.0], "slope": 1e-9, "report": report}
    old = {name: value for name, value in old.items() if name not in {"support", "off_topic"}}
    read = Ranker.from_json(old)
    assert read.spread == EXAMPLE.spread
    if labels_taken:
        assert (read.weights, read.slope, read.support) == ((1.0, 0, 0, 0, 0, 0), 1e-9, 0.0)
    else:
        assert read == Ranker(spread=EXAMPLE.spread, report=read.report)
        assert "fit again" in read.report["reason"]


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
        {"off_topic": [math.nan]},
        {"support": -1.0},
        {"report": 3},
        {"more": 1},
    ],
)
def test_what_is_no_ranker_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Ranker.from_json({**EXAMPLE.as_json(), **change})
