"""Settings of whitening."""

from __future__ import annotations

from dataclasses import dataclass

from hybridret.errors import InputError


@dataclass(frozen=True)
class WhitenConfig:
    """A linear layer after the model, which weakens directions that all documents share; no training is needed.

    Attributes:
        strengths: Strengths that are tried, from 0 (nothing) to 1 (all directions alike); none of them where made
            questions decide is stronger than gate.unproven times this. Empty: none is tried.
    """

    strengths: tuple[float, ...] = (0.25, 0.5, 0.75)

    def __post_init__(self) -> None:
        if any(not 0 < strength <= 1 for strength in self.strengths):
            raise InputError(f"whiten.strengths must lie above 0 and be at most 1: {self.strengths}")
