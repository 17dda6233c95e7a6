"""Whether what went on learning is shipped: what old and new documents are asked, before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from finetune.gate import Exam, HybridExam
from finetune.gate.decide import DECIDING, Values
from finetune.gate.exam import measure_vectors
from finetune.gate.general import everyday_questions
from hybridret.changes import Retrained
from hybridret.types import Encoder, FloatArray

KEPT = "Recall@10"
NOTHING: Mapping[str, float] = MappingProxyType({})


class Models(NamedTuple):
    """What answers questions.

    Attributes:
        queries: Encodes them.
        docids: Measures docids alone: given an exam, the vectors of its documents and of its questions.
        retrained: Gives a bundle's docids their model.
    """

    queries: Encoder
    docids: Callable[[Exam, FloatArray, FloatArray], Values]
    retrained: Retrained


class Side(NamedTuple):
    """Held-out questions about old documents or about new ones, put to all documents.

    Attributes:
        hybrid: The questions, put to models alone and in the hybrid.
        vectors: *Shape:* (n_documents, dimension), float32, of the exam's documents.
    """

    hybrid: HybridExam
    vectors: FloatArray

    def measure(self, models: Models) -> dict[str, Values]:
        """By retriever and measure the value of each question."""
        exam = self.hybrid.exam
        queries, chance = map(models.queries.encode_queries, (list(exam.queries.values()), everyday_questions()))
        return {
            "dense": measure_vectors(exam, queries, self.vectors),
            "docid": models.docids(exam, self.vectors, queries),
            "hybrid": self.hybrid.measure_fused(queries, self.vectors, chance),
        }


class Trial(NamedTuple):
    """A model compared with the old one.

    Attributes:
        ratio: Share of the new weights.
        old: By retriever and measure, before and after, of questions about old documents.
        new: The same of questions about new ones.
        passed: Whether it may be shipped.
        reason: Why, or why not.
    """

    ratio: float
    old: dict[str, dict[str, tuple[float, float]]]
    new: dict[str, dict[str, tuple[float, float]]]
    passed: bool
    reason: str


class Decision(NamedTuple):
    """What is shipped.

    Attributes:
        ratio: Share of the new weights in it; 0: the old models are kept.
        trials: What was compared, in this order.
    """

    ratio: float
    trials: list[Trial]

    def sentence(self) -> str:
        """The decision in words."""
        last = self.trials[-1]
        if self.ratio == 1.0:
            return f"The new models are shipped: {last.reason}."
        if self.ratio > 0:
            rest = "" if len(self.trials) == 1 else f"; with more of them, {self.trials[-2].reason}"
            return f"A merge with {self.ratio:.0%} of the new weights is shipped: {last.reason}{rest}."
        reasons = "; ".join(f"{trial.ratio:.0%} new: {trial.reason}" for trial in self.trials)
        return f"The old models are kept ({reasons})."


def decide(
    sides: tuple[Side | None, Side],
    models: Callable[[float], Models],
    ratios: Sequence[float],
    tolerance: float | None,
    lost: Mapping[str, float] = NOTHING,
    hybrid_drop: float | None = 0.0,
) -> Decision:
    """Takes the largest share of new weights with which old documents are kept and new ones gain.

    Old ones are kept where neither dense nor docid nor the hybrid loses more Recall@10 on them than is tolerated, what
    earlier batches have cost included: two points a batch would add up. New ones gain where the mean of dense's and
    docid's nDCG@10 on them rises and the hybrid's does not fall. Without a tolerance the first share is taken as it is.

    Args:
        sides: Questions about old documents, None where there are none, and about new ones.
        models: Gives the models with a share of the new weights; with 0 the old ones.
        ratios: Shares to try, the largest first.
        tolerance: How much Recall@10 may fall; None: anything is shipped.
        lost: By retriever what earlier batches have cost, see ``lost_so_far``.
        hybrid_drop: How much the hybrid's nDCG@10 may fall on new documents; None: anything.
    """
    before = [None if side is None else side.measure(models(0.0)) for side in sides]
    trials: list[Trial] = []
    for ratio in ratios:
        asked = models(ratio)
        old, new = (
            {} if side is None or was is None else compared(was, side.measure(asked))
            for side, was in zip(sides, before, strict=True)
        )
        trials.append(trial(ratio, old, new, tolerance, lost, hybrid_drop))
        if trials[-1].passed:
            return Decision(ratio, trials)
    return Decision(0.0, trials)


def lost_so_far(updates: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How much of Recall@10 on old documents the batches so far have cost each retriever, where that is a loss.

    Args:
        updates: Their rows, as a bundle's state keeps them.
    """
    lost: dict[str, float] = {}
    for update in updates:
        for name, values in update["old"].items():
            was, now = values[KEPT]
            lost[name] = lost.get(name, 0.0) + was - now
    return {name: cost for name, cost in lost.items() if cost > 0}


def compared(before: dict[str, Values], after: dict[str, Values]) -> dict[str, dict[str, tuple[float, float]]]:
    """Means before and after, by retriever and measure."""
    return {
        retriever: {name: (float(each.mean()), float(after[retriever][name].mean())) for name, each in values.items()}
        for retriever, values in before.items()
    }


def trial(
    ratio: float,
    old: dict[str, dict[str, tuple[float, float]]],
    new: dict[str, dict[str, tuple[float, float]]],
    tolerance: float | None,
    lost: Mapping[str, float] = NOTHING,
    hybrid_drop: float | None = 0.0,
) -> Trial:
    """Judges one model; see ``decide``."""
    if tolerance is None:
        return Trial(ratio, old, new, True, "no tolerance was set")
    costs = {name: values[KEPT][0] - values[KEPT][1] for name, values in old.items()}
    totals = {name: cost + lost.get(name, 0.0) for name, cost in costs.items()}
    worst = max(totals, key=lambda name: totals[name], default=None)
    gains = {name: values[DECIDING][1] - values[DECIDING][0] for name, values in new.items()}
    hybrid = gains.pop("hybrid", None)
    gain = float(np.mean(list(gains.values())))
    told = f"{DECIDING} on new documents {gain:+.3f}"
    if hybrid is not None:
        told += f", the hybrid's {hybrid:+.3f}"
    if worst is not None:
        told += f", {KEPT} on old ones {-costs[worst]:+.3f} ({worst}"
        told += f", {-totals[worst]:+.3f} with earlier batches)" if lost.get(worst) else ")"
        if totals[worst] > tolerance:
            return Trial(ratio, old, new, False, f"too much is forgotten: {told}")
    if gain <= 0:
        return Trial(ratio, old, new, False, f"nothing is gained: {told}")
    if hybrid is not None and hybrid_drop is not None and -hybrid > hybrid_drop:
        return Trial(ratio, old, new, False, f"the hybrid is worse: {told}")
    return Trial(ratio, old, new, True, told)
