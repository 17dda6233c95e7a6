"""Fusion rules: pure functions over one query's candidates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hybridret.errors import InputError
from hybridret.types import RETRIEVERS, Fuser, IntArray, ScoreArray

RRF_CONSTANT = 60
CALIBRATED = "calibrated"


def reciprocal_rank(scores: ScoreArray, ranks: IntArray, weights: ScoreArray) -> ScoreArray:
    """Reciprocal rank fusion: the sum of ``weight / (60 + rank)`` over the retrievers that ranked a candidate.

    Cormack et al., "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods", SIGIR 2009.

    Args:
        scores: *Shape:* (n_retrievers, n_candidates), float64; not looked at.
        ranks: *Shape:* (n_retrievers, n_candidates), int64, from 1; 0 where the retriever did not return it.
        weights: *Shape:* (n_retrievers,), float64.

    Returns:
        *Shape:* (n_candidates,), float64.
    """
    fused: ScoreArray = np.where(ranks > 0, weights[:, None] / (RRF_CONSTANT + ranks), 0.0).sum(axis=0)
    return fused


def convex(scores: ScoreArray, ranks: IntArray, weights: ScoreArray) -> ScoreArray:
    """Convex sum of scores, each retriever's brought to [0, 1] by its minimum and maximum over the candidates.

    Bruch et al., "An Analysis of Fusion Functions for Hybrid Retrieval", TOIS 2023, section 4. A retriever that gives
    all candidates one score adds 0.

    Args:
        scores: *Shape:* (n_retrievers, n_candidates), float64, true scores also where a retriever did not return
            the candidate.
        ranks: *Shape:* (n_retrievers, n_candidates), int64; not looked at.
        weights: *Shape:* (n_retrievers,), float64, summing to 1.

    Returns:
        *Shape:* (n_candidates,), float64, in [0, 1].
    """
    if not scores.shape[1]:
        return np.zeros(0)
    low = scores.min(axis=1, keepdims=True)
    span = scores.max(axis=1, keepdims=True) - low
    fused: ScoreArray = weights @ ((scores - low) / np.where(span > 0, span, 1.0))
    return fused


def standard(scores: ScoreArray, ranks: IntArray, weights: ScoreArray) -> ScoreArray:
    """Weighted sum of z-scores: each retriever's scores less their mean, in standard deviations, over the candidates.

    Montague and Aslam, "Relevance score normalization for metasearch", CIKM 2001, "ZMUV". A retriever that gives all
    candidates one score adds 0. Arguments and shapes are those of ``convex``; sums may be negative.
    """
    if not scores.shape[1]:
        return np.zeros(0)
    deviation = scores.std(axis=1, keepdims=True)
    fused: ScoreArray = weights @ (
        (scores - scores.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1.0)
    )
    return fused


def weighted_sum(scores: ScoreArray, ranks: IntArray, weights: ScoreArray) -> ScoreArray:
    """Weighted sum of scores that can be compared as they are: the rule ``calibrated`` gets probabilities of relevance.

    A sum of probabilities and not of logits, so that one retriever that is sure cannot be outvoted without bound.
    Arguments and shapes are those of ``convex``. ``hybridret.fusion.calibration`` makes the probabilities.
    """
    fused: ScoreArray = weights @ scores
    return fused


def by_rank(scores: ScoreArray, ranks: IntArray, weights: ScoreArray) -> ScoreArray:
    """Weighted sum of ranks brought to [0, 1]: ``1 - (rank - 1) / n``; equal scores share the best of their ranks.

    Borda's count (Aslam and Montague, "Models for metasearch", SIGIR 2001, section 4), by true scores. Arguments and
    shapes are those of ``convex``.
    """
    n = scores.shape[1]
    if not n:
        return np.zeros(0)
    better = np.array([n - np.searchsorted(np.sort(row), row, side="right") for row in scores])
    fused: ScoreArray = weights @ (1.0 - better / n)
    return fused


def comb_mnz(scores: ScoreArray, ranks: IntArray, weights: ScoreArray) -> ScoreArray:
    """The convex sum over the retrievers that returned a candidate, times how many did.

    Fox and Shaw, "Combination of multiple searches", TREC-2, 1994. Arguments and shapes are those of ``convex``, save
    that ranks are looked at; a retriever of weight 0 does not count.
    """
    if not scores.shape[1]:
        return np.zeros(0)
    low = scores.min(axis=1, keepdims=True)
    span = scores.max(axis=1, keepdims=True) - low
    returned = (ranks > 0) & (weights[:, None] > 0)
    normalised = np.where(returned, (scores - low) / np.where(span > 0, span, 1.0), 0.0)
    fused: ScoreArray = (weights @ normalised) * returned.sum(axis=0)
    return fused


RULES: dict[str, Fuser] = {
    "convex": convex,
    "rrf": reciprocal_rank,
    "standard": standard,
    CALIBRATED: weighted_sum,
    "rank": by_rank,
    "combmnz": comb_mnz,
}


def contributions(rule: str, scores: ScoreArray, ranks: IntArray, weights: ScoreArray) -> ScoreArray:
    """What each retriever adds to the scores that a rule gives: its own share where the others weigh nothing.

    All rules but ``combmnz`` are sums of such shares; there they are scaled so that they sum to the score.

    Args:
        rule: One of ``RULES``.
        scores: *Shape:* (n_retrievers, n_candidates), float64, as the rule takes them.
        ranks: *Shape:* (n_retrievers, n_candidates), int64, from 1; 0 where a retriever did not return it.
        weights: *Shape:* (n_retrievers,), float64, summing to 1.

    Returns:
        *Shape:* (n_retrievers, n_candidates), float64.
    """
    fuse = RULES[rule]
    parts: ScoreArray = np.array([fuse(scores, ranks, own) for own in np.diag(weights)])
    if fuse is comb_mnz:
        sums = parts.sum(axis=0)
        parts *= np.where(sums > 0, fuse(scores, ranks, weights) / np.where(sums > 0, sums, 1.0), 1.0)
    return parts


def check_weights(weights: Mapping[str, float], retrievers: Sequence[str]) -> ScoreArray:
    """Normalises the weights of the retrievers that take part.

    Args:
        weights: By retriever; one that is not named weighs 0.
        retrievers: Those that take part.

    Returns:
        *Shape:* (n_retrievers,), float64, summing to 1; equal weights where all that take part weigh 0.

    Raises:
        InputError: A weight is negative or not finite, or names no retriever.
    """
    for name, weight in weights.items():
        if name not in RETRIEVERS:
            raise InputError(f"weight for unknown retriever {name!r}; known are {', '.join(RETRIEVERS)}")
        if not isinstance(weight, int | float) or not math.isfinite(weight) or weight < 0:
            raise InputError(f"the weight of {name} must be a number from 0 up, not {weight!r}")
    taken = np.array([float(weights.get(name, 0.0)) for name in retrievers])
    if not taken.any():
        taken[:] = 1.0
    normalised: ScoreArray = taken / taken.sum()
    return normalised
