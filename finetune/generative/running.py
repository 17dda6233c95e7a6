"""Running docid training: planned steps, then the model's own mistakes, resumable, within its time."""

from __future__ import annotations

import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.generative.config import DocidConfig
from finetune.generative.curriculum import picks_of
from finetune.generative.memorisation import Memorisation
from finetune.generative.rows import Row, planned
from finetune.planning import planned_steps
from hybridret.types import IntArray, Progress

if TYPE_CHECKING:
    from torch import nn
    from transformers import TrainingArguments

    from finetune.generative.planned_trainer import Mistakes, PlannedTrainer

_TIMED, SLACK, _CHECKPOINTS = 5, 1.15, 5
_JOINT, _MEMORISATION = "joint.safetensors", "memorisation.npz"


class TrainingRuns(ABC):
    """Makes and runs trainers of one model.

    Args:
        config: Settings.
        rows: Texts and their documents, questions first.
        seed: Seed of everything random.
        progress: Told how far the work is.
    """

    def __init__(self, config: DocidConfig, rows: Sequence[Row], seed: int, progress: Progress | None) -> None:
        self.config, self.rows, self.seed, self.progress = config, rows, seed, progress

    @property
    @abstractmethod
    def module(self) -> nn.Module:
        """What is trained."""

    @abstractmethod
    def trainer(
        self, module: Any, plan: IntArray, folder: Path, save: bool, mistakes: Mistakes | None = None
    ) -> PlannedTrainer:
        """A trainer that takes the steps of a plan."""

    @abstractmethod
    def spare(self) -> AbstractContextManager[Any]:
        """Something to take a few steps with that leaves the model as it is."""

    @abstractmethod
    def own_mistakes(self, asked: Sequence[Row]) -> Mistakes:
        """What the model answers wrongly."""

    def arguments(self, plan: IntArray, folder: Path, save: bool) -> TrainingArguments:
        """How the steps of a plan are trained."""
        import torch

        from finetune.arguments import OneDeviceArguments
        from hybridret.models import fast_dtype

        config, device = self.config, next(self.module.parameters()).device
        wants_bf16 = config.precision == "auto" and fast_dtype(device) == torch.bfloat16
        return OneDeviceArguments(
            output_dir=str(folder),
            max_steps=len(plan),
            per_device_train_batch_size=plan.shape[1],
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            lr_scheduler_type="cosine",
            warmup_steps=round(config.warmup * len(plan)),
            bf16=config.precision == "bf16" or wants_bf16,
            use_cpu=device.type == "cpu",
            seed=self.seed,
            logging_steps=max(1, len(plan) // 50),
            logging_nan_inf_filter=False,
            save_strategy="steps" if save else "no",
            save_steps=max(1, -(-len(plan) // _CHECKPOINTS)),
            save_total_limit=2,
            report_to=config.report_to.split(",") if save else "none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=torch.cuda.is_available(),
        )

    def run(
        self,
        plan: IntArray,
        folder: Path,
        label: str,
        seconds: float,
        mistakes: Mistakes | None = None,
        memorisation: Memorisation | None = None,
    ) -> list[float]:
        """Trains, from the last checkpoint on where there is one, and gives the losses that were logged."""
        from finetune.dense.callbacks import CheckpointMark, Deadline, ShowProgress, last_checkpoint, seconds_spent

        checkpoint = last_checkpoint(folder)
        limit = float("inf") if self.config.max_steps else seconds
        deadline = Deadline(limit, seconds_spent(checkpoint) if checkpoint else 0.0)
        trainer = self.trainer(self.module, plan, folder, save=True, mistakes=mistakes)
        if memorisation is not None:
            trainer.follow(memorisation)
        progress = [] if self.progress is None else [ShowProgress(self.progress, label)]
        for callback in [deadline, *progress, CheckpointMark(deadline)]:
            trainer.add_callback(callback)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        bare(trainer)
        return [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]


def learn(
    make: TrainingRuns,
    asked: Sequence[Row],
    told: Sequence[Row],
    n_documents: int,
    folder: Path,
    seconds: float,
    difficulties: IntArray | None = None,
) -> dict[str, Any]:
    """Trains in place, going on from the last checkpoint in the folder where there is one.

    Args:
        make: Makes trainers of the model.
        asked: The first of its rows: questions.
        told: The others: sentences.
        n_documents: Documents in the corpus.
        folder: Where checkpoints and the plan go.
        seconds: Time for training, unless the configuration fixes the steps.
        difficulties: *Shape:* (n_questions,), int64, for the order ``easy``.

    Returns:
        Steps, numbers of texts, mistakes, losses, ``curve`` (step and running rates) and ``seconds``.

    Raises:
        InputError: There is nothing to learn from.
        TrainingError: The loss is not finite, or there is no time for a step.
    """
    from finetune.generative.planned_trainer import load_weights, save_weights

    config, seed = make.config, make.seed
    picks = picks_of(config, asked, told, n_documents, difficulties)

    def plan_of(steps: int) -> IntArray:
        return planned(len(asked), len(told), steps, config, seed, picks)

    steps = steps_of(make, plan_of, folder, seconds)
    last = round(config.preference * steps)
    start, joint = time.monotonic(), folder / _JOINT
    losses: list[float] = []
    memorisation = Memorisation(make.rows, len(asked), n_documents)
    if joint.is_file():
        load_weights(make.module, joint)
        memorisation.load(folder / _MEMORISATION)
    else:
        plan, limit = plan_of(steps - last), seconds * SLACK
        losses += make.run(plan, folder / "joint", "docid training", limit, memorisation=memorisation)
        memorisation.save(folder / _MEMORISATION)
        save_weights(make.module, joint)
    facts: dict[str, Any] = {"steps": steps - last, "questions": len(asked), "sentences": len(told)}
    if last:
        mistakes = make.own_mistakes(asked)
        facts["mistakes"] = len(mistakes.row)
        if len(mistakes.row):
            rate, tables = config.preference_rate, config.table_learning_rate
            make.config = replace(
                config,
                learning_rate=rate * config.learning_rate,
                table_learning_rate=None if tables is None else rate * tables,
            )
            generator = np.random.default_rng(seed)
            pairs = generator.integers(len(mistakes.row), size=(last, config.batch_size))
            losses += make.run(pairs, folder / "preference", "docid preferences", seconds * SLACK, mistakes)
    facts |= {"losses": losses[:: max(1, len(losses) // 50)], "curve": memorisation.curve}
    return {**facts, "seconds": time.monotonic() - start}


def bare(trainer: PlannedTrainer) -> None:
    """Takes off what mixed precision put around the model."""
    trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)


def steps_of(make: TrainingRuns, plan_of: Callable[[int], IntArray], folder: Path, seconds: float) -> int:
    """The steps of the run, see ``planned_steps``.

    Args:
        make: Makes trainers.
        plan_of: Gives the plan of so many steps.
        folder: Where the number is kept.
        seconds: Time for training, unless the configuration fixes the steps.
    """

    def seconds_per_step() -> float:
        with tempfile.TemporaryDirectory(prefix="hybridret-") as place, make.spare() as module:
            trainer = make.trainer(module, plan_of(_TIMED), Path(place), save=False)
            start = time.perf_counter()
            trainer.train()
            each = (time.perf_counter() - start) / _TIMED
            bare(trainer)
        return each

    advice = "give more --minutes, or set docid.share to 0"
    return planned_steps(folder, make.config.max_steps, seconds, seconds_per_step, "docids", advice)
