"""Fitting a ranker's weights and its calibration to questions with known answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hybridret.fusion.features import NO_FACTS
from hybridret.types import IntArray, ScoreArray

_DEEP = 10


class Judged(NamedTuple):
    """One question's candidates.

    Attributes:
        evidence: *Shape:* (n_candidates, n_evidence), float64.
        gains: *Shape:* (n_candidates,), float64, 0 where a candidate is not relevant.
        ideal: The questions's ideal DCG@10, over all its relevant documents.
        singles: *Shape:* (n_retrievers, n_candidates), float64, what each retriever alone orders by; -inf where it did
            not return the candidate.
        facts: *Shape:* (n_facts,), float64, what the query looks like, see ``query_facts``.
    """

    evidence: ScoreArray
    gains: ScoreArray
    ideal: float
    singles: ScoreArray
    facts: ScoreArray = NO_FACTS


def ndcg(scores: ScoreArray, judged: Judged) -> float:
    """nDCG@10 of one question, gains linear; equal scores in the order of the candidates."""
    order = np.argsort(-scores, kind="stable")[:_DEEP]
    order = order[scores[order] > -np.inf]
    return dcg(judged.gains[order]) / judged.ideal if judged.ideal > 0 else 0.0


def dcg(gains: ScoreArray) -> float:
    """Discounted cumulative gain: the sum of ``gain / log2(1 + rank)``."""
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum())


def fit_weights(
    groups: Sequence[Sequence[Judged]],
    prior: Sequence[float],
    strength: float,
    lowest: Sequence[float] | None = None,
) -> tuple[float, ...]:
    """Fits weights by listwise softmax regression, held to a prior.

    ListNet with top-one probabilities (Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach",
    ICML 2007, section 4.3): the mean over groups of the mean over a group's questions of
    ``-sum_i gain_i / sum(gain) * log softmax(weights . evidence)_i``, plus ``strength * |weights - prior|^2``.

    Args:
        groups: Questions of one kind each; every kind counts alike. Questions without a relevant candidate are left
            out.
        prior: Weights to stay near.
        strength: How strongly.
        lowest: What each weight may not fall below; None: they may be any numbers.

    Returns:
        The weights; the prior where no question is left.
    """
    from scipy.optimize import minimize

    usable = [[each for each in group if each.gains.sum() > 0] for group in groups]
    usable = [group for group in usable if group]
    if not usable:
        return tuple(prior)
    start = np.array(prior, dtype=np.float64)
    parts = [_stacked(group) for group in usable]

    def loss(weights: ScoreArray) -> tuple[float, ScoreArray]:
        total, gradient = strength * float(((weights - start) ** 2).sum()), 2 * strength * (weights - start)
        for table, targets, starts, owners in parts:
            sums = table @ weights
            sums -= np.maximum.reduceat(sums, starts)[owners]
            exponentials = np.exp(sums)
            totals = np.add.reduceat(exponentials, starts)
            share = 1 / (len(starts) * len(parts))
            total -= share * float((targets * (sums - np.log(totals)[owners])).sum())
            gradient = gradient + share * (table.T @ (exponentials / totals[owners] - targets))
        return total, gradient

    bounds = None if lowest is None else [(low, np.inf) for low in lowest]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return tuple(found.x.tolist())


def _stacked(group: Sequence[Judged]) -> tuple[ScoreArray, ScoreArray, IntArray, IntArray]:
    """All candidates of a group under each other: evidence, target shares, where questions start, whose each one is."""
    table = np.concatenate([each.evidence for each in group])
    targets = np.concatenate([each.gains / each.gains.sum() for each in group])
    sizes = np.array([len(each.gains) for each in group])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return table, targets, starts, np.repeat(np.arange(len(group)), sizes)


def fit_calibration(sums: ScoreArray, is_relevant: ScoreArray) -> tuple[float, float]:
    """Fits slope and offset of the sigmoid that turns sums into probabilities of relevance.

    Platt, "Probabilistic Outputs for Support Vector Machines", 1999, with his smoothed targets.

    Args:
        sums: *Shape:* (n,), float64.
        is_relevant: *Shape:* (n,), float64, 1 or 0.

    Returns:
        Slope, above 0, and offset.
    """
    from scipy.optimize import minimize

    n_relevant = is_relevant.sum()
    high, low = (n_relevant + 1) / (n_relevant + 2), 1 / (len(sums) - n_relevant + 2)
    targets = np.where(is_relevant > 0, high, low)
    middle, scale = float(sums.mean()), float(sums.std()) or 1.0
    standard = (sums - middle) / scale

    def loss(parameters: ScoreArray) -> float:
        logits = np.exp(parameters[0]) * standard + parameters[1]
        return float((np.logaddexp(0, logits) - targets * logits).sum())

    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"maxiter": 2000, "xatol": 1e-6, "fatol": 1e-9})
    slope = float(np.exp(found.x[0])) / scale
    return slope, float(found.x[1]) - slope * middle
