"""How strongly the shipped model's vectors are whitened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from finetune.gate import GateConfig, Trial
from finetune.gate.decide import DECIDING, Values, trial


class WhiteningDecision(NamedTuple):
    """What is shipped.

    Attributes:
        strength: Of the whitening; 0: there is none.
        trials: What was compared with the model as the gate left it, by strength.
    """

    strength: float
    trials: dict[float, Trial]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        trials = [{"strength": strength, **each._asdict()} for strength, each in self.trials.items()]
        return {"strength": self.strength, "trials": trials, "sentence": self.sentence()}

    def sentence(self) -> str:
        """The decision in words."""
        if self.strength:
            return f"Its vectors are whitened by {self.strength:g}: {self.trials[self.strength].reason}."
        reasons = "; ".join(f"{strength:g}: {each.reason}" for strength, each in self.trials.items())
        return f"Its vectors are not whitened ({reasons})."


def decide_whitening(
    old: Values,
    old_general: Values | None,
    strengths: Sequence[float],
    ask: Callable[[float], tuple[Values, Values | None]],
    config: GateConfig,
) -> WhiteningDecision:
    """Compares strengths with no whitening, by the gate's test; of those that pass the best is taken.

    Args:
        old: Values on the held-out questions without whitening, by measure.
        old_general: The untouched model's values on the general questions; None: they are not asked.
        strengths: What is tried; p values are multiplied by how many they are (Bonferroni).
        ask: Gives for a strength the values on the held-out and on the general questions.
        config: What the gate asks for.
    """
    trials = {}
    for strength in strengths:
        new, general = ask(strength)
        trials[strength] = trial(1.0, old, new, old_general, general, len(strengths), config)
    passed = {strength: each.new[DECIDING] for strength, each in trials.items() if each.passed}
    return WhiteningDecision(max(passed, key=lambda each: passed[each], default=0.0), trials)
