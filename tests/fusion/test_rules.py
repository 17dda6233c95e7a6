"""Fusion rules with their expected values as formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hybridret.errors import InputError
from hybridret.fusion import RULES, check_weights, convex, reciprocal_rank

EQUAL = np.array([0.5, 0.5])


def no_scores(ranks: np.ndarray) -> np.ndarray:
    return np.full(ranks.shape, np.nan)


def test_reciprocal_rank_sums_over_the_retrievers_that_ranked_a_candidate() -> None:
    ranks = np.array([[1, 2, 0, 3], [3, 0, 1, 0]])
    expected = [1 / (60 + 1) + 1 / (60 + 3), 1 / (60 + 2), 1 / (60 + 1), 1 / (60 + 3)]
    fused = reciprocal_rank(no_scores(ranks), ranks, np.ones(2))
    np.testing.assert_allclose(fused, expected, rtol=1e-15)


def test_reciprocal_rank_weighs_the_retrievers() -> None:
    ranks = np.array([[1, 2], [2, 1], [0, 3]])
    fused = reciprocal_rank(no_scores(ranks), ranks, np.array([0.7, 0.2, 0.1]))
    expected = [0.7 / (60 + 1) + 0.2 / (60 + 2), 0.7 / (60 + 2) + 0.2 / (60 + 1) + 0.1 / (60 + 3)]
    np.testing.assert_allclose(fused, expected, rtol=1e-15)


def test_convex_brings_scores_to_the_unit_interval() -> None:
    scores = np.array([[0.9, 0.5, 0.1], [0.0, 30.0, 10.0], [-7.0, -9.0, -8.0]])
    fused = convex(scores, np.zeros((3, 3), dtype=np.int64), np.array([0.5, 0.3, 0.2]))
    expected = [
        0.5 * 1 + 0.3 * 0 + 0.2 * 1,
        0.5 * (0.5 - 0.1) / (0.9 - 0.1) + 0.3 * 1 + 0.2 * 0,
        0.5 * 0 + 0.3 * (10 - 0) / (30 - 0) + 0.2 * (-8 + 9) / (-7 + 9),
    ]
    np.testing.assert_allclose(fused, expected, rtol=1e-12)


def test_convex_ignores_a_retriever_with_constant_scores() -> None:
    scores = np.array([[0.3, 0.3, 0.3], [1.0, 3.0, 2.0]])
    fused = convex(scores, np.ones((2, 3), dtype=np.int64), EQUAL)
    np.testing.assert_allclose(fused, [0.5 * 0, 0.5 * 1, 0.5 * (2 - 1) / (3 - 1)])


def test_convex_does_not_depend_on_offset_or_unit_of_scores() -> None:
    rng = np.random.default_rng(0)
    scores, ranks = rng.normal(size=(2, 50)), np.zeros((2, 50), dtype=np.int64)
    moved = scores * np.array([[100.0], [0.01]]) + np.array([[-5.0], [7.0]])
    np.testing.assert_allclose(convex(scores, ranks, EQUAL), convex(moved, ranks, EQUAL), atol=1e-9)


def test_convex_of_one_candidate_is_zero() -> None:
    assert convex(np.array([[0.8], [12.0]]), np.ones((2, 1), dtype=np.int64), EQUAL).tolist() == [0.0]


@pytest.mark.parametrize("rule", RULES)
def test_no_candidates_give_no_scores(rule: str) -> None:
    assert RULES[rule](np.zeros((2, 0)), np.zeros((2, 0), dtype=np.int64), EQUAL).shape == (0,)


@pytest.mark.parametrize("rule", RULES)
def test_rules_leave_their_arguments_alone(rule: str) -> None:
    scores, ranks, weights = np.array([[1.0, 2.0], [4.0, 3.0]]), np.array([[2, 1], [0, 1]]), np.array([0.6, 0.4])
    RULES[rule](scores, ranks, weights)
    assert scores.tolist() == [[1.0, 2.0], [4.0, 3.0]]
    assert ranks.tolist() == [[2, 1], [0, 1]]
    assert weights.tolist() == [0.6, 0.4]


def test_weights_are_normalised_over_those_that_take_part() -> None:
    weights = {"dense": 3, "bm25": 1.0, "docid": 4}
    assert check_weights(weights, ["dense", "bm25"]).tolist() == [3 / 4, 1 / 4]
    assert check_weights(weights, ["docid", "dense", "bm25"]).tolist() == [4 / 8, 3 / 8, 1 / 8]
    assert check_weights({"dense": 2}, ["bm25", "dense"]).tolist() == [0, 1]


@pytest.mark.parametrize("weights", [{}, {"dense": 0, "bm25": 0.0}, {"docid": 1}])
def test_equal_weights_where_all_that_take_part_weigh_nothing(weights: dict[str, float]) -> None:
    assert check_weights(weights, ["dense", "bm25"]).tolist() == [1 / 2, 1 / 2]


@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf, -math.inf, "much", None])
def test_weights_that_are_no_numbers_from_zero_up_are_rejected(weight: float) -> None:
    with pytest.raises(InputError, match="weight of bm25"):
        check_weights({"dense": 1, "bm25": weight}, ["dense", "bm25"])


def test_weight_of_an_unknown_retriever_is_rejected() -> None:
    with pytest.raises(InputError, match=r"'splade'.*dense, bm25, docid"):
        check_weights({"splade": 1}, ["dense"])


SCORES = np.array([[0.9, 0.5, 0.1], [0.0, 30.0, 10.0]])
RANKS = np.array([[1, 2, 0], [0, 1, 2]])


def test_standard_scores_are_deviations_from_the_mean() -> None:
    fused = RULES["standard"](SCORES, RANKS, np.array([0.6, 0.4]))
    first, second = math.sqrt((0.4**2 + 0 + 0.4**2) / 3), math.sqrt(((40 / 3) ** 2 + (50 / 3) ** 2 + (10 / 3) ** 2) / 3)
    expected = [
        0.6 * (0.9 - 0.5) / first + 0.4 * (0 - 40 / 3) / second,
        0.6 * 0 + 0.4 * (30 - 40 / 3) / second,
        0.6 * (0.1 - 0.5) / first + 0.4 * (10 - 40 / 3) / second,
    ]
    np.testing.assert_allclose(fused, expected, rtol=1e-12)


def test_calibrated_scores_are_summed_as_they_are() -> None:
    probabilities = np.array([[0.9, 0.5, 0.1], [0.0, 0.25, 1.0]])
    fused = RULES["calibrated"](probabilities, RANKS, np.array([0.6, 0.4]))
    expected = [0.6 * 0.9 + 0.4 * 0, 0.6 * 0.5 + 0.4 * 0.25, 0.6 * 0.1 + 0.4 * 1]
    np.testing.assert_allclose(fused, expected, rtol=1e-15)


def test_ranks_are_shares_of_the_candidates_and_equal_scores_share_the_best() -> None:
    scores = np.array([[0.9, 0.5, 0.5, 0.1], [1.0, 2.0, 3.0, 4.0]])
    fused = RULES["rank"](scores, np.zeros((2, 4), dtype=np.int64), EQUAL)
    expected = [
        0.5 * (1 - 0 / 4) + 0.5 * (1 - 3 / 4),
        0.5 * (1 - 1 / 4) + 0.5 * (1 - 2 / 4),
        0.5 * (1 - 1 / 4) + 0.5 * (1 - 1 / 4),
        0.5 * (1 - 3 / 4) + 0.5 * (1 - 0 / 4),
    ]
    np.testing.assert_allclose(fused, expected, rtol=1e-12)


def test_combmnz_multiplies_by_the_number_of_retrievers_that_returned_a_candidate() -> None:
    fused = RULES["combmnz"](SCORES, RANKS, EQUAL)
    expected = [1 * (0.5 * 1), 2 * (0.5 * (0.5 - 0.1) / (0.9 - 0.1) + 0.5 * 1), 1 * (0.5 * 10 / 30)]
    np.testing.assert_allclose(fused, expected, rtol=1e-12)
    alone = RULES["combmnz"](SCORES, RANKS, np.array([0.0, 1.0]))
    np.testing.assert_allclose(alone, [0, 1, 10 / 30], rtol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_defines_constant_scores_ties_and_no_candidates(rule: str) -> None:
    fused = RULES[rule](np.ones((2, 4)), np.array([[1, 2, 3, 4], [1, 2, 3, 4]]), EQUAL)
    assert np.isfinite(fused).all()
    if rule != "rrf":
        assert len(set(fused.tolist())) == 1
    assert RULES[rule](np.ones((2, 0)), np.ones((2, 0), dtype=np.int64), EQUAL).shape == (0,)


@pytest.mark.parametrize("rule", RULES)
def test_a_higher_score_and_a_better_rank_never_lower_a_candidate(rule: str) -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        scores = generator.random((2, 6))
        ranks = np.argsort(np.argsort(-scores, axis=1), axis=1) + 1
        fused = RULES[rule](scores, ranks, EQUAL)
        best = np.flatnonzero((ranks == 1).all(axis=0))
        if len(best):
            assert fused.argmax() == best[0]
