"""Settings of training that goes on with new documents."""

from __future__ import annotations

from dataclasses import dataclass

from hybridret.errors import InputError


@dataclass(frozen=True)
class ContinualConfig:
    """How a bundle goes on learning from new documents (--continue); the other settings are those of stage docid.

    Attributes:
        replay: Share of the texts of training that are about old documents, every batch having its part; the others are
            about new ones.
        distillation: Weight of the divergence from the old model's docid probabilities on replayed texts.
        ewc: Weight of elastic weight consolidation: how dear it is to move weights that old questions depend on.
        fisher_questions: Questions about old documents from which that is estimated.
        lora_rank: Rank of adapters that the query encoder, or the backbone, learns in, which are merged into it in the
            end; 0: all of its weights are trained.
        learning_rate: Peak of the query encoder's learning rate.
        backbone_rate: Peak of a backbone's learning rate, where a language model writes docids.
        tolerance: How much Recall@10 of held-out questions about old documents may fall, dense or docid, over all
            batches so far, for the new model to be shipped; null: it is shipped whatever it is like.
    """

    replay: float = 0.2
    distillation: float = 1.0
    ewc: float = 1000.0
    fisher_questions: int = 256
    lora_rank: int = 0
    learning_rate: float = 3e-5
    backbone_rate: float = 1e-4
    tolerance: float | None = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.replay < 1:
            raise InputError(f"continual.replay must be a share from 0 up and below 1, not {self.replay!r}")
        for name in ("distillation", "ewc"):
            if not getattr(self, name) >= 0:
                raise InputError(f"continual.{name} must be a number from 0 up, not {getattr(self, name)!r}")
        if self.fisher_questions < 1:
            raise InputError(f"continual.fisher_questions must be 1 or more, not {self.fisher_questions!r}")
        if self.lora_rank < 0:
            raise InputError(f"continual.lora_rank must be a whole number from 0 up, not {self.lora_rank!r}")
        for name in ("learning_rate", "backbone_rate"):
            if not getattr(self, name) > 0:
                raise InputError(f"continual.{name} must be a number above 0, not {getattr(self, name)!r}")
        if self.tolerance is not None and not 0 <= self.tolerance <= 1:
            raise InputError(f"continual.tolerance must be between 0 and 1, or null, not {self.tolerance!r}")
        if self.distillation and not self.replay:
            raise InputError("continual.distillation needs replayed texts: set continual.replay above 0")
