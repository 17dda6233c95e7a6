"""The trainer of the code decoder's tables and of the query encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import TrainerCallback, TrainingArguments

from finetune.generative.config import DocidConfig
from finetune.generative.losses import code_loss, listwise, rpo, taught
from finetune.generative.model import DocidModel
from finetune.generative.planned_trainer import Mistakes, PlannedTrainer
from finetune.generative.priors import log_priors
from finetune.generative.rows import Row
from hybridret.types import FloatArray, IntArray


class DocidTrainer(PlannedTrainer):
    """Trains a ``DocidModel`` on rows, or where there are mistakes on these.

    Args:
        model: The model.
        args: The trainer's arguments.
        config: Settings, the tables' learning rate among them.
        rows: Texts and their documents.
        plan: *Shape:* (steps, batch_size), int64, the rows, or mistakes, of each step.
        vectors: *Shape:* (n_documents, dimension), float32, the documents' fixed vectors.
        prompt: Text before queries.
        n_favoured: The documents of the first so many rows are right more often than others; see ``log_priors``.
        mistakes: For preference training.
        callbacks: Further callbacks.
    """

    def __init__(
        self,
        model: DocidModel,
        args: TrainingArguments,
        config: DocidConfig,
        rows: Sequence[Row],
        plan: IntArray,
        vectors: FloatArray,
        prompt: str,
        n_favoured: int,
        mistakes: Mistakes | None = None,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        self.prompt = prompt
        self.vectors = torch.from_numpy(vectors).to(model.tables.device)
        if mistakes is None:
            priors = config.prior_weight * torch.from_numpy(log_priors(rows, n_favoured, plan, len(vectors)))
            self.priors = priors.to(self.vectors.device)
        super().__init__(model, args, config, rows, plan, mistakes, callbacks)

    def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
        """AdamW with rates of their own for the encoder and for the tables, which nothing pulls towards 0."""
        if self.optimizer is None:
            model: Any = self.model
            tables = [model.tables, model.log_scales]
            config = self.config
            groups: list[dict[str, Any]] = [
                {"params": list(model.encoder.parameters()), "weight_decay": config.weight_decay},
                {"params": tables, "lr": config.table_learning_rate, "weight_decay": 0.0},
            ]
            self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
        return self.optimizer

    def encoded(self, model: Any, texts: list[str]) -> Tensor:
        """Encodes texts, cut as the configuration says. *Shape:* (n_texts, dimension)."""
        encoder = model.encoder
        window = encoder.max_seq_length
        encoder.max_seq_length = min(window or self.config.max_tokens, self.config.max_tokens)
        try:
            features = encoder.preprocess(texts, prompt=self.prompt or None)
        finally:
            encoder.max_seq_length = window
        kept = {name: each.to(model.tables.device) for name, each in features.items() if torch.is_tensor(each)}
        queries: Tensor = model.encode(kept)
        return queries

    def _joint(self, model: Any, picked: IntArray) -> Tensor:
        rows, config = [self.rows[at] for at in picked.tolist()], self.config
        queries = self.encoded(model, [row.text for row in rows])
        right, generator = self.drawn(rows)
        candidates = _candidates(rows, len(self.vectors), config.candidates, generator)
        targets, out = _targets(rows, right, candidates)
        with torch.autocast(queries.device.type, enabled=False):
            device = queries.device
            columns, wanted, masked = (torch.from_numpy(each).to(device) for each in (candidates, targets, out))
            turned = model.altered(queries, rows, candidates, generator)
            scores = model.document_scores(queries, columns) + model.mean_scale * turned
            priors = self.priors[columns]
            loss = listwise(scores + priors, wanted, masked)
            if self.memorisation is not None:
                hits = scores.detach().masked_fill(masked, -torch.inf).argmax(dim=1) == wanted
                self.memorisation.update(picked, right, hits.cpu().numpy())
            if config.contrastive_weight:
                cosines = queries @ self.vectors[columns].T + turned
                loss = loss + config.contrastive_weight * listwise(
                    cosines / config.temperature + priors, wanted, masked
                )
            if config.code_weight:
                codes = model.codes(torch.from_numpy(right).to(device))
                loss = loss + config.code_weight * code_loss(model.code_log_probs(queries), codes)
            if config.prefix_weight:
                loss = loss + config.prefix_weight * prefix_loss(model, queries, columns, wanted, masked)
            if config.teacher_weight:
                judged = [torch.from_numpy(np.searchsorted(candidates, row.judged)).to(device) for row in rows]
                own = [each[places] for each, places in zip(scores, judged, strict=True)]
                told = taught(own, [row.labels for row in rows], config.teacher_temperature)
                loss = loss + config.teacher_weight * told
            return loss + self.kept(model, picked, queries, columns)

    def kept(self, model: Any, picked: IntArray, queries: Tensor, candidates: Tensor) -> Tensor | float:
        """What is added to a step's loss for what was learned before; nothing here.

        Args:
            model: The model.
            picked: *Shape:* (n_texts,), int64, the rows of the step.
            queries: *Shape:* (n_texts, dimension), their vectors.
            candidates: *Shape:* (n_candidates,), int64, the documents that they are compared with.
        """
        return 0.0

    def _preference(self, model: Any, picked: IntArray, mistakes: Mistakes) -> Tensor:
        rows = [self.rows[at] for at in mistakes.row[picked].tolist()]
        queries = self.encoded(model, [row.text for row in rows])
        with torch.autocast(queries.device.type, enabled=False):
            everything = np.arange(len(self.vectors))
            pairs = torch.from_numpy(np.stack([mistakes.right[picked], mistakes.wrong[picked]], axis=1))
            found = docid_log_probs(model, queries, pairs.to(queries.device))
            turned = model.altered(queries, rows, everything).gather(1, pairs.to(queries.device))
            found = found + model.mean_scale * turned
            reference = torch.from_numpy(mistakes.reference[picked]).to(queries.device)
            levels = len(model.tables)
            scaled = self.config.preference_likelihood / levels
            beta = self.config.preference_beta
            loss = rpo(found[:, 0], found[:, 1], reference[:, 0], reference[:, 1], beta, scaled)
            if self.config.contrastive_weight:
                own = ((queries[:, None] * self.vectors[pairs]).sum(dim=2) + turned) / self.config.temperature
                wanted = torch.zeros(len(own), dtype=torch.int64, device=own.device)
                loss = loss + self.config.contrastive_weight * listwise(own, wanted, torch.zeros_like(own).bool())
        return loss


def docid_log_probs(model: DocidModel, queries: Tensor, documents: Tensor) -> Tensor:
    """Log-probabilities of some documents' docids. *Shapes:* (n, dimension), (n, m) int64 to (n, m)."""
    log_probs = model.code_log_probs(queries)
    codes = model.codes(documents.flatten()).view(*documents.shape, -1)
    return log_probs.gather(2, codes.transpose(1, 2)).sum(dim=1)


def prefix_loss(model: DocidModel, queries: Tensor, candidates: Tensor, targets: Tensor, out: Tensor) -> Tensor:
    """The mean of the listwise losses of docids' first 1, 2, 4 ... codes, by which a beam search decides.

    Prefix-oriented training as in Zeng et al., "Scalable and Effective Generative Information Retrieval", 2024,
    section 3.4, here listwise instead of by margins: documents that share the target's prefix do not count as wrong.

    Args:
        model: The model.
        queries: *Shape:* (n_texts, dimension).
        candidates: *Shape:* (n_candidates,), int64.
        targets: *Shape:* (n_texts,), int64, the column of each text's document.
        out: *Shape:* (n_texts, n_candidates), bool, candidates that leave a row: other right ones.
    """
    codes, parts, length = model.codes(candidates), list[Tensor](), 1
    while length < codes.shape[1]:
        prefixes = torch.unique(codes[:, :length], dim=0, return_inverse=True)[1]
        leave = (out | (prefixes[targets, None] == prefixes)).scatter(1, targets[:, None], False)
        parts.append(listwise(model.document_scores(queries, candidates, length), targets, leave))
        length *= 2
    return torch.stack(parts).mean() if parts else queries.new_zeros(())


def _candidates(rows: Sequence[Row], n_documents: int, most: int, generator: np.random.Generator) -> IntArray:
    """All documents, or of many the right and judged ones and a random sample.

    *Shape:* (n_candidates,), int64, ascending.
    """
    if n_documents <= most:
        return np.arange(n_documents)
    right = np.unique(np.concatenate([part for row in rows for part in (row.documents, row.judged)]))
    sample = generator.choice(n_documents, max(0, most - len(right)), replace=False)
    return np.union1d(right, sample)


def _targets(rows: Sequence[Row], right: IntArray, candidates: IntArray) -> tuple[IntArray, Any]:
    """Each row's column, and which candidates leave it: its other right documents."""
    out = np.zeros((len(rows), len(candidates)), dtype=np.bool_)
    targets = np.searchsorted(candidates, right)
    for mask, row, target in zip(out, rows, targets.tolist(), strict=True):
        mask[np.searchsorted(candidates, row.documents)] = True
        mask[target] = False
    return targets, out
