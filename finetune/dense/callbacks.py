"""What happens beside the steps: progress, the clock, and the state that makes a resumed run the same."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from finetune import parallel
from finetune.dense.loss import RetrievalLoss
from finetune.dense.table import TrainingTable
from hybridret.types import Progress

_STATE, _NEGATIVES = "finetune.json", "negatives.npz"


class ShowProgress(TrainerCallback):
    """Tells a progress function how far training is.

    Args:
        progress: The function.
        label: What it calls the work.
    """

    def __init__(self, progress: Progress, label: str = "training") -> None:
        self._progress, self._label = progress, label

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Reports a step."""
        if state.is_world_process_zero:
            self._progress(self._label, state.global_step, state.max_steps)


class Deadline(TrainerCallback):
    """Ends training when its time is over by far: the steps are planned to fit, but a machine may slow down.

    Args:
        seconds: Time for training.
        spent: Seconds that earlier, interrupted runs trained.
    """

    def __init__(self, seconds: float, spent: float = 0.0) -> None:
        self._seconds, self._start = seconds, time.monotonic() - spent
        self.stopped_at: int | None = None

    @property
    def elapsed(self) -> float:
        """Seconds trained, interrupted runs included."""
        return time.monotonic() - self._start

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Stops where the time is over, by the first process's clock: all of them at the same step."""
        is_over = self.elapsed > self._seconds
        if args.world_size > 1 and self._seconds < float("inf"):
            is_over = parallel.agreed(is_over)
        if is_over and state.global_step < state.max_steps:
            self.stopped_at = state.global_step
            control.should_training_stop = True


class CheckpointMark(TrainerCallback):
    """Saves beside each checkpoint what the trainer does not know of; the file is written last and marks it complete.

    Args:
        deadline: Its clock is saved.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def facts(self, folder: Path) -> dict[str, Any]:
        """What else is saved in the file, after anything that goes into files of its own."""
        return {}

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Saves the state."""
        if args.world_size > 1:
            import torch.distributed

            torch.distributed.barrier()
        if not state.is_world_process_zero:
            return
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        facts = {**self.facts(folder), "seconds": self._deadline.elapsed}
        new = folder / f"{_STATE}.new"
        new.write_text(json.dumps(facts), encoding="utf-8")
        new.replace(folder / _STATE)


class RunState(CheckpointMark):
    """The state of contrastive training: negatives, micro-batch and clock.

    Args:
        table: Its negatives are saved.
        loss: Its micro-batch is saved.
        deadline: Its clock is saved.
    """

    def __init__(self, table: TrainingTable, loss: RetrievalLoss, deadline: Deadline) -> None:
        super().__init__(deadline)
        self._table, self._loss = table, loss

    def facts(self, folder: Path) -> dict[str, Any]:
        """Saves the negatives and tells the micro-batch."""
        lengths = np.array([len(negatives) for negatives in self._table.negatives], dtype=np.int64)
        joined = np.concatenate([*self._table.negatives, np.zeros(0, dtype=np.int64)])
        np.savez(folder / _NEGATIVES, lengths=lengths, joined=joined)
        return {"micro_batch": self._loss.mini_batch_size}

    def restore(self, checkpoint: Path) -> None:
        """Takes the state of a checkpoint up again."""
        with np.load(checkpoint / _NEGATIVES) as saved:
            ends = np.cumsum(saved["lengths"])[:-1]
            self._table.negatives = np.split(saved["joined"], ends)
        self._loss.mini_batch_size = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))["micro_batch"]


def last_checkpoint(folder: Path) -> Path | None:
    """The latest complete checkpoint in a folder, None where there is none."""
    found = [path for path in folder.glob("checkpoint-*") if (path / _STATE).is_file()]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def seconds_spent(checkpoint: Path) -> float:
    """Seconds that had been trained at a checkpoint."""
    spent: float = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))["seconds"]
    return spent
