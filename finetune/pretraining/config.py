"""Settings of domain pretraining."""

from __future__ import annotations

from dataclasses import dataclass

from hybridret.errors import InputError

OBJECTIVES = ("tsdae", "mlm")


@dataclass(frozen=True)
class PretrainConfig:
    """Training on the bare corpus before contrastive training.

    Attributes:
        objective: tsdae (a decoder restores a text from a damaged copy's vector), mlm (masked words are guessed), or
            null for no pretraining.
        share: Share of the time for training that it takes.
        max_steps: Steps to train; 0: as many as fit into its time.
        batch_size: Texts of a step.
        learning_rate: Peak of the learning rate.
        deleted: Share of the words that tsdae deletes.
        masked: Share of the tokens that mlm masks.
        max_tokens: Tokens after which texts are cut.
    """

    objective: str | None = None
    share: float = 0.4
    max_steps: int = 0
    batch_size: int = 16
    learning_rate: float = 3e-5
    deleted: float = 0.6
    masked: float = 0.3
    max_tokens: int = 128

    def __post_init__(self) -> None:
        if self.objective is not None and self.objective not in OBJECTIVES:
            raise InputError(f"pretrain.objective must be one of {', '.join(OBJECTIVES)}, not {self.objective!r}")
        for name in ("share", "deleted", "masked"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"pretrain.{name} must be a share between 0 and 1, not {getattr(self, name)!r}")
