"""Training a bi-encoder: from questions and documents to a folder with the new model."""

from __future__ import annotations

import copy
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from finetune.dense.config import DenseConfig
from finetune.planning import planned_steps
from finetune.types import LABELS, Question
from hybridret.errors import InputError, require
from hybridret.models import fast_dtype
from hybridret.prompts import Prompts
from hybridret.types import Document, IntArray, Progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import TrainerCallback

    from finetune.dense.table import TrainingTable
    from finetune.dense.trainer import RetrievalTrainer

_CALIBRATION_STEPS, _SLACK = 6, 1.15
_CHECKPOINTS = 10
_LABELLED_RATE, _MADE_RATE = 1e-4, 5e-5
_log = logging.getLogger(__name__)

Refresher = Callable[["TrainingTable", "SentenceTransformer"], "TrainerCallback"]


class Trained(NamedTuple):
    """What training left.

    Attributes:
        steps: Steps trained.
        planned: Steps planned.
        seconds: Time trained, interrupted runs included.
        history: The trainer's log: loss, learning rate and telemetry by step.
        notes: What the user should know, such as a halved micro-batch.
    """

    steps: int
    planned: int
    seconds: float
    history: list[dict[str, Any]]
    notes: list[str]


def train_dense(
    model: SentenceTransformer,
    documents: Sequence[Document],
    questions: Sequence[Question],
    config: DenseConfig,
    folder: Path,
    *,
    prompts: Prompts,
    seconds: float,
    seed: int,
    negatives: Mapping[str, Sequence[str]] | None = None,
    teacher: Mapping[str, Mapping[str, float]] | None = None,
    refresher: Refresher | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Trains a bi-encoder in place, going on from the last checkpoint in the folder where there is one.

    Args:
        model: The model; changed in place, adapters merged.
        documents: The corpus.
        questions: What to train on.
        config: Settings.
        folder: Where checkpoints and the plan go.
        prompts: Texts before queries and documents of tasks for which the configuration has none.
        seconds: Time for training, unless the configuration fixes the steps.
        seed: Seed of everything random.
        negatives: By question id ids of hard negatives, the most wanted first.
        teacher: Soft labels by question id and document id.
        refresher: Makes the callback that mines negatives while training runs.
        progress: Told how far the work is.

    Returns:
        What training left.

    Raises:
        InputError: The questions or settings do not allow training.
        TrainingError: The loss is not finite, memory or disk ran out.
    """
    from transformers import set_seed

    from finetune.dense.callbacks import Deadline, RunState, ShowProgress, last_checkpoint, seconds_spent
    from finetune.dense.table import TrainingTable

    folder.mkdir(parents=True, exist_ok=True)
    table = TrainingTable(documents, questions, config.negatives, seed)
    if negatives is not None:
        table.set_negatives(
            [_rows(table, negatives.get(question.query_id, question.negatives)) for question in questions]
        )
    if teacher:
        table.set_teacher(teacher)
    set_seed(seed)
    if config.lora_rank:
        _add_adapters(model, config)
    by_task = {question.task: Prompts(*config.prompts.get(question.task, prompts)) for question in questions}
    steps = planned_steps(
        folder,
        config.max_steps,
        seconds,
        lambda: _seconds_per_step(model, table, config, by_task, seed),
        what="the model",
        advice="give more --minutes",
        most=max(1, round(config.max_passes * len(table) / config.questions_a_step)),
        together=True,
    )
    checkpoint = last_checkpoint(folder)
    deadline = Deadline(
        float("inf") if config.max_steps else seconds * _SLACK, seconds_spent(checkpoint) if checkpoint else 0.0
    )
    trainer = make_trainer(model, table, config, folder, by_task, steps, seed)
    state = RunState(table, trainer.inner, deadline)
    callbacks: list[TrainerCallback] = [deadline]
    if refresher is not None and config.ance_every:
        callbacks.append(refresher(table, model))
    if progress is not None:
        callbacks.append(ShowProgress(progress))
    for callback in [*callbacks, state]:
        trainer.add_callback(callback)
    if checkpoint is not None:
        state.restore(checkpoint)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if deadline.stopped_at is not None:
        trainer.notes.append(f"the time was over after {deadline.stopped_at} of {steps} planned steps")
    unwrap(trainer)
    if config.lora_rank:
        _merge_adapters(model)
    return Trained(trainer.state.global_step, steps, deadline.elapsed, trainer.state.log_history, trainer.notes)


def make_trainer(
    model: SentenceTransformer,
    table: TrainingTable,
    config: DenseConfig,
    folder: Path,
    prompts: dict[str, Prompts],
    steps: int,
    seed: int,
    save: bool = True,
) -> RetrievalTrainer:
    """Puts model, rows, loss and plan of batches together.

    Args:
        model: The model.
        table: What to train on.
        config: Settings.
        folder: Where checkpoints go.
        prompts: Texts before queries and documents, by task.
        steps: Steps of the run.
        seed: Seed of everything random.
        save: Whether checkpoints are written.
    """
    import torch
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss
    from transformers import PrinterCallback

    from finetune.arguments import OneDeviceRetrievalArguments
    from finetune.dense.loss import RetrievalLoss
    from finetune.dense.sampler import TaskBatchSampler
    from finetune.dense.trainer import RetrievalTrainer

    if config.deepspeed is not None:
        require("deepspeed", "deepspeed")
    args = OneDeviceRetrievalArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=config.questions_a_step,
        learning_rate=config.learning_rate or _learning_rate(table),
        lr_scheduler_type=config.schedule,
        warmup_steps=round(config.warmup * steps),
        weight_decay=config.weight_decay,
        bf16=_is_bf16(config.precision, model.device),
        use_cpu=model.device.type == "cpu",
        seed=seed,
        logging_steps=max(1, steps // 50),
        logging_nan_inf_filter=False,
        save_strategy="steps" if save else "no",
        save_steps=config.checkpoint_every or max(1, -(-steps // _CHECKPOINTS)),
        save_total_limit=2,
        report_to=config.report_to.split(",") if save else "none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        deepspeed=config.deepspeed,
    )
    positives = [pair.positive for pair in table.pairs]
    asked = [table.questions[pair.question] for pair in table.pairs]
    sampler = TaskBatchSampler(
        [f"{question.task} {question.source}" for question in asked],
        positives,
        config.questions_a_step,
        steps,
        seed,
        args.world_size,
        row_weights(table, config.long_tail),
        {f"{question.task} {question.source}" for question in asked if question.source == LABELS},
    )
    inner = RetrievalLoss(
        model,
        temperature=config.temperature,
        contrastive_weight=config.contrastive_weight,
        distillation=config.distillation if table.teacher else None,
        distillation_weight=config.distillation_weight,
        teacher_temperature=config.teacher_temperature,
        false_negative_margin=config.false_negative_margin,
        mini_batch_size=config.micro_batch,
        always_cached=bool(config.matryoshka) or args.world_size > 1,
    )
    loss: torch.nn.Module = inner
    if config.matryoshka:
        dimension = model.get_embedding_dimension() or 0
        if wrong := [length for length in config.matryoshka if not 0 < length <= dimension]:
            raise InputError(f"dense.matryoshka: {wrong[0]} is no length from 1 to the model's {dimension}")
        loss = MatryoshkaLoss(model, inner, sorted({*config.matryoshka, dimension}))
    trainer = RetrievalTrainer(model, args, table, sampler, loss, inner, prompts, config.max_tokens)
    trainer.remove_callback(PrinterCallback)
    return trainer


def row_weights(table: TrainingTable, long_tail: float) -> list[float] | None:
    """How often each row is drawn: by its document's grade among those of its question, and by the long tail's power.

    Args:
        table: What to train on.
        long_tail: Power of the number of rows that a document has; 0: that does not count.

    Returns:
        One weight a row; None where all are alike.
    """
    from finetune.dense.sampler import long_tail_weights

    weights = np.ones(len(table.pairs))
    for at, pair in enumerate(table.pairs):
        grades = table.grades[pair.question]
        weights[at] = grades[pair.positive] / np.mean(list(grades.values()))
    if long_tail:
        weights *= long_tail_weights([pair.positive for pair in table.pairs], long_tail)
    return None if np.all(weights == 1.0) else weights.tolist()


def unwrap(trainer: RetrievalTrainer) -> None:
    """Takes the trainer's mixed precision off the model again, so that it can be copied and saved."""
    trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    trainer.model.eval()


def _seconds_per_step(
    model: SentenceTransformer, table: TrainingTable, config: DenseConfig, prompts: dict[str, Prompts], seed: int
) -> float:
    """Trains a copy for a few steps, the first uncounted."""
    from transformers import TrainerCallback

    class Stopwatch(TrainerCallback):
        times: list[float] = []  # noqa: RUF012

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            self.times.append(time.perf_counter())

    watch = Stopwatch()
    watch.times = []
    place = tempfile.mkdtemp(prefix="hybridret-")
    try:
        trainer = make_trainer(
            copy.deepcopy(model), table, config, Path(place), prompts, _CALIBRATION_STEPS, seed, save=False
        )
        trainer.add_callback(watch)
        trainer.train()
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return (watch.times[-1] - watch.times[0]) / (len(watch.times) - 1)


def _learning_rate(table: TrainingTable) -> float:
    """Made questions are less sure than labelled ones, and are learned more slowly."""
    labelled = sum(question.source == LABELS for question in table.questions)
    return _LABELLED_RATE if 2 * labelled > len(table.questions) else _MADE_RATE


def _is_bf16(precision: str, device: Any) -> bool:
    import torch

    return precision == "bf16" or (precision == "auto" and fast_dtype(device) == torch.bfloat16)


def _add_adapters(model: SentenceTransformer, config: DenseConfig) -> None:
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(r=config.lora_rank, lora_alpha=config.lora_alpha, target_modules="all-linear")  # type: ignore[arg-type]
    first: Any = model[0]
    first.model = get_peft_model(first.model, settings)


def _merge_adapters(model: SentenceTransformer) -> None:
    first: Any = model[0]
    first.model = first.model.merge_and_unload()


def _rows(table: TrainingTable, doc_ids: Sequence[str]) -> IntArray:
    return np.array([table.row_of[doc_id] for doc_id in doc_ids if doc_id in table.row_of], dtype=np.int64)
