"""Running a pretraining objective through the transformers trainer."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.errors import TrainingError
from finetune.pretraining.config import PretrainConfig
from hybridret.models import fast_dtype
from hybridret.types import Progress

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers import TrainerCallback

_TIMED = 4


def pretrain(
    model: SentenceTransformer,
    texts: Sequence[str],
    config: PretrainConfig,
    seconds: float,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Trains a model in place on bare texts.

    Args:
        model: The bi-encoder.
        texts: The corpus.
        config: Objective and settings.
        seconds: Time for training, unless the configuration fixes the steps.
        seed: Seed of everything random.
        progress: Told how far training is.

    Returns:
        Facts: steps, first and last loss.

    Raises:
        InputError: The model cannot be trained by the objective.
        TrainingError: The loss is not finite.
    """
    import torch
    from transformers import set_seed

    set_seed(seed)
    words = [text for text in texts if text.split()]
    with tempfile.TemporaryDirectory(prefix="hybridret-") as place:
        transformer: Any = model[0]
        transformer.model.save_pretrained(place)
        model.tokenizer.save_pretrained(place)
        objective = _objective(model, config, place)
        steps = config.max_steps or _steps(objective, words, config, seconds, seed)
        losses = _train(objective, words, config, steps, seed, place, progress)
    transformer.model.train(False)
    if not np.isfinite(losses).all():
        raise TrainingError("pretraining: the loss is no number; lower pretrain.learning_rate")
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise TrainingError(f"pretraining: the weights {name} are no numbers; lower pretrain.learning_rate")
    head = max(1, len(losses) // 10)
    return {"steps": steps, "first_loss": float(np.mean(losses[:head])), "last_loss": float(np.mean(losses[-head:]))}


def _objective(model: SentenceTransformer, config: PretrainConfig, decoder: str) -> torch.nn.Module:
    from finetune.pretraining.objectives import MaskedWords, Tsdae

    return Tsdae(model, config, decoder) if config.objective == "tsdae" else MaskedWords(model, config)


def _steps(objective: torch.nn.Module, texts: Sequence[str], config: PretrainConfig, seconds: float, seed: int) -> int:
    """As many steps as fit into the time, by the time of a few whose gradients are thrown away."""
    import torch

    generator, times = torch.Generator().manual_seed(seed), []
    for step in range(_TIMED):
        start = time.perf_counter()
        with _autocast(objective):
            loss = objective([texts[at] for at in _rows(len(texts), config.batch_size, seed, step)], generator)
        loss.backward()
        times.append(time.perf_counter() - start)
        objective.zero_grad()
    return max(1, int(seconds / (1.1 * float(np.mean(times[1:])))))


def _train(
    objective: torch.nn.Module,
    texts: Sequence[str],
    config: PretrainConfig,
    steps: int,
    seed: int,
    place: str,
    progress: Progress | None,
) -> list[float]:
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback, Trainer, TrainerCallback

    from finetune.arguments import OneDeviceArguments

    generator = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    rows = np.concatenate([_rows(len(texts), config.batch_size, seed, step) for step in range(steps)])

    class PretrainingTrainer(Trainer):
        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            with _autocast(objective):
                loss = model([texts[at] for at in inputs["row"].tolist()], generator)
            losses.append(loss.item())
            return loss

        def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)  # type: ignore[arg-type]

        def _save(self, *args: Any, **kwargs: Any) -> None:
            """Nothing: the stage saves the model when it is done."""

    class Report(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if progress is not None:
                progress("pretraining", state.global_step, state.max_steps)

    arguments = OneDeviceArguments(
        output_dir=place,
        max_steps=steps,
        per_device_train_batch_size=min(config.batch_size, len(texts)),
        learning_rate=config.learning_rate,
        warmup_steps=steps // 10,
        seed=seed,
        use_cpu=next(objective.parameters()).device.type == "cpu",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    callbacks: list[TrainerCallback] = [Report()]
    trainer = PretrainingTrainer(
        objective,
        arguments,
        train_dataset=Dataset.from_dict({"row": rows}),
        data_collator=lambda features: {"row": torch.tensor([each["row"] for each in features])},
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return losses


def _rows(n: int, size: int, seed: int, step: int) -> Any:
    """The texts of a step: the corpus in a new random order each time it has been gone through."""
    size = min(size, n)
    each = n // size
    order = np.random.default_rng((seed, step // each)).permutation(n)
    return order[(step % each) * size : (step % each + 1) * size]


def _autocast(objective: torch.nn.Module) -> Any:
    import torch

    device = next(objective.parameters()).device
    return torch.autocast(device.type, torch.bfloat16, enabled=fast_dtype(device) == torch.bfloat16)
