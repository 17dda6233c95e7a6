"""The trainer of a language model that writes docids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import TrainingArguments

from finetune.generative.config import DocidConfig
from finetune.generative.losses import rpo, taught
from finetune.generative.planned_trainer import Mistakes, PlannedTrainer
from finetune.generative.rows import Row
from hybridret.docids import FILL
from hybridret.generative import CausalBackbone, LanguageModelBackbone
from hybridret.types import IntArray

_MAJORITY = math.log(0.5)


class BackboneTrainer(PlannedTrainer):
    """Trains a backbone on the tokens of docids: questions and sentences in the same steps.

    Args:
        backbone: The model.
        docids: *Shape:* (n_documents, n_tokens), int64, filled up with ``FILL``.
        args: The trainer's arguments.
        config: Settings.
        rows: Texts and their documents.
        plan: *Shape:* (steps, batch_size), int64, the rows, or mistakes, of each step.
        mistakes: For preference training.
    """

    rates = "docid.backbone_rate"

    def __init__(
        self,
        backbone: LanguageModelBackbone,
        docids: IntArray,
        args: TrainingArguments,
        config: DocidConfig,
        rows: Sequence[Row],
        plan: IntArray,
        mistakes: Mistakes | None = None,
    ) -> None:
        self.backbone, self.docids = backbone, docids
        super().__init__(backbone.model, args, config, rows, plan, mistakes)

    def _joint(self, model: Any, picked: IntArray) -> Tensor:
        """Cross-entropy of the tokens. A docid counts as known where each token has most of the probability."""
        rows = [self.rows[at] for at in picked.tolist()]
        right, _ = self.drawn(rows)
        docids = self.docids[right]
        texts = [row.text for row in rows]
        scored = self.backbone.token_log_probs(texts, docids)
        if self.memorisation is not None:
            hits = (scored.detach() > _MAJORITY).all(dim=1)
            self.memorisation.update(picked, right, hits.cpu().numpy())
        return -scored.sum() / int((docids != FILL).sum()) + self._beside(rows, texts, docids)

    def _beside(self, rows: Sequence[Row], texts: list[str], docids: IntArray) -> Tensor:
        """What else is learned, by option: the texts from their docids, the texts themselves, soft labels."""
        config, loss = self.config, torch.zeros((), device=self.backbone.model.device)
        if config.reverse_weight:
            loss = loss + config.reverse_weight * self.backbone.text_loss(docids, texts)
        if config.input_weight:
            assert isinstance(self.backbone, CausalBackbone)
            loss = loss + config.input_weight * self.backbone.input_loss(texts)
        judged_rows = [row for row in rows if len(row.judged) > 1]
        if config.teacher_weight and judged_rows:
            pairs = [(row.text, document) for row in judged_rows for document in row.judged.tolist()]
            judged = self.docids[[document for _, document in pairs]]
            scores = self.backbone.token_log_probs([text for text, _ in pairs], judged).sum(dim=1)
            own = scores.split([len(row.judged) for row in judged_rows])  # type: ignore[no-untyped-call]
            labels = [row.labels for row in judged_rows]
            loss = loss + config.teacher_weight * taught(own, labels, config.teacher_temperature)
        return loss

    def _preference(self, model: Any, picked: IntArray, mistakes: Mistakes) -> Tensor:
        """RPO of whole docids; the likelihood's weight is divided by their length."""
        texts = [self.rows[at].text for at in mistakes.row[picked].tolist()]
        better, worse = (
            self.backbone.token_log_probs(texts, self.docids[documents[picked]]).sum(dim=1)
            for documents in (mistakes.right, mistakes.wrong)
        )
        reference = torch.from_numpy(mistakes.reference[picked]).to(better.device)
        length = float((self.docids[mistakes.right[picked]] != FILL).sum(axis=1).mean())
        beta, likelihood = self.config.preference_beta, self.config.preference_likelihood / length
        return rpo(better, worse, reference[:, 0], reference[:, 1], beta, likelihood)
