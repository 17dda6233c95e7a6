"""Fitting weights and calibration, against formulas and a slow gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import log_softmax

from hybridret.fusion.training import Judged, dcg, fit_calibration, fit_weights, ndcg


def judged(generator: np.random.Generator, truth: np.ndarray, n: int = 12) -> Judged:
    table = generator.normal(size=(n, len(truth)))
    gains = np.zeros(n)
    gains[np.argmax(table @ truth + generator.gumbel(size=n) * 0.3)] = 1.0
    return Judged(table, gains, 1.0, np.stack([table[:, 0], table[:, 1]]))


def loss(groups: list[list[Judged]], weights: np.ndarray, prior: np.ndarray, strength: float) -> float:
    kinds = []
    for group in groups:
        each = [-(one.gains / one.gains.sum()) @ log_softmax(one.evidence @ weights) for one in group]
        kinds.append(np.mean(each))
    return float(np.mean(kinds) + strength * ((weights - prior) ** 2).sum())


def test_ndcg_is_its_formula() -> None:
    one = Judged(
        np.zeros((4, 1)), np.array([0.0, 2.0, 1.0, 0.0]), 2 / math.log2(2) + 1 / math.log2(3), np.zeros((2, 4))
    )
    expected = (1 / math.log2(2) + 2 / math.log2(4)) / (2 / math.log2(2) + 1 / math.log2(3))
    assert ndcg(np.array([0.5, 0.1, 0.9, 0.0]), one) == pytest.approx(expected)
    assert ndcg(np.array([0.5, -np.inf, 0.9, 0.0]), one) == pytest.approx(1 / (2 / math.log2(2) + 1 / math.log2(3)))
    assert dcg(np.array([3.0, 0.0, 1.0])) == 3 / math.log2(2) + 1 / math.log2(4)


@pytest.mark.parametrize("strength", [1e-3, 0.1])
def test_fitted_weights_are_where_the_loss_is_lowest(strength: float) -> None:
    generator = np.random.default_rng(0)
    truth, prior = np.array([2.0, -1.0, 0.5]), np.array([1.0, 1.0, 1.0])
    groups = [[judged(generator, truth) for _ in range(size)] for size in (5, 40)]
    found = np.array(fit_weights(groups, prior.tolist(), strength))
    lowest = loss(groups, found, prior, strength)
    for column in range(3):
        for step in (-1e-3, 1e-3):
            moved = found + step * np.eye(3)[column]
            assert loss(groups, moved, prior, strength) > lowest
    assert lowest < loss(groups, prior, prior, strength)


def test_the_prior_stays_without_questions_and_under_great_strength() -> None:
    generator = np.random.default_rng(1)
    unanswered = judged(generator, np.ones(2))._replace(gains=np.zeros(12))
    assert fit_weights([[unanswered], []], (0.5, 2.0), 0.1) == (0.5, 2.0)
    held = fit_weights([[judged(generator, np.array([9.0, -9.0]))]], (0.5, 2.0), 1e6)
    np.testing.assert_allclose(held, (0.5, 2.0), atol=1e-4)


def test_calibration_finds_the_sigmoid_that_made_the_labels() -> None:
    generator = np.random.default_rng(2)
    sums = generator.normal(3.0, 2.0, size=20_000)
    relevant = (generator.random(20_000) < 1 / (1 + np.exp(-(1.5 * sums - 4.0)))).astype(np.float64)
    slope, offset = fit_calibration(sums, relevant)
    assert slope == pytest.approx(1.5, abs=0.08)
    assert offset == pytest.approx(-4.0, abs=0.25)


def test_calibration_of_labels_against_the_order_keeps_the_order() -> None:
    slope, _ = fit_calibration(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 1.0, 0.0, 0.0]))
    assert slope > 0
