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

PRIOR = (1.98, 7.72, 2.5, 2.08, -1.4, 0.0)
"""Weights fitted to the train and dev questions of six collections, by ``_prior`` of ``benchmarks/fusion.py``.

Docids, which were untrained there, weigh 0 until labelled questions say otherwise."""
PRIOR_SLOPE, PRIOR_OFFSET = 0.26, -4.1
_BEFORE_DOCID = 5
"""How many weights rankers had before docids were evidence."""


@dataclass(frozen=True)
class Ranker:
    """Scores candidates by ``sigmoid(slope * (weights . evidence) + offset)``, or by trees in place of the weights.

    Attributes:
        weights: Of the columns of ``EVIDENCE``.
        spread: The corpus's spread of cosines when the ranker was fitted; None: that of the moment.
        slope: Of the calibration (Platt, "Probabilistic Outputs for Support Vector Machines", 1999), above 0.
        offset: Of the calibration.
        scores: Probabilities of the right documents of questions that the calibration was not fitted to, ascending:
            their quantiles are thresholds.
        report: How the ranker came about, as JSON can hold it.
        trees: LambdaMART's, where labels have shown these to be better than weights.
        sigmoids: What turns each retriever's evidence alone into a probability, for the rule ``calibrated``; ``USUAL``
            stands in for one that is not there.
    """

    weights: tuple[float, ...] = PRIOR
    spread: Spread | None = None
    slope: float = PRIOR_SLOPE
    offset: float = PRIOR_OFFSET
    scores: tuple[float, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
    trees: Trees | None = None
    sigmoids: Mapping[str, Sigmoid] = field(default_factory=dict)

    @classmethod
    def single(cls, name: str, **settings: Any) -> Ranker:
        """A ranker that orders candidates as one retriever does."""
        return cls(tuple(float(column == MEASURED[name]) for column in EVIDENCE), **settings)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ranker:
        """Reads what ``as_json`` gave.

        Raises:
            ValueError: It is no ranker.
        """
        entries = set(value) | {"trees", "sigmoids"}
        mappings = value.get("report"), value.get("sigmoids", {})
        if entries != set(cls.__dataclass_fields__) or not all(isinstance(each, Mapping) for each in mappings):
            raise ValueError("its ranker has other entries than a ranker has")
        weights, scores = tuple(map(float, value["weights"])), tuple(map(float, value["scores"]))
        if len(weights) == _BEFORE_DOCID:
            weights = (*weights, 0.0)
        spread = None if value["spread"] is None else Spread(*map(float, value["spread"]))
        slope, offset = float(value["slope"]), float(value["offset"])
        sigmoids = {name: Sigmoid(*map(float, each)) for name, each in value.get("sigmoids", {}).items()}
        numbers = [*weights, *scores, slope, offset, *(spread or ()), *chain.from_iterable(sigmoids.values())]
        fits = len(weights) == len(EVIDENCE) and slope > 0 and (spread is None or spread.deviation > 0)
        fits = fits and set(sigmoids) <= set(MEASURED) and all(each.slope > 0 for each in sigmoids.values())
        if not np.isfinite(numbers).all() or not fits:
            raise ValueError("its ranker has numbers that cannot be")
        trees = None if value.get("trees") is None else Trees.from_json(value["trees"])
        return cls(weights, spread, slope, offset, scores, dict(value["report"]), trees, sigmoids)

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

    def probabilities(self, sums: ScoreArray) -> ScoreArray:
        """The calibrated probabilities of relevance, for show and thresholds; their order is that of the sums.

        *Shape:* as that of the sums.
        """
        logits = np.clip(self.slope * sums + self.offset, -36.0, 36.0)
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

    def threshold(self, missed: float) -> float:
        """The probability below which at most a share of right documents lie (split conformal prediction).

        Vovk et al., "Algorithmic Learning in a Random World", 2005, section 4.2; exact where questions to come are
        exchangeable with those of the fit.

        Args:
            missed: The share of right documents that may be missed.

        Raises:
            ValueError: The ranker was not fitted, or to too few questions for so small a share.
        """
        rank = int(np.floor(missed * (len(self.scores) + 1)))
        if not 0 < missed < 1 or rank < 1:
            raise ValueError(f"a threshold that misses {missed:g} of the answers cannot be had from {len(self.scores)}")
        return self.scores[min(rank, len(self.scores)) - 1]
