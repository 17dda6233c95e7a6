"""Training itself: it learns, it resumes, and what can go wrong in it."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.dense.callbacks import last_checkpoint
from finetune.dense.config import DenseConfig
from finetune.dense.train import Trained, train_dense
from finetune.errors import TrainingError
from finetune.negatives.ance import AnceRefresh
from finetune.negatives.config import NegativesConfig
from finetune.types import Question
from hybridret.errors import InputError
from hybridret.prompts import Prompts
from hybridret.types import Document

PROMPTS = Prompts("", "")


@pytest.fixture
def train(
    load_tiny: Callable[..., Any], corpus: list[Document], questions: list[Question]
) -> Callable[..., tuple[Any, Trained]]:
    def run(config: DenseConfig, folder: Path, model: Any = None, **more: Any) -> tuple[Any, Trained]:
        model = load_tiny() if model is None else model
        asked = more.pop("questions", questions)
        settings = {"prompts": PROMPTS, "seconds": 60.0, "seed": 7, **more}
        return model, train_dense(model, corpus, asked, config, folder, **settings)

    return run


def losses(trained: Trained) -> list[float]:
    return [entry["loss"] for entry in trained.history if "loss" in entry]


def assert_same(first: Any, second: Any) -> None:
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_training_learns_and_two_runs_agree(
    train: Callable[..., Any], load_tiny: Callable[..., Any], small: DenseConfig, tmp_path: Path
) -> None:
    seen: list[tuple[str, int, int]] = []
    config = replace(small, max_steps=80, learning_rate=3e-3, false_negative_margin=None)
    model, trained = train(config, tmp_path / "a", progress=lambda *step: seen.append(step))
    assert sum(losses(trained)[-10:]) < 0.8 * sum(losses(trained)[:10])
    assert seen == [("training", step, 80) for step in range(1, 81)]
    again, _ = train(config, tmp_path / "b")
    assert_same(model, again)
    assert not all(torch.equal(a, b) for a, b in zip(model.parameters(), load_tiny().parameters(), strict=True))


@pytest.mark.parametrize(("source", "rate"), [("labels", 1e-4), ("sentences", 5e-5)])
def test_labelled_questions_are_learned_faster_than_made_ones(
    train: Callable[..., Any],
    questions: list[Question],
    small: DenseConfig,
    tmp_path: Path,
    source: str,
    rate: float,
) -> None:
    asked = [question._replace(source=source) for question in questions]
    config = replace(small, max_steps=2, warmup=0.0, learning_rate=None, schedule="linear")
    _, trained = train(config, tmp_path, questions=asked)
    rates = [entry["learning_rate"] for entry in trained.history if "learning_rate" in entry]
    assert max(rates) == pytest.approx(rate)


@pytest.mark.parametrize("ance", [0, 3])
def test_a_run_that_goes_on_from_a_checkpoint_ends_with_the_same_weights(
    train: Callable[..., Any],
    load_tiny: Callable[..., Any],
    corpus: list[Document],
    small: DenseConfig,
    tmp_path: Path,
    ance: int,
) -> None:
    config = replace(small, ance_every=ance)
    more: dict[str, Any] = {"negatives": {f"q{at}": [f"d{(at + 1) % 60}", f"d{(at + 2) % 60}"] for at in range(60)}}
    if ance:
        mining = NegativesConfig(sources={"dense": 1.0}, count=3, relative_margin=None)
        more["refresher"] = lambda table, model: AnceRefresh(table, model, corpus, PROMPTS, mining, ance, 0)
    whole, first = train(config, tmp_path / "whole", **more)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "checkpoint-12")
    assert last_checkpoint(tmp_path / "cut") == tmp_path / "cut" / "checkpoint-8"
    (tmp_path / "cut" / "checkpoint-9").mkdir()
    (tmp_path / "cut" / "checkpoint-9" / "trainer_state.json").write_text("{}")
    resumed, second = train(config, tmp_path / "cut", **more)
    assert_same(whole, resumed)
    assert losses(first) == losses(second)
    refreshed = [entry["step"] for entry in second.history if "ance_changed" in entry]
    assert refreshed == ([3, 6, 9] if ance else [])


def test_lora_is_merged_and_trains_few_weights(
    train: Callable[..., Any], load_tiny: Callable[..., Any], small: DenseConfig, tmp_path: Path
) -> None:
    config = replace(small, lora_rank=4, learning_rate=1e-2)
    model, _ = train(config, tmp_path / "a")
    base = load_tiny()
    assert model.state_dict().keys() == base.state_dict().keys()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, base.state_dict()[name])}
    assert changed
    assert all("dense" in name or "query" in name or "key" in name or "value" in name for name in changed), changed
    assert not any("bias" in name or "LayerNorm" in name or "embeddings" in name for name in changed)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    shutil.rmtree(tmp_path / "b" / "checkpoint-12")
    assert_same(model, train(config, tmp_path / "b")[0])


def test_matryoshka_and_distillation_train(train: Callable[..., Any], small: DenseConfig, tmp_path: Path) -> None:
    teacher = {f"q{at}": {f"d{at}": 2.0, f"d{(at + 1) % 60}": 1.0, f"d{(at + 2) % 60}": -1.0} for at in range(60)}
    negatives = {f"q{at}": [f"d{(at + 1) % 60}", f"d{(at + 2) % 60}"] for at in range(60)}
    config = replace(small, matryoshka=(8,), distillation="stabilised", negatives=2, max_steps=30, micro_batch=4)
    _, trained = train(config, tmp_path, negatives=negatives, teacher=teacher)
    assert losses(trained)[-1] < losses(trained)[0]
    with pytest.raises(InputError, match="99 is no length from 1 to the model's 32"):
        train(replace(config, matryoshka=(99,)), tmp_path / "b")


def test_steps_fit_the_time_and_are_planned_once(train: Callable[..., Any], small: DenseConfig, tmp_path: Path) -> None:
    config = replace(small, max_steps=0, max_passes=2.0)
    _, trained = train(config, tmp_path)
    assert trained.planned == trained.steps == round(2.0 * 60 / 8)
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["seconds_per_step"] > 0
    for checkpoint in tmp_path.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    _, again = train(config, tmp_path, seconds=30.0)
    assert again.steps == trained.steps
    with pytest.raises(TrainingError, match="there is no time to train"):
        train(config, tmp_path / "b", seconds=0.0)


def test_training_stops_when_its_time_is_over_by_far(
    train: Callable[..., Any], small: DenseConfig, tmp_path: Path
) -> None:
    (tmp_path / "plan.json").write_text('{"steps": 100000}')
    _, trained = train(replace(small, max_steps=0, checkpoint_every=50000), tmp_path, seconds=1.0)
    assert 0 < trained.steps < 100000
    assert trained.notes == [f"the time was over after {trained.steps} of 100000 planned steps"]


def test_a_loss_that_is_no_number_ends_training(
    train: Callable[..., Any], load_tiny: Callable[..., Any], small: DenseConfig, tmp_path: Path
) -> None:
    model = load_tiny()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"the loss at step 1 is nan.*lower dense\.learning_rate"):
        train(small, tmp_path, model)


class Memory(torch.nn.Module):
    """A device whose memory holds so many texts at once: more raise what PyTorch raises."""

    def __init__(self, limit: int, error: BaseException) -> None:
        super().__init__()
        self.limit, self.error, self.sizes = limit, error, []

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        self.sizes.append(len(features["input_ids"]))
        if self.sizes[-1] > self.limit:
            raise self.error
        return features


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory: 1 bytes")],
)
def test_out_of_memory_halves_the_micro_batch_and_says_so(
    train: Callable[..., Any], load_tiny: Callable[..., Any], small: DenseConfig, tmp_path: Path, error: Exception
) -> None:
    config = replace(small, max_steps=3, precision="fp32")
    model = load_tiny(0.0)
    memory = Memory(2, error)
    model.append(memory)
    trained = train(config, tmp_path / "a", model)[1]
    assert trained.notes == [
        "out of memory at step 1: the micro-batch is now 4",
        "out of memory at step 1: the micro-batch is now 2",
    ]
    assert max(memory.sizes[-6:]) == 2
    plain = train(config, tmp_path / "b", load_tiny(0.0))[1]
    assert losses(trained) == pytest.approx(losses(plain), abs=1e-3)
    assert len(losses(trained)) == 3


def test_memory_that_holds_not_one_text_is_an_error(
    train: Callable[..., Any], load_tiny: Callable[..., Any], small: DenseConfig, tmp_path: Path
) -> None:
    model = load_tiny()
    model.append(Memory(0, MemoryError()))
    with pytest.raises(TrainingError, match="out of memory at step 1 with a micro-batch of 1"):
        train(small, tmp_path, model)


def test_other_errors_are_not_taken_for_memory(
    train: Callable[..., Any], load_tiny: Callable[..., Any], small: DenseConfig, tmp_path: Path
) -> None:
    model = load_tiny()
    model.append(Memory(0, RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(small, tmp_path, model)


@contextmanager
def file_size(limit: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_at_a_checkpoint_keeps_the_earlier_ones(
    train: Callable[..., Any], small: DenseConfig, tmp_path: Path
) -> None:
    def fill_up(label: str, done: int, total: int) -> None:
        if done == 7:
            limit.append(file_size(10_000))
            limit[0].__enter__()

    limit: list[Any] = []
    try:
        with pytest.raises(TrainingError, match=r"checkpoint-8 cannot be written: .*run again with --resume"):
            train(small, tmp_path / "full", progress=fill_up)
    finally:
        limit[0].__exit__(None, None, None)
    assert last_checkpoint(tmp_path / "full") == tmp_path / "full" / "checkpoint-4"
    assert not (tmp_path / "full" / "checkpoint-8").exists()
    resumed, _ = train(small, tmp_path / "full")
    assert_same(resumed, train(small, tmp_path / "whole")[0])


def test_each_task_gets_its_prompts(
    train: Callable[..., Any], load_tiny: Callable[..., Any], small: DenseConfig, tmp_path: Path
) -> None:
    model, seen = load_tiny(), []
    preprocess = model.preprocess

    def noted(texts: list[str], prompt: str | None = None, **kwargs: Any) -> Any:
        seen.append((texts[0].startswith("find"), prompt, {int(text.split()[-1]) % 3 == 0 for text in texts}))
        return preprocess(texts, prompt=prompt, **kwargs)

    model.preprocess = noted
    config = replace(small, negatives=0, prompts={"tool": ("Q: ", "D: ")})
    train(config, tmp_path, model)
    assert {(is_query, prompt) for is_query, prompt, tools in seen if tools == {True}} == {
        (True, "Q: "),
        (False, "D: "),
    }
    assert {prompt for _, prompt, tools in seen if tools == {False}} == {None}
    assert all(len(tools) == 1 for _, _, tools in seen)
