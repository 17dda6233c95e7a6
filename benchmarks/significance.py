"""Whether one system is better than another on the same questions: paired tests, corrected for how many there are."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hybridret.types import ScoreArray

RESAMPLES, SEED, ALPHA = 10_000, 0, 0.05
_BLOCK = 500


class Comparison(NamedTuple):
    """Two systems on one measure.

    Attributes:
        first: A system.
        second: The other one.
        difference: Mean of the first less that of the second.
        low: Lower end of its 95 % bootstrap interval.
        high: Upper end.
        p_t: Of the paired t-test, two-sided.
        p_bootstrap: Of the paired bootstrap, two-sided.
        p_holm: The larger of the two, corrected for all comparisons made together.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p_t: float
    p_bootstrap: float
    p_holm: float

    @property
    def is_significant(self) -> bool:
        """Whether chance is an unlikely explanation, after correction."""
        return self.p_holm < ALPHA


def resampled_means(values: ArrayLike, resamples: int = RESAMPLES, seed: int = SEED) -> ScoreArray:
    """Means over questions drawn with replacement, the same draw for every column.

    Args:
        values: *Shape:* (n_questions, n_columns).
        resamples: How many draws.
        seed: Seed of the draws.

    Returns:
        *Shape:* (resamples, n_columns), float64.
    """
    table = np.asarray(values, dtype=np.float64)
    generator, n_questions = np.random.default_rng(seed), len(table)
    blocks = []
    for start in range(0, resamples, _BLOCK):
        drawn = generator.integers(0, n_questions, (min(_BLOCK, resamples - start), n_questions))
        counts = np.zeros((len(drawn), n_questions))
        np.add.at(counts, (np.arange(len(drawn))[:, None], drawn), 1.0)
        blocks.append(counts @ table / n_questions)
    return np.concatenate(blocks)


def intervals(values: ArrayLike, resamples: int = RESAMPLES, seed: int = SEED) -> ScoreArray:
    """Ends of the 95 % percentile bootstrap intervals of the columns' means. *Shape:* (2, n_columns)."""
    ends: ScoreArray = np.quantile(resampled_means(values, resamples, seed), [ALPHA / 2, 1 - ALPHA / 2], axis=0)
    return ends


def t_test(first: ArrayLike, second: ArrayLike) -> float:
    """Two-sided p of the paired t-test; 1 where no question tells the systems apart."""
    from scipy.stats import ttest_rel

    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if not differences.any():
        return 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy, where all differences are alike
        p = float(ttest_rel(first, second).pvalue)
    return 1.0 if np.isnan(p) else p


def gains(
    own: Mapping[str, Mapping[str, float]], rival: Mapping[str, Mapping[str, float]], measures: Sequence[str]
) -> dict[str, dict[str, float]]:
    """By measure a system's ``mean``, its ``gain`` over a rival on the same questions, and ``p`` of the t-test.

    Args:
        own: The system's values by measure and question.
        rival: The rival's.
        measures: Which measures.
    """
    told = {}
    for each in measures:
        values, others = list(own[each].values()), list(rival[each].values())
        difference = (sum(values) - sum(others)) / len(values)
        told[each] = {"mean": sum(values) / len(values), "gain": difference, "p": t_test(values, others)}
    return told


def bootstrap_test(means: ScoreArray, difference: float) -> float:
    """Two-sided p of the paired bootstrap: how often a draw around 0 is as far from it as what was observed.

    Sakai, "Evaluating Evaluation Metrics based on the Bootstrap", SIGIR 2006, section 3.2, without studentising.

    Args:
        means: *Shape:* (resamples,), mean differences of the draws, around what was observed.
        difference: The observed mean difference.
    """
    if difference == 0:
        return 1.0
    as_far = np.abs(means - difference) >= abs(difference)
    return float((as_far.sum() + 1) / (len(means) + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects for several comparisons: Holm, "A simple sequentially rejective multiple test procedure", 1979."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for place, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[at]))
        adjusted[at] = highest
    return adjusted


def compare(
    values: Mapping[str, Sequence[float]],
    pairs: Sequence[tuple[str, str]],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[Comparison]:
    """Compares pairs of systems on the same questions.

    Args:
        values: By system a measure's value of each question, in one order.
        pairs: What is compared; the correction is for all of them.
        resamples: Draws of the bootstrap.
        seed: Seed of the draws.

    Returns:
        A comparison a pair, in their order.

    Raises:
        ValueError: Systems were measured on different numbers of questions.
    """
    if len({len(each) for each in values.values()}) > 1:
        raise ValueError("the systems were not measured on the same questions")
    if not pairs:
        return []
    table = np.array([np.subtract(values[first], values[second]) for first, second in pairs]).T
    means = resampled_means(table, resamples, seed)
    lows, highs = np.quantile(means, [ALPHA / 2, 1 - ALPHA / 2], axis=0)
    observed = table.mean(axis=0)
    by_t = [t_test(values[first], values[second]) for first, second in pairs]
    by_bootstrap = [bootstrap_test(means[:, at], float(observed[at])) for at in range(len(pairs))]
    corrected = holm([max(both) for both in zip(by_t, by_bootstrap, strict=True)])
    return [
        Comparison(*pair, float(observed[at]), float(lows[at]), float(highs[at]), by_t[at], by_bootstrap[at], p)
        for at, (pair, p) in enumerate(zip(pairs, corrected, strict=True))
    ]


def as_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison as results hold it."""
    return {**comparison._asdict(), "significant": comparison.is_significant}
