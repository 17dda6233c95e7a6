"""Training a language model to write docids, from questions and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.errors import TrainingError
from finetune.generative.config import DocidConfig
from finetune.generative.rows import Row
from finetune.generative.running import TrainingRuns, learn
from hybridret.errors import InputError
from hybridret.generative import BackboneRetriever, LanguageModelBackbone
from hybridret.types import FloatArray, IntArray, Progress, Queries

if TYPE_CHECKING:
    from torch import nn

    from finetune.generative.backbone_trainer import BackboneTrainer
    from finetune.generative.planned_trainer import Mistakes

_ASKED, _TOLD, _MISTAKES, _BATCH = 1000, 200, 8, 16


def train_backbone(
    backbone: LanguageModelBackbone,
    docids: IntArray,
    asked: Sequence[Row],
    told: Sequence[Row],
    config: DocidConfig,
    folder: Path,
    seconds: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Trains in place, going on from the last checkpoint in the folder where there is one.

    Args:
        backbone: The model, with adapters where these alone shall learn.
        docids: *Shape:* (n_documents, n_tokens), int64, filled up with ``FILL``, which stay as they are.
        asked: Questions and the documents that answer them (Query2ID).
        told: Sentences and their documents (Context2ID).
        config: Settings.
        folder: Where checkpoints and the plan go.
        seconds: Time for training, unless the configuration fixes the steps.
        seed: Seed of everything random.
        progress: Told how far the work is.

    Returns:
        What ``learn`` tells, and ``memorised``: the share of sentences, of at most 200, whose document is found first.

    Raises:
        InputError: There is no question.
        TrainingError: The loss or a weight is not finite, or there is no time for a step.
    """
    from transformers import set_seed

    if not asked:
        raise InputError("docid training has no question whose document is in the corpus")
    folder.mkdir(parents=True, exist_ok=True)
    set_seed(seed)
    config = replace(config, learning_rate=config.backbone_rate)
    make = BackboneRuns(backbone, docids, config, [*asked, *told], seed, progress)
    window, backbone.max_tokens = backbone.max_tokens, min(backbone.max_tokens, config.max_tokens)
    try:
        facts = learn(make, asked, told, len(docids), folder, seconds)
    finally:
        backbone.max_tokens = window
    check_weights(backbone)
    return {**facts, "memorised": memorised(backbone, docids, told, seed)}


def check_weights(backbone: LanguageModelBackbone) -> None:
    """Raises a ``TrainingError`` where training left a weight that is not finite."""
    import torch

    if not all(bool(torch.isfinite(weight).all()) for weight in backbone.model.parameters()):
        raise TrainingError("docid training left a weight that is not a number; lower its rate (backbone_rate)")


class BackboneRuns(TrainingRuns):
    """Makes and runs trainers of one backbone; see ``train_backbone`` for the arguments."""

    def __init__(
        self,
        backbone: LanguageModelBackbone,
        docids: IntArray,
        config: DocidConfig,
        rows: Sequence[Row],
        seed: int,
        progress: Progress | None,
    ) -> None:
        super().__init__(config, rows, seed, progress)
        self.backbone, self.docids = backbone, docids

    @property
    def module(self) -> nn.Module:
        """The language model."""
        module: nn.Module = self.backbone.model
        return module

    def trainer(
        self, module: Any, plan: IntArray, folder: Path, save: bool, mistakes: Mistakes | None = None
    ) -> BackboneTrainer:
        """A trainer that takes the steps of a plan."""
        from finetune.generative.backbone_trainer import BackboneTrainer

        args = self.arguments(plan, folder, save)
        return BackboneTrainer(self.backbone, self.docids, args, self.config, self.rows, plan, mistakes)

    @contextmanager
    def spare(self) -> Iterator[nn.Module]:
        """The model itself, too large for a copy; what it learns is taken back."""
        import torch

        before = {name: own.detach().clone() for name, own in self.module.named_parameters() if own.requires_grad}
        try:
            yield self.module
        finally:
            with torch.no_grad():
                for name, own in self.module.named_parameters():
                    if name in before:
                        own.copy_(before[name])
                        own.grad = None

    def own_mistakes(self, asked: Sequence[Row]) -> Mistakes:
        """Pairs of each question's best right document and the wrong ones that its beam search puts before it.

        Of at most 1,000 questions, eight pairs each at most.
        """
        from finetune.generative.planned_trainer import Mistakes

        generator, parts = np.random.default_rng(self.seed), list[Mistakes]()
        retriever = BackboneRetriever(self.backbone, self.docids)
        picked = np.sort(generator.permutation(len(asked))[:_ASKED]).tolist()
        for start in range(0, len(picked), _BATCH):
            part = picked[start : start + _BATCH]
            queries = texts_alone([asked[at].text for at in part])
            runs = retriever.search(queries, _MISTAKES + 1, None, np.arange(len(self.docids)))
            rights = retriever.score(queries, [asked[at].documents for at in part])
            for place, (at, run, scores) in enumerate(zip(part, runs, rights, strict=True)):
                right, best = int(asked[at].documents[scores.argmax()]), float(scores.max())
                wrong = run.rows[(run.scores > best) & ~np.isin(run.rows, asked[at].documents)][:_MISTAKES]
                if self.config.preference_random and len(wrong):
                    others = np.setdiff1d(np.arange(len(self.docids)), asked[at].documents)
                    wrong = generator.choice(others, min(len(wrong), len(others)), replace=False)
                (theirs,) = retriever.score(texts_alone(queries.texts[place : place + 1]), [wrong])
                reference = np.column_stack([np.full(len(wrong), best), theirs]).astype(np.float32)
                parts.append(Mistakes(np.full(len(wrong), at), np.full(len(wrong), right), wrong, reference))
        return Mistakes.joined(parts)


def memorised(backbone: LanguageModelBackbone, docids: IntArray, sentences: Sequence[Row], seed: int) -> float:
    """The share of sentences, of a sample of 200, whose document's docid is found first; equal docids count as one."""
    retriever = BackboneRetriever(backbone, docids)
    picked = np.sort(np.random.default_rng(seed).permutation(len(sentences))[:_TOLD]).tolist()
    found = 0
    for start in range(0, len(picked), _BATCH):
        rows = [sentences[at] for at in picked[start : start + _BATCH]]
        runs = retriever.search(texts_alone([row.text for row in rows]), 1, None, np.arange(len(docids)))
        found += sum(
            bool((docids[run.rows[0]] == docids[row.documents]).all(axis=1).any())
            for run, row in zip(runs, rows, strict=True)
        )
    return found / max(1, len(picked))


def texts_alone(texts: list[str]) -> Queries:
    """Queries without vectors, which a language model does not look at."""
    nothing: FloatArray = np.zeros((0, 0), dtype=np.float32)
    return Queries(texts, nothing)
