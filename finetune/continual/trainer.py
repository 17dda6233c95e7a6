"""The trainer of docids that is held to what it knew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from finetune.continual.config import ContinualConfig
from finetune.continual.losses import distillation, ewc
from finetune.continual.memory import Memory, effective_weights
from finetune.generative.model import DocidModel
from finetune.generative.planned_trainer import Mistakes
from finetune.generative.train import Trainers
from finetune.generative.trainer import DocidTrainer
from hybridret.types import IntArray


class ContinualTrainer(DocidTrainer):
    """Adds distillation on replayed rows and elastic weight consolidation to the loss.

    Args:
        memory: The model as it was.
        continual: Weights of both.
    """

    rates = "continual.learning_rate and docid.table_learning_rate"

    def __init__(self, *args: Any, memory: Memory, continual: ContinualConfig) -> None:
        self.memory, self.continual = memory, continual
        self._anchor = dict(memory.model.named_parameters())
        super().__init__(*args)

    def kept(self, model: Any, picked: IntArray, queries: Tensor, candidates: Tensor) -> Tensor | float:
        """What leaving the old model costs."""
        memory, config = self.memory, self.continual
        loss: Tensor | float = 0.0
        if memory.fisher:
            loss = loss + config.ewc * ewc(effective_weights(model), self._anchor, memory.fisher)
        is_old = torch.from_numpy(picked >= memory.first_old)
        if config.distillation and is_old.any():
            texts = [self.rows[at].text for at in picked[picked >= memory.first_old].tolist()]
            with torch.no_grad(), torch.autocast(queries.device.type, torch.bfloat16, enabled=self.args.bf16):
                vectors = self.encoded(memory.model, texts)
            with torch.no_grad():
                answers = memory.model.document_scores(vectors, candidates)
            replayed = model.document_scores(queries[is_old.to(queries.device)], candidates)
            loss = loss + config.distillation * distillation(answers, replayed)
        return loss


class ContinualTrainers(Trainers):
    """Makes such trainers; see ``Trainers`` for the other arguments.

    Args:
        memory: The model as it was.
        continual: Weights of what holds the new one to it.
    """

    def __init__(self, *args: Any, memory: Memory, continual: ContinualConfig) -> None:
        super().__init__(*args)
        self.memory, self.continual = memory, continual

    def trainer(
        self, module: DocidModel, plan: IntArray, folder: Path, save: bool, mistakes: Mistakes | None = None
    ) -> DocidTrainer:
        """A trainer that takes the steps of a plan."""
        return ContinualTrainer(
            module,
            self.arguments(plan, folder, save),
            self.config,
            self.rows,
            plan,
            self.vectors,
            self.prompt,
            self.n_favoured,
            mistakes,
            memory=self.memory,
            continual=self.continual,
        )
