"""What may take the place of weights that fit corpora at large, and by what evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hybridret.errors import MissingExtraError
from hybridret.fusion.evidence import EVIDENCE, LOWEST_WEIGHTS
from hybridret.fusion.features import features
from hybridret.fusion.training import Judged, fit_weights, ndcg
from hybridret.fusion.trees import Trees, fit_trees
from hybridret.types import ScoreArray

TRUST_FACTORS = (0.5, 0.25, 0.1)
LEAST_ANSWERED = 0.1
"""Questions that no retriever answers better than this, in nDCG@10, tell nothing of any."""
LEAST_GAIN, MOST_DOUBT = 0.01, 0.01
LEAST_LOOKUPS = 0.98
_RESAMPLES = 2000
_CONFIDENCE = 0.95
_FOLDS, _LABELLED_STRENGTH = 5, 1.0
_MANY, _MORE_LIKELY = 100, 0.5
_ENOUGH_FOR_TREES = 300
_TOWARDS_BASE = (1.0, 0.75, 0.5, 0.25)


class Trust(NamedTuple):
    """How far the encoder is trusted on a corpus.

    Attributes:
        factor: What the weights of its cosines are multiplied by: 1, or less where it is beyond doubt that it cannot
            read this corpus.
        means: nDCG@10 by kind of question, of dense and bm25 alone and of the fusion by factor.
        silent: Kinds of questions that no retriever answers, so that they tell nothing.
        reason: The decision in words.
    """

    factor: float
    means: Mapping[str, Mapping[str, float]]
    silent: tuple[str, ...]
    reason: str

    def as_json(self) -> dict[str, Any]:
        """What JSON can hold."""
        means = {kind: {name: round(mean, 4) for name, mean in values.items()} for kind, values in self.means.items()}
        return {"trust": self.factor, "nDCG@10": means, "silent": list(self.silent), "reason": self.reason}


def trusting(weights: Sequence[float], factor: float) -> tuple[float, ...]:
    """Weights by which dense counts only a part, alone and in agreement with bm25."""
    dense = {"cosine", "agreement"}
    return tuple(
        weight * (factor if column in dense else 1.0) for column, weight in zip(EVIDENCE, weights, strict=True)
    )


def choose_trust(groups: Mapping[str, Sequence[Judged]], prior: Sequence[float]) -> Trust:
    """Decides by questions lifted out of documents how far the encoder is trusted.

    The burden of proof is on leaving the prior: the best lower factor has to be better by .01 nDCG@10, and by a paired
    t-test, one-sided, with p below .01. bm25 never loses weight here, since lifted sentences say nothing of the codes
    and names that people look up.

    Args:
        groups: Questions by kind.
        prior: Weights that fit corpora at large.
    """
    values = {kind: _values_by_factor(group, prior) for kind, group in groups.items() if len(group)}
    means = {kind: {name: float(value.mean()) for name, value in each.items()} for kind, each in values.items()}
    silent = tuple(kind for kind, each in means.items() if max(each.values()) < LEAST_ANSWERED)
    telling = [each for kind, each in values.items() if kind not in silent]
    if not telling:
        reason = (
            "No questions could be lifted out of the documents"
            if not values
            else ("No retriever answers the questions lifted out of the documents, so they tell nothing")
        )
        return Trust(1.0, means, silent, f"{reason}: the weights that fit corpora at large stay.")
    pooled = {name: np.concatenate([each[name] for each in telling]) for name in telling[0]}
    before = pooled["1"].mean()
    by_factor = {factor: pooled[f"{factor:g}"].mean() for factor in TRUST_FACTORS}
    factor = max(by_factor, key=lambda each: by_factor[each])
    gains = pooled[f"{factor:g}"] - pooled["1"]
    told = f"nDCG@10 {by_factor[factor]:.3f} of {len(gains)} lifted questions against {before:.3f}"
    if gains.mean() < LEAST_GAIN or _doubt(gains) > MOST_DOUBT:
        return Trust(1.0, means, silent, f"The encoder has its usual weight; less is not better beyond doubt: {told}.")
    return Trust(factor, means, silent, f"The encoder has {factor:g} of its usual weight, better beyond doubt: {told}.")


def with_labels(judged: Sequence[Judged], weights: Sequence[float], seed: int) -> tuple[tuple[float, ...], bool]:
    """Fits weights to labelled questions where that makes others of them better answered.

    The fit is held to the given weights, the more the fewer questions there are. Cross-validation answers each
    question by weights fitted to the others. Below 100 questions a paired bootstrap has to be sure that this is better,
    for the given weights are good ones; from 100 on it has to be more likely than not.

    Args:
        judged: The labelled questions.
        weights: Weights that were fitted without labels.
        seed: Seed of folds and resampling.

    Returns:
        The weights, and whether labels have changed them.
    """
    given = tuple(weights)
    folds = np.array_split(np.random.default_rng(seed).permutation(len(judged)), _FOLDS)
    gains = []
    for fold in folds:
        inside = set(fold.tolist())
        others = [each for at, each in enumerate(judged) if at not in inside]
        fitted = np.array(fit_weights([others], given, _LABELLED_STRENGTH / max(1, len(others)), LOWEST_WEIGHTS))
        own = [judged[at] for at in fold.tolist()]
        gains += [ndcg(each.evidence @ fitted, each) - ndcg(each.evidence @ np.array(given), each) for each in own]
    if _share_above_zero(np.array(gains), seed) < (_CONFIDENCE if len(judged) < _MANY else _MORE_LIKELY):
        return given, False
    return fit_weights([judged], given, _LABELLED_STRENGTH / len(judged), LOWEST_WEIGHTS), True


def keeping_lookups(
    lookups: Sequence[Judged], weights: Sequence[float], base: Sequence[float]
) -> tuple[tuple[float, ...], float]:
    """Draws weights back towards base ones until rare terms that are looked up are found first again.

    Labelled questions seldom hold the codes, names and numbers that users look up, and a fit to them may give bm25 up.

    Args:
        lookups: Questions of one rare term each, judged by the documents that hold it.
        weights: The weights to be checked.
        base: Weights that are known to be good.

    Returns:
        The weights, and which share of the way from the base to the given ones they go: 1 where 98 % of the look-ups
        are answered first, or as many as by the base.
    """
    start, end = np.array(base), np.array(weights)
    if not lookups:
        return tuple(weights), 1.0
    least = min(LEAST_LOOKUPS, _found_first(lookups, start))
    for share in _TOWARDS_BASE:
        mixed = start + share * (end - start)
        if _found_first(lookups, mixed) >= least:
            return tuple(mixed.tolist()), share
    return tuple(base), 0.0


def with_trees(judged: Sequence[Judged], weights: Sequence[float], seed: int) -> Trees | None:
    """Learns trees where cross-validation says beyond doubt that they answer other questions better than weights do.

    Args:
        judged: The labelled questions.
        weights: Weights that these have been fitted to, which favours them.
        seed: Seed of folds, trees and resampling.

    Returns:
        The trees; None where they are no better, there are fewer than 300 questions, or lightgbm is not installed.
    """
    if len(judged) < _ENOUGH_FOR_TREES:
        return None
    try:
        trees = fit_trees(judged, seed)
    except MissingExtraError:
        return None
    vector, gains = np.array(weights), list[float]()
    for fold in np.array_split(np.random.default_rng(seed).permutation(len(judged)), _FOLDS):
        inside = set(fold.tolist())
        fitted = fit_trees([each for at, each in enumerate(judged) if at not in inside], seed)
        for at in fold.tolist():
            one = judged[at]
            gains.append(ndcg(fitted.sums(features(one.evidence, one.facts)), one) - ndcg(one.evidence @ vector, one))
    return trees if _share_above_zero(np.array(gains), seed) >= _CONFIDENCE else None


def _values_by_factor(group: Sequence[Judged], prior: Sequence[float]) -> dict[str, ScoreArray]:
    """nDCG@10 of each question, of dense and bm25 alone and of the fusion by factor. *Shape:* (n_questions,) each."""
    values = {
        name: np.array([ndcg(question.singles[at], question) for question in group])
        for at, name in enumerate(("dense", "bm25"))
    }
    for factor in (1.0, *TRUST_FACTORS):
        vector = np.array(trusting(prior, factor))
        values[f"{factor:g}"] = np.array([ndcg(question.evidence @ vector, question) for question in group])
    return values


def _doubt(gains: ScoreArray) -> float:
    """The p-value of the gains being no gains: one-sided, by Student's t."""
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(gains, 0.0, alternative="greater").pvalue) if gains.std() > 0 else float(gains.mean() <= 0)


def _found_first(lookups: Sequence[Judged], weights: ScoreArray) -> float:
    """The share of look-ups whose first candidate is right."""
    return float(np.mean([question.gains[np.argmax(question.evidence @ weights)] > 0 for question in lookups]))


def _share_above_zero(differences: ScoreArray, seed: int) -> float:
    """The share of a bootstrap's resamples whose mean is above 0.

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 16.
    """
    drawn = np.random.default_rng(seed).integers(len(differences), size=(_RESAMPLES, len(differences)))
    return float((differences[drawn].mean(axis=1) > 0).mean())
