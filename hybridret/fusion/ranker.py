"""The learned ranker: a weighted sum of evidence, brought to a probability of relevance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np

from hybridret.fusion.calibration import MEASURED, Sigmoid, keep_order
from hybridret.fusion.evidence import EVIDENCE, SOURCES, Spread
from hybridret.fusion.features import NO_FACTS, features, source_of
from hybridret.fusion.trees import Trees
from hybridret.types import ScoreArray

PRIOR = (2.14, 7.35, 3.37, 2.51, -1.53, 0.0)
"""Weights fitted to the train and dev questions of seven collections and to two synthetic ones whose questions share
hardly a word with their answers, by ``_prior`` of ``benchmarks/fusion.py``.

Docids, which were untrained there, weigh 0 until labelled questions say otherwise."""
PRIOR_SLOPE, PRIOR_SUPPORT, PRIOR_OFFSET = 0.69, 1.74, -6.3
"""They tell the best documents of these questions from those of off-topic ones, as ``_calibration`` there finds them,
with the questions of collections on the same subject left out: counted as off-topic they make it .6, .75 and -4.8."""
HIGHEST_OFF_TOPIC = 0.9
"""No threshold is above it: where off-topic questions reach it, the corpus is about everything, and none is."""
_SUPPORTING = 10
_BEFORE_DOCID = 5
"""How many weights rankers had before docids were evidence."""
_BEFORE_TOPICALITY = {"weights", "spread", "slope", "offset", "scores", "report", "trees", "sigmoids"}
"""What rankers had before topicality was one of a score's parts."""


@dataclass(frozen=True)
class Ranker:
    """Ranks candidates by ``weights . evidence``, or by trees in place of the weights, and scores them for show.

    The score is ``sigmoid(slope * sum + support * topicality + offset)``. The topicality of a query, the mean of its
    ten highest cosines in deviations from the corpus's mean, is the same for all of its candidates: it tells whether
    the corpus is about what is asked, and changes no order. A score of .5 is what the best document of an off-topic
    question has as easily as that of a real one; it is not the probability that the document answers.

    Attributes:
        weights: Of the columns of ``EVIDENCE``.
        spread: The spread of cosines that makes a trained model's say what the untrained one's did; None: that of the
            corpus at the moment.
        slope: Of the calibration (Platt, "Probabilistic Outputs for Support Vector Machines", 1999), above 0.
        offset: Of the calibration.
        scores: Scores of the right documents of labelled questions that the calibration was not fitted to, ascending.
        report: How the ranker came about, as JSON can hold it.
        trees: LambdaMART's, where labels have shown these to be better than weights.
        sigmoids: What turns each retriever's evidence alone into a probability, for the rule ``calibrated``; ``USUAL``
            stands in for one that is not there.
        support: Of the calibration, from 0 up.
        off_topic: Scores of the best documents of questions on everyday matters, ascending.
    """

    weights: tuple[float, ...] = PRIOR
    spread: Spread | None = None
    slope: float = PRIOR_SLOPE
    offset: float = PRIOR_OFFSET
    scores: tuple[float, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
    trees: Trees | None = None
    sigmoids: Mapping[str, Sigmoid] = field(default_factory=dict)
    support: float = PRIOR_SUPPORT
    off_topic: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ranker:
        """Reads what ``as_json`` gave.

        Raises:
            ValueError: It is no ranker.
        """
        if set(value) <= _BEFORE_TOPICALITY and not value.get("report", {}).get("labels_taken"):
            value = _without_old_fit(value)
        entries = set(value) | {"trees", "sigmoids", "support", "off_topic"}
        mappings = value.get("report"), value.get("sigmoids", {})
        if entries != set(cls.__dataclass_fields__) or not all(isinstance(each, Mapping) for each in mappings):
            raise ValueError("its ranker has other entries than a ranker has")
        weights, scores = tuple(map(float, value["weights"])), tuple(map(float, value["scores"]))
        if len(weights) == _BEFORE_DOCID:
            weights = (*weights, 0.0)
        off_topic, support = tuple(map(float, value.get("off_topic", ()))), float(value.get("support", 0.0))
        spread = None if value["spread"] is None else Spread(*map(float, value["spread"]))
        slope, offset = float(value["slope"]), float(value["offset"])
        sigmoids = {name: Sigmoid(*map(float, each)) for name, each in value.get("sigmoids", {}).items()}
        numbers = [*weights, *scores, *off_topic, slope, support, offset, *(spread or ())]
        fits = len(weights) == len(EVIDENCE) and slope > 0 and support >= 0
        fits = fits and (spread is None or spread.deviation > 0)
        fits = fits and set(sigmoids) <= set(MEASURED) and all(each.slope > 0 for each in sigmoids.values())
        if not np.isfinite([*numbers, *chain.from_iterable(sigmoids.values())]).all() or not fits:
            raise ValueError("its ranker has numbers that cannot be")
        trees = None if value.get("trees") is None else Trees.from_json(value["trees"])
        report = dict(value["report"])
        return cls(weights, spread, slope, offset, scores, report, trees, sigmoids, support, off_topic)

    def as_json(self) -> dict[str, Any]:
        """What JSON can hold."""
        trees = None if self.trees is None else self.trees.as_json()
        return {**asdict(replace(self, trees=None)), "trees": trees}

    def sums(self, evidence: ScoreArray, facts: ScoreArray = NO_FACTS) -> ScoreArray:
        """The weighted sums, or the trees'.

        Args:
            evidence: *Shape:* (n_candidates, n_evidence), float64, of all of a query's candidates.
            facts: *Shape:* (n_facts,), float64, of the query; trees look at them.

        Returns:
            *Shape:* (n_candidates,), float64.
        """
        if self.trees is not None:
            return self.trees.sums(features(evidence, facts))
        sums: ScoreArray = evidence @ np.array(self.weights)
        return sums

    def shift(self, evidence: ScoreArray) -> float:
        """What a query's topicality and the calibration's offset add to the log-odds of each of its candidates.

        *Shape:* (n_candidates, n_evidence), of all of the query's candidates.
        """
        if not len(evidence):
            return self.offset
        cosines = evidence[:, EVIDENCE.index("cosine")]
        return self.support * float(np.sort(cosines)[-_SUPPORTING:].mean()) + self.offset

    def probabilities(self, sums: ScoreArray, shift: float) -> ScoreArray:
        """The calibrated scores, for show and thresholds; their order is that of the sums.

        Args:
            sums: *Shape:* (n,), float64.
            shift: The query's, see ``shift``.

        Returns:
            *Shape:* (n,), float64, in [0, 1].
        """
        logits = np.clip(self.slope * sums + shift, -36.0, 36.0)
        return keep_order(1.0 / (1.0 + np.exp(-logits)), sums)

    def contributions(self, evidence: ScoreArray, place: int, facts: ScoreArray = NO_FACTS) -> dict[str, float]:
        """What each source adds to one candidate's sum; what trees start from counts as ``both``.

        *Shapes:* (n_candidates, n_evidence), (n_facts,).
        """
        if self.trees is not None:
            parts = self.trees.contributions(features(evidence, facts)[place])
        else:
            parts = dict(zip(EVIDENCE, (evidence[place] * np.array(self.weights)).tolist(), strict=True))
        totals = dict.fromkeys(SOURCES, 0.0)
        for feature, value in parts.items():
            totals[source_of(feature)] += value
        return totals

    def threshold(self, let_through: float = 0.1, missed: float | None = None) -> float:
        """The score that off-topic questions seldom reach, or that right documents seldom miss.

        Split conformal prediction (Vovk et al., "Algorithmic Learning in a Random World", 2005, section 4.2), exact
        where questions to come are exchangeable with those of the fit.

        Args:
            let_through: The share of off-topic questions for which some document may reach it. A corpus about everyday
                matters, to which no question is off topic, has a threshold of .9, which more may reach.
            missed: The share of right documents that may lie below it, by labelled questions; None: not asked.

        Raises:
            ValueError: A share is not between 0 and 1, the ranker was not fitted, or to too few questions.
        """
        share, scores, what = let_through, self.off_topic, "off-topic questions"
        if missed is not None:
            share, scores, what = missed, self.scores, "labelled questions"
        rank = int(share * (len(scores) + 1)) if 0 < share < 1 else 0
        if not rank:
            raise ValueError(f"a threshold at a share of {share:g} cannot be had from {len(scores)} {what}")
        if missed is not None:
            return scores[rank - 1]
        return min(float(np.nextafter(scores[-rank], np.inf)), HIGHEST_OFF_TOPIC)


def _without_old_fit(value: Mapping[str, Any]) -> dict[str, Any]:
    """An older ranker without the weights and the calibration that it had from questions lifted out of documents.

    They could be wrong beyond measure where the questions told nothing: on short documents, and on copies.
    """
    reason = "The fit of an earlier version is not used; fit again."
    start = Ranker(report={"reason": reason, "earlier": dict(value.get("report", {}))}).as_json()
    return {**start, "spread": value.get("spread")}
