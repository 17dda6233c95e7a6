"""How many questions a step of dense training has where the recipe leaves it open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finetune.dense.config import DenseConfig
from finetune.preparing import Preparation
from finetune.recipe import Recipe
from finetune.splitting import Split
from finetune.types import Question
from finetune.workfolder import Stage
from hybridret.types import Document

SECONDS_PER_QUESTION = 6 * 10 / 100  # six times what it took to encode one of the hundred documents


def prepared(n_questions: int = 10_000, kind: str = "labelled") -> Preparation:
    stages: Any = {
        "texts": [Document(str(at), "text", {}) for at in range(100)],
        "base_vectors": Stage(Path(), {"encoding": 10.0}, 10.0, {}, False),
        "questions": Stage(Path(), {"kind": kind}, 0.0, {}, False),
        "split": Split([Question("q", "text", ("0",))] * n_questions, []),
    }
    nowhere: Any = None
    preparation = Preparation([], [], Recipe(), nowhere, "model")
    vars(preparation).update(stages)
    return preparation


@pytest.mark.parametrize(
    ("questions_in_time", "expected"),
    [(24 * 128 + 1, 128), (24 * 128 - 1, 64), (24 * 64 + 1, 64), (24 * 64 - 1, 32), (1, 32)],
)
def test_with_labels_the_largest_batch_that_leaves_24_steps(questions_in_time: int, expected: int) -> None:
    sized = prepared().sized(DenseConfig(), questions_in_time * SECONDS_PER_QUESTION)
    assert sized == DenseConfig(batch_size=expected)


@pytest.mark.parametrize(("n_questions", "expected"), [(308, 128), (307, 64), (154, 64), (153, 32)])
def test_few_labels_leave_few_steps_however_much_time_there_is(n_questions: int, expected: int) -> None:
    """Ten passes over 308 questions are 24 batches of 128."""
    assert prepared(n_questions).sized(DenseConfig(), 1e9).batch_size == expected


def test_made_questions_and_counted_steps_come_in_small_batches() -> None:
    assert prepared(kind="made").sized(DenseConfig(), 1e9).batch_size == 32
    assert prepared().sized(DenseConfig(max_steps=5), 1e9).batch_size == 32
    assert prepared().sized(DenseConfig(batch_size=7), 1e9).batch_size == 7
