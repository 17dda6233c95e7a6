"""The loss of a training step: InfoNCE and distillation over the documents of all processes, inside GradCache."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from torch import Tensor, nn
from torch.nn import functional

from finetune.dense.losses import DISTILLATION_LOSSES, info_nce
from hybridret.errors import InputError

_CPU_RUN = 16


class Targets(NamedTuple):
    """What the loss needs beside the embeddings.

    Attributes:
        document_ids: *Shape:* (n_documents,), int64, which text each document column is; equal texts have equal ids.
        candidates: *Shape:* (n_queries, 1 + n_negatives), int64, columns of the documents, the positive first; -1
            where there is no further negative.
        known: *Shape:* (n_queries, n_known), int64, corpus positions of the documents known to answer; -1 fills up.
        origins: *Shape:* (n_documents,), int64, corpus position of the document that each column is or stands in for.
        teacher: *Shape:* (n_queries, 1 + n_negatives), float32, soft labels; None without a teacher.
    """

    document_ids: Tensor
    candidates: Tensor
    known: Tensor
    origins: Tensor
    teacher: Tensor | None


class RetrievalLoss(CachedLossMixin, nn.Module):
    """Contrastive loss over all documents of a global batch plus distillation over each query's candidates.

    A batch that fits into ``mini_batch_size`` is embedded once with its graph; a larger one goes through GradCache
    (Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021), whose gradient is the
    same.

    Args:
        model: The bi-encoder.
        temperature: Divides the similarities (cosines).
        contrastive_weight: Weight of InfoNCE; 0 leaves it out.
        distillation: One of ``DISTILLATION_LOSSES``, None for none.
        distillation_weight: Weight of the distillation loss.
        teacher_temperature: Divides the teacher's scores.
        false_negative_margin: A document more similar to a query than its positive by more than this counts as a
            false negative and leaves the query's InfoNCE; None: only known positives leave it.
        mini_batch_size: Texts embedded at once.
        always_cached: Whether small batches go through GradCache as well.

    Raises:
        InputError: The distillation loss is unknown or nothing has a weight.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        temperature: float = 0.05,
        contrastive_weight: float = 1.0,
        distillation: str | None = None,
        distillation_weight: float = 1.0,
        teacher_temperature: float = 1.0,
        false_negative_margin: float | None = None,
        mini_batch_size: int = 64,
        always_cached: bool = False,
    ) -> None:
        super().__init__()
        if distillation is not None and distillation not in DISTILLATION_LOSSES:
            raise InputError(f"unknown distillation {distillation!r}; known are {', '.join(DISTILLATION_LOSSES)}")
        if contrastive_weight <= 0 and distillation is None:
            raise InputError("nothing to train: the contrastive weight is 0 and there is no distillation")
        self.model = model
        self.temperature, self.teacher_temperature = temperature, teacher_temperature
        self.contrastive_weight, self.distillation_weight = contrastive_weight, distillation_weight
        self.distillation = None if distillation is None else DISTILLATION_LOSSES[distillation]
        self.false_negative_margin = false_negative_margin
        self.mini_batch_size, self.always_cached = mini_batch_size, always_cached

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Targets) -> Tensor:
        """Computes the loss of a step.

        Args:
            sentence_features: Tokens of the queries, then of the documents.
            labels: What belongs to what.
        """
        features = list(sentence_features)
        fits = all(len(feature["input_ids"]) <= self.mini_batch_size for feature in features)
        if fits and not self.always_cached:
            return self.calculate_loss([[self._embedded(feature)] for feature in features], labels)
        return self.forward_cached(features, labels)  # type: ignore[arg-type]

    def _embedded(self, feature: dict[str, Tensor]) -> Tensor:
        """Embeds texts with their graph; on a CPU in short runs of like length, which saves padding and fits caches."""
        tokens, n_texts = feature["input_ids"], len(feature["input_ids"])
        if tokens.device.type != "cpu" or n_texts <= _CPU_RUN:
            embedded: Tensor = self.model(feature)["sentence_embedding"]
            return embedded
        lengths = feature["attention_mask"].sum(dim=1)
        order = lengths.argsort(stable=True)
        parts = []
        for run in order.split(_CPU_RUN):  # type: ignore[no-untyped-call]
            longest = int(lengths[run].max())
            cut = {
                name: each[run, :longest] if torch.is_tensor(each) and each.shape[:2] == tokens.shape else each
                for name, each in feature.items()
            }
            parts.append(self.model(cut))
        return torch.cat([part["sentence_embedding"] for part in parts])[order.argsort()]

    def calculate_loss(  # type: ignore[override]
        self, reps: list[list[Tensor]], labels: Targets, *, with_backward: bool = False
    ) -> Tensor:
        """Computes the loss from embeddings.

        Args:
            reps: Embeddings of the queries and of the documents, by mini-batch.
            labels: What belongs to what.
            with_backward: Whether to propagate the gradient to the embeddings and return a detached loss.
        """
        queries, documents = (_unit(torch.cat(parts)) for parts in reps)
        targets, documents = gather(labels, documents)
        loss = self._loss(queries @ documents.T, targets)
        if with_backward:
            loss.backward()  # type: ignore[no-untyped-call]
            loss = loss.detach()
        return loss

    def _loss(self, similarities: Tensor, targets: Targets) -> Tensor:
        total = similarities.new_zeros(())
        if self.contrastive_weight > 0:
            positives = targets.candidates[:, 0]
            out = excluded(similarities, targets, self.false_negative_margin)
            logits = (similarities / self.temperature).masked_fill(out, -torch.inf)
            total = total + self.contrastive_weight * info_nce(logits, positives)
        if self.distillation is not None and targets.teacher is not None:
            missing = (targets.candidates < 0) | ~torch.isfinite(targets.teacher)
            listed = (similarities / self.temperature).gather(1, targets.candidates.clamp(min=0))
            teacher = targets.teacher.masked_fill(missing, -torch.inf)
            distilled = self.distillation(listed.masked_fill(missing, -torch.inf), teacher, self.teacher_temperature)
            total = total + self.distillation_weight * distilled
        return total

    def get_config_dict(self) -> dict[str, Any]:
        """Settings for the model card."""
        return {"temperature": self.temperature, "mini_batch_size": self.mini_batch_size}


def excluded(similarities: Tensor, targets: Targets, margin: float | None) -> Tensor:
    """Which documents leave a query's InfoNCE: copies, other known positives, and those too similar to be negatives.

    Args:
        similarities: *Shape:* (n_queries, n_documents), cosines.
        targets: What belongs to what; candidates point to first copies.
        margin: How much more similar than the positive a document may be; None: as much as it likes.

    Returns:
        *Shape:* (n_queries, n_documents), bool; never the positive itself.
    """
    positives = targets.candidates[:, :1]
    out = (targets.origins[None, :, None] == targets.known[:, None, :]).any(dim=2)
    out = out | (first_copies(targets.document_ids) != torch.arange(len(targets.document_ids), device=out.device))
    if margin is not None:
        out = out | (similarities.detach() > similarities.detach().gather(1, positives) + margin)
    return out.scatter(1, positives, False)


def first_copies(document_ids: Tensor) -> Tensor:
    """For each column the first one that holds the same text. *Shape:* (n_documents,), int64."""
    return (document_ids[:, None] == document_ids[None, :]).int().argmax(dim=1)


def gather(targets: Targets, documents: Tensor) -> tuple[Targets, Tensor]:
    """Joins the documents of all processes, keeping gradients; each process keeps its own queries.

    Args:
        targets: Of this process.
        documents: *Shape:* (n_documents, dimension), of this process.

    Returns:
        Targets that point into the joined documents, to the first copy of each, and the joined documents.
    """
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return targets, documents
    from torch.distributed.nn.functional import all_gather

    world, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
    count = torch.tensor([len(documents)], device=documents.device)
    counts = [torch.zeros_like(count) for _ in range(world)]
    torch.distributed.all_gather(counts, count)
    sizes = [int(each) for each in counts]
    padded = functional.pad(documents, (0, 0, 0, max(sizes) - len(documents)))
    parts = all_gather(padded)  # type: ignore[no-untyped-call]
    joined = torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])
    names = torch.stack([targets.document_ids, targets.origins], dim=1)
    padded_names = functional.pad(names, (0, 0, 0, max(sizes) - len(names)))
    all_names = [torch.zeros_like(padded_names) for _ in range(world)]
    torch.distributed.all_gather(all_names, padded_names)
    known = torch.cat([part[:size] for part, size in zip(all_names, sizes, strict=True)])
    moved = first_copies(known[:, 0])[targets.candidates.clamp(min=0) + sum(sizes[:rank])]
    candidates = torch.where(targets.candidates < 0, targets.candidates, moved)
    return targets._replace(document_ids=known[:, 0], origins=known[:, 1], candidates=candidates), joined


def _unit(vectors: Tensor) -> Tensor:
    return functional.normalize(vectors.to(torch.promote_types(vectors.dtype, torch.float32)), dim=1)
