"""Which ranker to ship: the learned one, unless one retriever alone is better beyond doubt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hybridret.errors import MissingExtraError
from hybridret.fusion.features import features
from hybridret.fusion.training import Judged, fit_weights, ndcg
from hybridret.fusion.trees import Trees, fit_trees
from hybridret.types import ScoreArray

_RESAMPLES = 2000
_CONFIDENCE = 0.95
_FOLDS, _LABELLED_STRENGTH = 5, 1.0
_MANY, _MORE_LIKELY = 100, 0.5
_ENOUGH_FOR_TREES = 300


class Choice(NamedTuple):
    """What the gate decided.

    Attributes:
        name: ``learned``, or the one retriever that is shipped alone.
        means: nDCG@10 of each, the mean over kinds of questions.
        better: Share of the bootstrap's resamples in which the best single retriever beats the learned ranker.
        reason: The decision in words.
    """

    name: str
    means: dict[str, float]
    better: float
    reason: str

    def as_json(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {
            "shipped": self.name,
            "nDCG@10": {name: round(mean, 4) for name, mean in self.means.items()},
            "single_better": round(self.better, 4),
            "reason": self.reason,
        }


def choose(
    groups: Sequence[Sequence[Judged]], weights: Sequence[float], seed: int, names: Sequence[str] = ("dense", "bm25")
) -> Choice:
    """Compares the learned ranker with each retriever alone by a paired bootstrap over the questions.

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 16; questions are drawn within their kind.

    Args:
        groups: Questions of one kind each.
        weights: The learned ranker's.
        seed: Seed of the resampling.
        names: The retrievers, as the questions' ``singles`` have them.
    """
    if not groups:
        return Choice("learned", {}, 0.0, "There were no questions to compare with.")
    vector = np.array(weights)
    values = {"learned": [np.array([ndcg(each.evidence @ vector, each) for each in group]) for group in groups]}
    for at, name in enumerate(names):
        values[name] = [np.array([ndcg(each.singles[at], each) for each in group]) for group in groups]
    means = {name: float(np.mean([value.mean() for value in each])) for name, each in values.items()}
    single = max(names, key=means.__getitem__)
    differences = [theirs - ours for ours, theirs in zip(values["learned"], values[single], strict=True)]
    better = _share_above_zero(differences, seed)
    told = f"nDCG@10 {means['learned']:.3f} against {means[single]:.3f} of {single} alone"
    if better > _CONFIDENCE:
        return Choice(single, means, better, f"One retriever alone is better: {told}.")
    return Choice("learned", means, better, f"The learned ranker is shipped: {told}.")


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
        fitted = np.array(fit_weights([others], given, _LABELLED_STRENGTH / max(1, len(others))))
        own = [judged[at] for at in fold.tolist()]
        gains += [ndcg(each.evidence @ fitted, each) - ndcg(each.evidence @ np.array(given), each) for each in own]
    gained = np.array(gains)
    if _share_above_zero([gained], seed) < (_CONFIDENCE if len(judged) < _MANY else _MORE_LIKELY):
        return given, False
    return fit_weights([judged], given, _LABELLED_STRENGTH / len(judged)), True


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
    return trees if _share_above_zero([np.array(gains)], seed) >= _CONFIDENCE else None


def _share_above_zero(differences: Sequence[ScoreArray], seed: int) -> float:
    generator = np.random.default_rng(seed)
    means = np.zeros(_RESAMPLES)
    for difference in differences:
        drawn = generator.integers(len(difference), size=(_RESAMPLES, len(difference)))
        means += difference[drawn].mean(axis=1) / len(differences)
    return float((means > 0).mean())
