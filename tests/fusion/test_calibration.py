"""Each retriever's evidence as a probability of relevance."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hybridret.fusion import EVIDENCE, USUAL, Ranker
from hybridret.fusion.calibration import MEASURED, Sigmoid, fit_sigmoids
from hybridret.fusion.training import Judged

N_QUESTIONS, N_CANDIDATES = 400, 30


def questions(**sigmoids: Sigmoid) -> list[Judged]:
    """Relevance drawn with the probability that the sigmoids give the evidence; other columns are 0."""
    generator, made = np.random.default_rng(0), []
    for _ in range(N_QUESTIONS):
        table = np.zeros((N_CANDIDATES, len(EVIDENCE)))
        gains = np.zeros(N_CANDIDATES)
        for name, sigmoid in sigmoids.items():
            values = generator.normal(size=N_CANDIDATES)
            table[:, EVIDENCE.index(MEASURED[name])] = values
            gains = (generator.random(N_CANDIDATES) < sigmoid(values)).astype(np.float64)
        made.append(Judged(table, gains, 1.0, np.zeros((2, N_CANDIDATES))))
    return made


def test_a_sigmoid_is_its_formula_and_far_values_do_not_overflow() -> None:
    found = Sigmoid(2.0, -1.0)(np.array([0.0, 0.5, 1e9, -1e9]))
    expected = [1 / (1 + math.exp(1)), 1 / 2, 1.0, math.exp(-700)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


SUMS = st.lists(
    st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, np.nextafter(1.0, 2.0), -1e3, 40.0, 80.0]), max_size=60
).map(np.array)
SLOPES, OFFSETS = st.floats(1e-12, 1e12), st.floats(-1e12, 1e12)


def assert_same_order(scores: np.ndarray, sums: np.ndarray) -> None:
    """As 64-bit and as 32-bit floats: higher where the sum is higher, equal where sums are equal."""
    for rounded in (scores, scores.astype(np.float32)):
        np.testing.assert_array_equal(
            np.sign(np.subtract.outer(rounded, rounded)), np.sign(np.subtract.outer(sums, sums))
        )
    assert ((scores >= 0) & (scores <= 1)).all()


@given(SUMS, SLOPES, OFFSETS)
@example(np.array([3.0, 2.0, 1.0]), 1e-12, -6.0)
@example(np.array([3.0, 2.0, 1.0]), 1e12, 0.0)
def test_no_calibration_changes_an_order(sums: np.ndarray, slope: float, offset: float) -> None:
    assert_same_order(Ranker(slope=slope).probabilities(sums, offset), sums)
    assert_same_order(Sigmoid(slope, offset)(sums), sums)


def test_scores_that_are_in_order_stay_as_they_are() -> None:
    sums = np.array([0.5, -2.0, 3.0])
    np.testing.assert_array_equal(Sigmoid(1.5, -1.0)(sums), 1 / (1 + np.exp(-(1.5 * sums - 1.0))))


@pytest.mark.parametrize("name", MEASURED)
def test_the_fit_finds_the_sigmoid_that_relevance_was_drawn_by(name: str) -> None:
    drawn = Sigmoid(1.5, -1.0)
    (found,) = fit_sigmoids(questions(**{name: drawn})).items()
    assert found[0] == name
    assert found[1] == pytest.approx(drawn, abs=0.15)


def test_a_retriever_that_tells_nothing_apart_is_left_out() -> None:
    assert set(fit_sigmoids(questions(dense=Sigmoid(1.0, 0.0)))) == {"dense"}
    assert fit_sigmoids([]) == {}


def test_the_usual_ones_rise() -> None:
    assert set(USUAL) == set(MEASURED)
    assert all(each.slope > 0 for each in USUAL.values())


def test_a_ranker_keeps_its_sigmoids_and_older_rankers_have_none() -> None:
    ranker = replace(Ranker(), sigmoids={"dense": Sigmoid(1.5, -2.0)})
    stored = json.loads(json.dumps(ranker.as_json()))
    assert Ranker.from_json(stored) == ranker
    del stored["sigmoids"]
    assert Ranker.from_json(stored) == Ranker()


@pytest.mark.parametrize("sigmoids", ["dense", [], 3, None])
def test_sigmoids_that_are_no_mapping_are_refused(sigmoids: object) -> None:
    with pytest.raises(ValueError, match="other entries than a ranker has"):
        Ranker.from_json({**Ranker().as_json(), "sigmoids": sigmoids})


@pytest.mark.parametrize("sigmoids", [{"dense": [0.0, 1.0]}, {"dense": [math.nan, 1.0]}, {"sparse": [1.0, 1.0]}])
def test_sigmoids_that_cannot_be_are_refused(sigmoids: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="numbers that cannot be"):
        Ranker.from_json({**Ranker().as_json(), "sigmoids": sigmoids})
