"""Settings of the gate."""

from __future__ import annotations

from dataclasses import dataclass

from hybridret.errors import InputError


@dataclass(frozen=True)
class GateConfig:
    """When the new model is good enough to take the old one's place.

    Attributes:
        held_out: Share of the questions that are kept from training, to compare the models on.
        at_most: Most questions to keep.
        at_least: Labelled questions below which made ones are kept instead.
        significance: Highest p value of the paired test at which the new model counts as better.
        ratios: Shares of the new weights in the merges that are tried: with labels beside the new model itself, on a
            sample of the documents, and in any case where what was tried first does not pass.
        unproven: Most of the new weights that are shipped where made questions decide, for these cannot prove that real
            ones are answered better.
        general_drop: How much nDCG@10 may fall on general questions from outside the domain; null: they are not asked.
        hybrid_drop: How much nDCG@10 of the hybrid of dense and bm25, which is what users call, may fall on held-out
            questions; null: anything, where only dense will be used.
    """

    held_out: float = 0.1
    at_most: int = 400
    at_least: int = 30
    significance: float = 0.05
    ratios: tuple[float, ...] = (0.75, 0.5, 0.25)
    unproven: float = 0.5
    general_drop: float | None = 0.05
    hybrid_drop: float | None = 0.0

    @property
    def shares(self) -> list[float]:
        """Shares of the new weights that labels may choose from, all of them first."""
        return [1.0, *sorted(self.ratios, reverse=True)]

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise InputError(f"gate.held_out must be a share between 0 and 1, not {self.held_out!r}")
        if self.at_least < 2 or self.at_most < self.at_least:
            raise InputError("gate.at_least must be 2 or more, and gate.at_most no less than that")
        if not 0 < self.unproven <= 1:
            raise InputError(f"gate.unproven must be a share above 0 and at most 1, not {self.unproven!r}")
        if any(not 0 < ratio < 1 for ratio in self.ratios):
            raise InputError(f"gate.ratios must lie between 0 and 1: {self.ratios}")
