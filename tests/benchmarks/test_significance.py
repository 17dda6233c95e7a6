"""Tests of significance: by formulas, against scipy, and on systems that do not differ."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from benchmarks.significance import ALPHA, bootstrap_test, compare, holm, intervals, resampled_means, t_test


def test_the_false_positive_rate_is_what_it_claims_to_be() -> None:
    """A thousand comparisons of systems whose answers were exchanged at random, question by question."""
    generator = np.random.default_rng(0)
    n_questions, n_comparisons = 150, 1000
    values = generator.choice([0.0, 0.0, 0.39, 0.5, 0.63, 1.0, 1.0], (n_questions, 2 * n_comparisons))
    swapped = generator.random((n_questions, n_comparisons)) < 0.5
    left, right = values[:, :n_comparisons], values[:, n_comparisons:]
    first, second = np.where(swapped, right, left), np.where(swapped, left, right)
    means = resampled_means(first - second, resamples=1000)
    by_t = [t_test(first[:, at], second[:, at]) < ALPHA for at in range(n_comparisons)]
    by_bootstrap = [
        bootstrap_test(means[:, at], float((first - second)[:, at].mean())) < ALPHA for at in range(n_comparisons)
    ]
    assert np.mean(by_t) == pytest.approx(0.05, abs=0.015)
    assert np.mean(by_bootstrap) == pytest.approx(0.05, abs=0.015)


def test_the_t_test_is_that_of_one_sample_of_differences() -> None:
    generator = np.random.default_rng(1)
    first, second = generator.random(40), generator.random(40)
    assert t_test(first, second) == pytest.approx(ttest_1samp(first - second, 0).pvalue)


def test_systems_that_agree_everywhere_do_not_differ() -> None:
    (same,) = compare({"a": [0.1, 0.5], "b": [0.1, 0.5]}, [("a", "b")])
    assert (same.difference, same.p_t, same.p_bootstrap, same.p_holm) == (0, 1, 1, 1)
    assert not same.is_significant


def test_a_difference_on_every_question_is_found() -> None:
    generator = np.random.default_rng(2)
    base = generator.random(60)
    (found,) = compare({"a": list(base + 0.1 + 0.01 * generator.random(60)), "b": list(base)}, [("a", "b")])
    assert found.is_significant
    assert found.low < found.difference < found.high
    assert found.low > 0.1


def test_holm_multiplies_by_the_comparisons_that_are_left() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([3 * 0.01, 2 * 0.03, 2 * 0.03])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_draws_are_means_of_questions_drawn_with_replacement() -> None:
    values = np.random.default_rng(3).random((7, 2))
    drawn = np.random.default_rng(0).integers(0, 7, (500, 7))
    assert resampled_means(values, 500, 0) == pytest.approx(values[drawn].mean(axis=1))
    low, high = intervals(values, 500)
    assert (low < values.mean(axis=0)).all()
    assert (high > values.mean(axis=0)).all()


def test_two_runs_with_one_seed_agree_and_another_seed_draws_anew() -> None:
    values = {"a": [0.0, 1.0, 0.5, 0.3], "b": [0.2, 0.9, 0.1, 0.3]}
    assert compare(values, [("a", "b")], seed=1) == compare(values, [("a", "b")], seed=1)
    assert not np.array_equal(resampled_means([[1.0], [2.0], [4.0]], seed=1), resampled_means([[1.0], [2.0], [4.0]]))


def test_systems_of_different_questions_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same questions"):
        compare({"a": [1.0], "b": [1.0, 0.0]}, [("a", "b")])
