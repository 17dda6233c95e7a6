"""Training by FlagEmbedding's ``finetune`` module: its data file, its command line, and how many steps fit the time."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.own_environment import NotRunError, OwnEnvironment
from finetune.types import Question
from hybridret.types import Document

MODULE = "FlagEmbedding.finetune.embedder.encoder_only.base"
PROBE_STEPS = 10
SETTINGS: Mapping[str, str] = {
    "train_group_size": "1",
    "query_max_len": "128",
    "passage_max_len": "128",
    "pad_to_multiple_of": "8",
    "per_device_train_batch_size": "32",
    "dataloader_drop_last": "True",
    "warmup_ratio": "0.1",
    "temperature": "0.02",
    "sentence_pooling_method": "mean",
    "normalize_embeddings": "True",
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": "True",
}
"""What is set beside paths, steps, seed, rate and precision.

FlagEmbedding's own examples give the temperature, the share of the warm-up, the padding and that the last batch is
dropped; their batch of two questions of eight passages each is marked as one for testing. The pooling is MiniLM's. From
``hybridret finetune`` come the batch, the tokens after which texts are cut, and that the negatives are those of the
batch: a group of one is the positive alone.
"""
_RUNTIME = re.compile(r"'train_runtime': '?(\d[\d.e+-]*)")
_LOSS = re.compile(r"'train_loss': '?(\d[\d.e+-]*)")


class Timing(NamedTuple):
    """What a training took.

    Attributes:
        steps: How many there were.
        seconds: All of it, starting and saving included.
        training_seconds: The steps alone.
        loss: Their mean loss.
    """

    steps: int
    seconds: float
    training_seconds: float
    loss: float


class FlagTraining:
    """Trains one base model on one file.

    Args:
        environment: Where FlagEmbedding is installed.
        model: Folder or hub id of the base model.
        data: The file that ``write_lessons`` wrote.
        work: A folder for its caches and what is tried.
        settings: By option of the module, paths, steps and rate apart.
    """

    def __init__(
        self, environment: OwnEnvironment, model: str, data: Path, work: Path, settings: Mapping[str, str]
    ) -> None:
        self._environment, self._model, self._data, self._work = environment, model, data, work
        self._settings = settings

    def train(self, output: Path, steps: int, learning_rate: float) -> Timing:
        """Trains and leaves the model.

        Args:
            output: A new folder for the model.
            steps: How many.
            learning_rate: Its peak.

        Raises:
            NotRunError: Training failed.
        """
        arguments = self.command(output, steps, learning_rate)
        start = time.perf_counter()
        told = self._environment.run(MODULE, arguments)
        return parsed(told, steps, time.perf_counter() - start)

    def command(self, output: Path, steps: int, learning_rate: float) -> list[str]:
        """The command line of the module; see ``train``."""
        given = {
            "model_name_or_path": self._model,
            "train_data": str(self._data),
            "cache_path": str(self._work / "cache"),
            "output_dir": str(output),
            "max_steps": str(steps),
            "learning_rate": f"{learning_rate:g}",
            **self._settings,
        }
        return [part for name, value in given.items() for part in (f"--{name}", value)]

    def probe(self, learning_rate: float) -> Timing:
        """Times a few steps, after a first run that reads packages and data into the system's and its own caches."""
        self.train(self._work / "warm-up", 1, learning_rate)
        return self.train(self._work / "probe", PROBE_STEPS, learning_rate)


def write_lessons(path: Path, questions: Sequence[Question], documents: Sequence[Document]) -> int:
    """Writes questions as FlagEmbedding reads them, a line each, without negatives.

    Args:
        path: The file.
        questions: Labelled ones.
        documents: The corpus; a positive that it does not hold is left out, and so is a question that has no other.

    Returns:
        How many questions were written.
    """
    texts = {document.doc_id: document.text for document in documents}
    lines = []
    for question in questions:
        positives = [texts[name] for name in question.positives if name in texts]
        if positives:
            lines.append(json.dumps({"query": question.text, "pos": positives, "neg": []}, ensure_ascii=False) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return len(lines)


def planned_steps(probe: Timing, seconds: float) -> int:
    """How many steps fit: at least one.

    Args:
        probe: A few steps.
        seconds: For all of the training, starting and saving included.
    """
    overhead = probe.seconds - probe.training_seconds
    return max(1, int((seconds - overhead) * probe.steps / probe.training_seconds))


def parsed(told: str, steps: int, seconds: float) -> Timing:
    """Reads what the module says at its end.

    Args:
        told: Its stdout.
        steps: How many it was told to do.
        seconds: What all of it took.

    Raises:
        NotRunError: It says nothing of the kind.
    """
    runtime, loss = _RUNTIME.search(told), _LOSS.search(told)
    if runtime is None or loss is None:
        raise NotRunError(f"{MODULE} does not say what its training took")
    return Timing(steps, seconds, float(runtime[1]), float(loss[1]))


def as_json(timing: Timing) -> dict[str, Any]:
    """A training as results hold it."""
    return {name: round(value, 3) for name, value in timing._asdict().items()}
