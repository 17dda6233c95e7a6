"""The trainer: sentence-transformers' own, fed from a table that may change between two steps."""

from __future__ import annotations

import gc
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from torch import Tensor
from transformers import TrainerCallback

from finetune.dense.loss import RetrievalLoss, Targets
from finetune.dense.sampler import TaskBatchSampler
from finetune.dense.table import Batch, TrainingTable
from finetune.errors import TrainingError
from hybridret.prompts import Prompts

_WEIGHTS = "weights.safetensors"
_log = logging.getLogger(__name__)


@dataclass
class RowCollator:
    """Hands on the rows' numbers alone: their texts are looked up when the step begins.

    Data loaders prepare a batch ahead of its step; texts gathered there would miss a change of the negatives in
    between, and a resumed run, which starts with an empty loader, would see other ones than an uninterrupted run.
    """

    valid_label_columns: list[str] = field(default_factory=list)

    def __call__(self, features: list[dict[str, int]]) -> dict[str, Tensor]:
        """The numbers of the rows of a batch."""
        return {"row": torch.tensor([feature["row"] for feature in features])}


class RetrievalTrainer(SentenceTransformerTrainer):
    """Trains a bi-encoder on the rows of a table.

    A step whose loss is not finite ends training with an error. A step that runs out of memory is repeated with half
    the micro-batch, from the same random state.

    Args:
        model: The bi-encoder.
        args: The trainer's arguments.
        table: What to train on.
        sampler: The plan of all batches.
        loss: The loss, ``RetrievalLoss`` or one that wraps it.
        inner: The ``RetrievalLoss`` itself.
        prompts: Texts before queries and documents, by task.
        max_tokens: Tokens after which texts are cut; 0: the model's window.
        callbacks: Further callbacks.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        args: SentenceTransformerTrainingArguments,
        table: TrainingTable,
        sampler: TaskBatchSampler,
        loss: torch.nn.Module,
        inner: RetrievalLoss,
        prompts: dict[str, Prompts],
        max_tokens: int = 0,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        self.table, self.sampler, self.inner, self.prompts = table, sampler, inner, prompts
        self.notes: list[str] = []
        self._max_tokens = max_tokens
        super().__init__(
            model=model,
            args=args,
            train_dataset=Dataset.from_dict({"row": range(len(table))}),
            loss=loss,
            data_collator=RowCollator(),  # type: ignore[arg-type]
            callbacks=list(callbacks),
        )

    def get_batch_sampler(self, *args: Any, **kwargs: Any) -> TaskBatchSampler:
        """The plan of the run, which takes the trainer through all its passes as one epoch."""
        return self.sampler

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: the rows' numbers tell a model card nothing."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Looks the rows up, tokenises their texts and computes the loss."""
        batch = self.table.batch(inputs["row"].tolist(), self.state.global_step)
        prompts = self.prompts[batch.task]
        prepared: dict[str, Any] = {"label": self._targets(batch)}
        for name, texts, prompt in (
            ("query", batch.queries, prompts.query),
            ("document", batch.documents, prompts.document),
        ):
            tokens: Any = self._prepare_input(self._tokens(texts, prompt))
            prepared |= {f"{name}_{key}": value for key, value in tokens.items()}
        return super().compute_loss(model, prepared, return_outputs, num_items_in_batch)

    def _tokens(self, texts: list[str], prompt: str) -> Any:
        window = self.model.max_seq_length
        try:
            if self._max_tokens:
                self.model.max_seq_length = min(window or self._max_tokens, self._max_tokens)
            return self.model.preprocess(texts, prompt=prompt or None)
        finally:
            self.model.max_seq_length = window

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """One step, repeated with half the micro-batch where memory does not suffice.

        Raises:
            TrainingError: The loss is not finite, or one text at a time is still too much.
        """
        state = torch.get_rng_state()
        while True:
            try:
                loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error):
                    raise
                self._halve(error)
            else:
                break
            model.zero_grad()
            torch.set_rng_state(state)
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss at step {self.state.global_step + 1} is {loss.item()}, not a number to train on; lower "
                "dense.learning_rate or raise dense.temperature; earlier stages and checkpoints are kept"
            )
        return loss

    def _halve(self, error: BaseException) -> None:
        size = min(self.inner.mini_batch_size, self.args.train_batch_size)
        if size <= 1 or self.args.world_size > 1:
            raise TrainingError(
                f"out of memory at step {self.state.global_step + 1} with a micro-batch of {size}"
                f"{' on one of several processes' if self.args.world_size > 1 else ''}; choose a smaller "
                "dense.micro_batch or shorter documents; earlier stages and checkpoints are kept"
            ) from error
        self.inner.mini_batch_size = size // 2
        note = f"out of memory at step {self.state.global_step + 1}: the micro-batch is now {size // 2}"
        self.notes.append(note)
        _log.warning(note)

    def _targets(self, batch: Batch) -> Targets:
        width = max(len(known) for known in batch.known)
        known = np.full((len(batch.known), width), -1, dtype=np.int64)
        for at, positions in enumerate(batch.known):
            known[at, : len(positions)] = positions
        arrays = [batch.document_ids, batch.candidates, known, self.table.original(batch.document_ids)]
        ids, candidates, others, origins = (torch.from_numpy(array).to(self.args.device) for array in arrays)
        teacher = None if batch.teacher is None else torch.from_numpy(batch.teacher).to(self.args.device)
        return Targets(ids, candidates, others, origins, teacher)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        try:
            super()._save_checkpoint(model, trial)
        except (OSError, RuntimeError, SafetensorError) as error:
            folder = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
            shutil.rmtree(folder, ignore_errors=True)
            reason = str(error).strip().partition("\n")[0]
            raise TrainingError(
                f"the checkpoint {folder} cannot be written: {reason}; make room and run again with --resume: earlier "
                "stages and checkpoints are kept"
            ) from error

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Writes the weights alone, adapters included: what a checkpoint needs to go on from."""
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.model, str(folder / _WEIGHTS))

    def _load_from_checkpoint(self, checkpoint: str, model: Any = None) -> None:
        load_model(self.model, str(Path(checkpoint) / _WEIGHTS), device=str(self.args.device))


def _out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: CUDA's own error, Python's, or the CPU allocator's message."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
