"""A language model that writes docids goes on learning."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from finetune.continual.config import ContinualConfig
from finetune.continual.decide import Models
from finetune.continual.learner import Learner
from finetune.continual.rows import Material
from finetune.continual.train import ADAPTER, steps_taken
from finetune.gate import Exam
from finetune.gate.decide import Values
from finetune.gate.merge import merge_into
from finetune.generative.altered import Alterations
from finetune.generative.backbone_train import check_weights
from finetune.generative.config import DocidConfig
from finetune.generative.decide import measure_written
from hybridret.errors import InputError
from hybridret.generative import BackboneDocids, IndexedDocids, LanguageModelBackbone, LazyBackbone, load_backbone
from hybridret.persistence import bundled_backbone
from hybridret.types import FloatArray, IntArray, Progress

_BACKBONE = "backbone"


class BackboneLearner(Learner):
    """Trains the language model alone: queries and documents keep their vectors."""

    @property
    def docid(self) -> BackboneDocids:
        """The bundle's docids."""
        docid = self.generation.docid
        assert isinstance(docid, BackboneDocids)
        return docid

    @property
    def inputs(self) -> dict[str, Any]:
        """Of the backbone."""
        return {"backbone": self.changes.state.backbone_files}

    def train(
        self, material: Material, folder: Path, seconds: float, alterations: Alterations | None = None
    ) -> dict[str, Any]:
        """Trains; see the base."""
        recipe, docids = self.recipe, self.docid.codes[self.rows].astype(np.int64)
        trained, facts = go_on(
            self._old(),
            docids,
            material,
            recipe.docid,
            recipe.continual,
            folder / "training",
            seconds,
            recipe.seed,
            self.progress,
        )
        trained.save(folder / _BACKBONE)
        return facts

    def models(self, ratio: float, folder: Path) -> Models:
        """The encoder, and the old backbone with a share of the new one's weights."""

        def load() -> LanguageModelBackbone:
            new = load_backbone(folder / _BACKBONE)
            if ratio < 1.0:
                merge_into(new.model, self._old().model, ratio)
            return new

        docid = self.docid if ratio == 0.0 else self.docid.with_backbone(LazyBackbone(load))
        return Models(self.encoder, partial(_measured, docid.picked(self.rows)), partial(_retrained, docid))

    def _old(self) -> LanguageModelBackbone:
        """The bundle's backbone, for itself."""
        assert self.changes.bundle is not None
        return bundled_backbone(self.changes.bundle, self.changes.state)


def go_on(
    backbone: LanguageModelBackbone,
    docids: IntArray,
    material: Material,
    config: DocidConfig,
    continual: ContinualConfig,
    folder: Path,
    seconds: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[LanguageModelBackbone, dict[str, Any]]:
    """Trains in place, going on from the last checkpoint in the folder where there is one.

    Args:
        backbone: The model.
        docids: *Shape:* (n_documents, n_tokens), int64, filled up with ``FILL``, which stay as they are.
        material: What to learn from.
        config: Settings of docid training.
        continual: What holds the model to what it knew.
        folder: Where checkpoints, the plan and adapters go.
        seconds: Time for training, unless the configuration fixes the steps.
        seed: Seed of everything random.
        progress: Told how far the work is.

    Returns:
        The trained model, adapters merged into it, and the facts of training.

    Raises:
        InputError: There is no question about a new document.
        TrainingError: The loss or a weight is not finite, or there is no time for a step.
    """
    from transformers import set_seed

    from finetune.continual.backbone_trainer import BackboneMemory, ContinualBackboneRuns, backbone_fisher

    if not material.new_questions:
        raise InputError("there is no question about a new document to learn from")
    folder.mkdir(parents=True, exist_ok=True)
    set_seed(seed)
    start, window = time.monotonic(), backbone.max_tokens
    config = replace(config, learning_rate=continual.backbone_rate)
    backbone.max_tokens = min(window, config.max_tokens)
    old, memory = material.old_questions or material.old_sentences, None
    if old and (continual.ewc or continual.distillation):
        fisher = backbone_fisher(backbone, docids, old, continual.fisher_questions, seed) if continual.ewc else {}
        memory = BackboneMemory.of(backbone, fisher, material.first_old)
    if continual.lora_rank:
        backbone = backbone.with_lora(continual.lora_rank, seed)
    args = (backbone, docids, config, material.rows, seed, progress)
    make = ContinualBackboneRuns(*args, memory=memory, continual=continual)
    facts = steps_taken(make, material, continual, folder, seconds - (time.monotonic() - start))
    check_weights(backbone)
    if continual.lora_rank:
        backbone.model.save_pretrained(str(folder / ADAPTER), save_embedding_layers=False)
        backbone = backbone.merged()
    backbone.max_tokens = window
    return backbone, {**facts, "seconds": time.monotonic() - start}


def _measured(docid: BackboneDocids, exam: Exam, vectors: FloatArray, queries: FloatArray) -> Values:
    """What docids alone are worth; those of the index stand for the exam's documents."""
    return measure_written(docid, queries, exam)


def _retrained(trained: BackboneDocids, was: IndexedDocids) -> BackboneDocids | None:
    """Docids under the trained model."""
    if not isinstance(was, BackboneDocids) or was.scheme.level_sizes != trained.scheme.level_sizes:
        return None
    return was.with_backbone(trained.lazy)
