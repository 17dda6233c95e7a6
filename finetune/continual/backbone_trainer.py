"""The trainer of a language model that is held to what it wrote."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from finetune.continual.config import ContinualConfig
from finetune.continual.losses import ewc, token_distillation
from finetune.continual.memory import effective_weights, mean_square_slopes
from finetune.generative.backbone_train import BackboneRuns, texts_alone
from finetune.generative.backbone_trainer import BackboneTrainer
from finetune.generative.decide import FOUND
from finetune.generative.planned_trainer import Mistakes
from finetune.generative.rows import Row
from hybridret.docids import FILL
from hybridret.generative import BackboneRetriever, LanguageModelBackbone
from hybridret.generative.adapters import is_adapted
from hybridret.types import IntArray


class BackboneMemory(NamedTuple):
    """The language model as it was.

    Attributes:
        backbone: A copy, which stays as it is.
        fisher: The diagonal of its Fisher information on old questions, by weight; empty where nothing asks for it.
        first_old: The first row that is about an old document.
    """

    backbone: LanguageModelBackbone
    fisher: dict[str, Tensor]
    first_old: int

    @classmethod
    def of(cls, backbone: LanguageModelBackbone, fisher: dict[str, Tensor], first_old: int) -> BackboneMemory:
        """Of a model that is about to be trained."""
        model = copy.deepcopy(backbone.model).eval().requires_grad_(False)
        frozen = type(backbone)(model, backbone.tokenizer, backbone.level_sizes, backbone.max_tokens)
        return cls(frozen, fisher, first_old)


def backbone_fisher(
    backbone: LanguageModelBackbone, docids: IntArray, rows: Sequence[Row], most: int, seed: int
) -> dict[str, Tensor]:
    """The diagonal of the Fisher information: the mean square of each weight's derivative of ``log p(docid | text)``.

    Docids are drawn from the model's own distribution over the 20 that its beam search finds; see
    ``memory.diagonal_fisher``.

    Args:
        backbone: The model.
        docids: *Shape:* (n_documents, n_tokens), int64, filled up with ``FILL``.
        rows: Texts about old documents.
        most: How many texts are drawn.
        seed: Seed of the texts and docids that are drawn.

    Returns:
        By the name of each weight of the model, a tensor of its shape.
    """
    generator, ties = np.random.default_rng(seed), np.arange(len(docids))
    retriever = BackboneRetriever(backbone, docids)

    def drawn(row: Row) -> Tensor:
        (run,) = retriever.search(texts_alone([row.text]), FOUND, None, ties)
        likely = np.exp(run.scores - run.scores.max())
        docid = docids[generator.choice(run.rows, p=likely / likely.sum())]
        return backbone.token_log_probs([row.text], docid[None]).sum()

    picked = generator.permutation(len(rows))[:most].tolist()
    return mean_square_slopes(backbone.model, [rows[at] for at in picked], drawn)


class ContinualBackboneTrainer(BackboneTrainer):
    """Adds distillation on replayed rows and elastic weight consolidation to the loss.

    Rows of code tokens that adapters train whole are not consolidated.

    Args:
        memory: The model as it was.
        continual: Weights of both.
    """

    rates = "continual.backbone_rate"

    def __init__(self, *args: Any, memory: BackboneMemory, continual: ContinualConfig) -> None:
        self.memory, self.continual = memory, continual
        self._anchor = dict(memory.backbone.model.named_parameters())
        super().__init__(*args)

    def _joint(self, model: Any, picked: IntArray) -> Tensor:
        return super()._joint(model, picked) + self._kept(picked)

    def _kept(self, picked: IntArray) -> Tensor:
        """What leaving the old model costs."""
        memory, config, own = self.memory, self.continual, self.backbone.model
        loss = torch.zeros((), device=own.device)
        if memory.fisher:
            weights = effective_weights(own.get_base_model() if is_adapted(own) else own)
            loss = loss + config.ewc * ewc(weights, self._anchor, memory.fisher)
        rows = [self.rows[at] for at in picked[picked >= memory.first_old].tolist()]
        if config.distillation and rows:
            texts, docids = [row.text for row in rows], self.docids[self.drawn(rows)[0]]
            with torch.no_grad():
                old = memory.backbone.token_distributions(texts, docids)
            new = self.backbone.token_distributions(texts, docids)
            there = torch.from_numpy(docids != FILL).to(own.device)
            loss = loss + config.distillation * token_distillation(old, new, there)
        return loss


class ContinualBackboneRuns(BackboneRuns):
    """Makes such trainers; see ``BackboneRuns`` for the other arguments.

    Args:
        memory: The model as it was; None: nothing holds the new one to it.
        continual: Weights of what does.
    """

    def __init__(self, *args: Any, memory: BackboneMemory | None, continual: ContinualConfig) -> None:
        super().__init__(*args)
        self.memory, self.continual = memory, continual

    def trainer(
        self, module: Any, plan: IntArray, folder: Path, save: bool, mistakes: Mistakes | None = None
    ) -> BackboneTrainer:
        """A trainer that takes the steps of a plan."""
        if self.memory is None:
            return super().trainer(module, plan, folder, save, mistakes)
        return ContinualBackboneTrainer(
            self.backbone,
            self.docids,
            self.arguments(plan, folder, save),
            self.config,
            self.rows,
            plan,
            mistakes,
            memory=self.memory,
            continual=self.continual,
        )
