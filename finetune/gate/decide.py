"""Deciding which model is shipped: the new one, a merge, or the old one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from finetune.gate.config import GateConfig
from hybridret.types import ScoreArray

DECIDING = "nDCG@10"

HYBRID = "hybrid nDCG@10"
"""Of dense and bm25 together, see ``HybridExam``; where it is measured, it must not fall."""

Values = dict[str, ScoreArray]


class Trial(NamedTuple):
    """A model compared with the old one.

    Attributes:
        ratio: Share of the new weights: 1 for the new model itself.
        old: Means of the old model, by measure.
        new: Means of this one.
        p: Two-sided p value of the paired t-test of nDCG@10; 1 where no question differs.
        general: The old and this model's mean nDCG@10 on general questions; None where they are not asked.
        passed: Whether it may be shipped.
        reason: Why, or why not.
    """

    ratio: float
    old: dict[str, float]
    new: dict[str, float]
    p: float
    general: tuple[float, float] | None
    passed: bool
    reason: str


class Decision(NamedTuple):
    """What is shipped.

    Attributes:
        ratio: Share of the new weights in it: 1 is the new model, 0 the old one.
        trials: What was compared, in this order.
        questions: How many questions decided.
    """

    ratio: float
    trials: list[Trial]
    questions: int

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "ratio": self.ratio,
            "shipped": {0.0: "base", 1.0: "new"}.get(self.ratio, "merge"),
            "questions": self.questions,
            "trials": [trial._asdict() for trial in self.trials],
        }

    def sentence(self) -> str:
        """The decision in words."""
        if self.ratio == 1.0:
            return f"The new model is shipped: {self.trials[0].reason}."
        if self.ratio == self.trials[0].ratio:
            return f"A merge with {self.ratio:.0%} of the new weights is shipped: {self.trials[0].reason}."
        if self.ratio > 0:
            (taken,) = [trial for trial in self.trials if trial.ratio == self.ratio]
            return (
                f"The new model did not pass ({self.trials[0].reason}); a merge with {self.ratio:.0%} of its weights "
                f"is shipped: {taken.reason}."
            )
        reasons = "; ".join(f"{trial.ratio:.0%} new: {trial.reason}" for trial in self.trials)
        return f"The base model is kept, for nothing better was found ({reasons})."


def decide(
    old: Values,
    old_general: Values | None,
    ask: Callable[[float], tuple[Values, Values, Values | None]],
    config: GateConfig,
    most: float = 1.0,
    compared: int = 1,
) -> Decision:
    """Compares the new model, and merges where it does not pass, with the old one.

    A model passes where it is better on the held-out questions by a paired t-test, whose p value is multiplied by the
    number of models tried so far (Bonferroni), where the hybrid, which is what users call, is no worse in the mean, and
    where it has not forgotten more than is allowed. Of the merges that pass the best is taken.

    Args:
        old: The old model's values on the held-out questions, by measure.
        old_general: Its values on the general questions; None: they are not asked.
        ask: Gives for a ratio the old model's values on the documents used, the merge's, and the merge's on the general
            questions.
        config: What is asked for.
        most: Share of the new weights that is tried first; merges have less.
        compared: From how many shares this one was chosen by these questions, for Bonferroni.
    """
    n, others = len(old[DECIDING]), [ratio for ratio in config.ratios if ratio < most]
    _, new, general = ask(most)
    trials = [trial(most, old, new, old_general, general, compared, config)]
    if trials[0].passed:
        return Decision(most, trials, n)
    for ratio in others:
        before, after, general = ask(ratio)
        trials.append(trial(ratio, before, after, old_general, general, compared + len(others), config))
    passed = [each for each in trials if each.passed]
    best = max(passed, key=lambda each: each.new[DECIDING], default=None)
    return Decision(0.0 if best is None else best.ratio, trials, n)


def choose_share(ask: Callable[[float], float], shares: Sequence[float]) -> dict[float, float]:
    """Goes down from the most new weights for as long as that is better.

    Args:
        ask: Gives a merge's nDCG@10 on a sample for a share of new weights.
        shares: What may be tried, the most first.

    Returns:
        The shares that were tried, in this order, and what they gave; the best one is the last but one, or the last
        where it is better still.
    """
    found: dict[float, float] = {}
    for share in shares:
        before = list(found.values())
        found[share] = ask(share)
        if before and found[share] <= before[-1]:
            break
    return found


def trial(
    ratio: float,
    old: Values,
    new: Values,
    old_general: Values | None,
    new_general: Values | None,
    tries: int,
    config: GateConfig,
) -> Trial:
    """Compares one model with the old one; see ``decide``."""
    p = min(1.0, tries * paired_p(old[DECIDING], new[DECIDING]))
    before, after = means(old), means(new)
    gain = after[DECIDING] - before[DECIDING]
    general = None
    forgotten = False
    if old_general is not None and new_general is not None:
        general = (float(old_general[DECIDING].mean()), float(new_general[DECIDING].mean()))
        forgotten = config.general_drop is not None and general[0] - general[1] > config.general_drop
    hurts = hurts_hybrid(before, after, config)
    change = f"nDCG@10 {before[DECIDING]:.3f} -> {after[DECIDING]:.3f}, p = {p:.2g}"
    if gain <= 0:
        reason = f"no better on held-out questions ({change})"
    elif not p <= config.significance:
        reason = f"not significantly better on held-out questions ({change})"
    elif hurts:
        reason = f"better alone ({change}), but the hybrid fell from {before[HYBRID]:.3f} to {after[HYBRID]:.3f}"
    elif forgotten and general is not None:
        reason = f"better on held-out questions, but general questions fell from {general[0]:.3f} to {general[1]:.3f}"
    else:
        reason = f"better on held-out questions ({change})"
    passed = gain > 0 and p <= config.significance and not hurts and not forgotten
    return Trial(ratio, before, after, p, general, passed, reason)


def hurts_hybrid(before: Mapping[str, float], after: Mapping[str, float], config: GateConfig) -> bool:
    """Whether the hybrid falls by more than it may.

    Args:
        before: Means before, by measure; the hybrid is among them where it was asked.
        after: Means after.
        config: How much it may fall.
    """
    if config.hybrid_drop is None or HYBRID not in before:
        return False
    return before[HYBRID] - after[HYBRID] > config.hybrid_drop


def paired_p(old: ScoreArray, new: ScoreArray) -> float:
    """Two-sided p value of the paired t-test; 1 for fewer than two questions or where none differs.

    Urbano et al., "Statistical Significance Testing in Information Retrieval: An Empirical Analysis of Type I, Type II
    and Type III Errors", SIGIR 2019, find it the best calibrated of the usual tests.
    """
    from scipy.stats import ttest_rel

    differences = new - old
    if len(differences) < 2 or not np.any(differences):
        return 1.0
    if np.ptp(differences) == 0:
        return 0.0
    return float(ttest_rel(new, old).pvalue)


def means(values: Values) -> dict[str, float]:
    """Mean by measure."""
    return {name: float(each.mean()) for name, each in values.items()}
