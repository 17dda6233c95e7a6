"""Transformers' trainer on planned steps of docid training, whatever the model is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import SequentialSampler
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from finetune.errors import TrainingError
from finetune.generative.config import DocidConfig
from finetune.generative.curriculum import redrawn
from finetune.generative.memorisation import Memorisation
from finetune.generative.rows import Row
from hybridret.types import FloatArray, IntArray

_WEIGHTS, _PLAN, _MEMORISATION = "weights.safetensors", "plan.npy", "memorisation.npz"
_POINTS = 10


class Mistakes(NamedTuple):
    """What preference training learns from: pairs of a right and a better-ranked wrong document.

    Attributes:
        row: *Shape:* (n_pairs,), int64, the question of each.
        right: *Shape:* (n_pairs,), int64.
        wrong: *Shape:* (n_pairs,), int64.
        reference: *Shape:* (n_pairs, 2), float32, log-probabilities of both before.
    """

    row: IntArray
    right: IntArray
    wrong: IntArray
    reference: FloatArray

    @classmethod
    def joined(cls, parts: Sequence[Mistakes]) -> Mistakes:
        """Several one after the other."""
        nothing = np.zeros(0, dtype=np.int64)
        columns = zip(cls(nothing, nothing, nothing, np.zeros((0, 2), dtype=np.float32)), *parts, strict=True)
        return cls(*(np.concatenate(column) for column in columns))


class PlannedTrainer(Trainer):
    """Trains a model on rows, or where there are mistakes on these; steps look their texts up.

    Args:
        model: The model.
        args: The trainer's arguments.
        config: Settings.
        rows: Texts and their documents.
        plan: *Shape:* (steps, batch_size), int64, the rows, or mistakes, of each step.
        mistakes: For preference training.
        callbacks: Further callbacks.
    """

    def __init__(
        self,
        model: nn.Module,
        args: TrainingArguments,
        config: DocidConfig,
        rows: Sequence[Row],
        plan: IntArray,
        mistakes: Mistakes | None = None,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        self.config, self.rows, self.mistakes = config, rows, mistakes
        self.plan = plan
        self.memorisation: Memorisation | None = None
        super().__init__(
            model,
            args,
            train_dataset=Dataset.from_dict({"place": range(plan.size)}),
            data_collator=lambda features: {"place": torch.tensor([each["place"] for each in features])},
            callbacks=list(callbacks),
        )
        self.remove_callback(PrinterCallback)

    @abstractmethod
    def _joint(self, model: Any, picked: IntArray) -> Tensor:
        """The loss of a step. *Shape:* (n_texts,), int64, its rows."""

    @abstractmethod
    def _preference(self, model: Any, picked: IntArray, mistakes: Mistakes) -> Tensor:
        """The loss of a step of preference training. *Shape:* (n_pairs,), int64, its mistakes."""

    def follow(self, memorisation: Memorisation) -> None:
        """Has each step's texts counted, and the plan paced by what is known of their documents."""
        self.memorisation = memorisation
        self.add_callback(Pacing(self, memorisation, self.config))

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        return SequentialSampler(self.train_dataset)  # type: ignore[arg-type]

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Looks the texts up and computes the loss of a step."""
        picked = self.plan.ravel()[inputs["place"].cpu().numpy()]
        loss = self._joint(model, picked) if self.mistakes is None else self._preference(model, picked, self.mistakes)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss at step {self.state.global_step + 1} of docid training is {loss.item()}, not a number to "
                f"train on; lower {self.rates}; earlier stages are kept"
            )
        return loss

    rates = "docid.learning_rate and docid.table_learning_rate"
    """The settings that say how fast it learns."""

    def drawn(self, rows: Sequence[Row]) -> tuple[IntArray, np.random.Generator]:
        """One of each row's documents, and what draws for the step. *Shape:* (n_texts,), int64."""
        generator = np.random.default_rng([self.args.seed, self.state.global_step])
        return np.array([_draw_target(row, generator) for row in rows]), generator

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        model: Any = self.model
        save_weights(model, folder / _WEIGHTS)
        if self.memorisation is not None:
            np.save(folder / _PLAN, self.plan)
            self.memorisation.save(folder / _MEMORISATION)

    def _load_from_checkpoint(self, checkpoint: str, model: Any = None) -> None:
        if self.memorisation is not None:
            self.plan = np.load(Path(checkpoint) / _PLAN)
            self.memorisation.load(Path(checkpoint) / _MEMORISATION)
        own: Any = self.model
        load_weights(own, Path(checkpoint) / _WEIGHTS)


class Pacing(TrainerCallback):
    """Marks each tenth of the steps how much is memorised, and by it draws the texts to come or ends training.

    Args:
        trainer: Its plan is drawn anew.
        memorisation: What it counted.
        config: Whether to draw anew, and when to end.
    """

    def __init__(self, trainer: PlannedTrainer, memorisation: Memorisation, config: DocidConfig) -> None:
        self._trainer, self._memorisation, self._config = trainer, memorisation, config

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Marks a point, where one is due."""
        step, config, memorisation = state.global_step, self._config, self._memorisation
        if step % max(1, state.max_steps // _POINTS) and step < state.max_steps:
            return
        memorisation.mark(step)
        answered, memorised = memorisation.means()
        self._trainer.log({"answered": answered, "memorised": memorised})
        if config.dynamic:
            rest, rates = self._trainer.plan[step:], memorisation.of_rows()
            drawn = redrawn(rest, memorisation.n_questions, rates, config.dynamic, args.seed + step)
            self._trainer.plan = np.concatenate([self._trainer.plan[:step], drawn])
        if config.stop_at is not None and memorisation.lowest() >= config.stop_at:
            control.should_training_stop = True


def _draw_target(row: Row, generator: np.random.Generator) -> int:
    """One of a row's documents, by its grade where it has one."""
    return int(generator.choice(row.documents, p=row.weights if len(row.weights) else None))


def save_weights(model: nn.Module, path: Path) -> None:
    """Writes the weights that are trained; of a model with adapters, these alone."""
    save_file({name: own.detach().contiguous() for name, own in _trained(model).items()}, path)


def load_weights(model: nn.Module, path: Path) -> None:
    """Reads what ``save_weights`` wrote of the same model."""
    stored = load_file(path)
    with torch.no_grad():
        for name, own in _trained(model).items():
            own.copy_(stored[name])


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: own for name, own in model.named_parameters() if own.requires_grad}
