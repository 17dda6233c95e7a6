"""A corpus of sixty short documents and questions about them, for the tiny model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.dense.config import DenseConfig
from finetune.types import Question
from hybridret.types import Document

WORDS = [
    "red",
    "blue",
    "green",
    "gold",
    "iron",
    "wood",
    "stone",
    "glass",
    "river",
    "hill",
    "cloud",
    "lamp",
    "bread",
    "fish",
    "bird",
    "horse",
    "ship",
    "road",
    "tower",
    "song",
]


def make_corpus(n: int = 60) -> list[Document]:
    texts = [f"{WORDS[at % 20]} {WORDS[(at * 7 + at // 20) % 20]} number {at}" for at in range(n)]
    return [Document(f"d{at}", text, {"kind": at % 3}) for at, text in enumerate(texts)]


def make_questions(n: int = 60) -> list[Question]:
    return [
        Question(f"q{at}", f"find {WORDS[at % 20]} {at}", (f"d{at}",), task="qa" if at % 3 else "tool")
        for at in range(n)
    ]


@pytest.fixture
def corpus() -> list[Document]:
    return make_corpus()


@pytest.fixture
def questions() -> list[Question]:
    return make_questions()


@pytest.fixture
def load_tiny(tiny_model: Path) -> Callable[..., Any]:
    """Loads the tiny model afresh; without dropout on demand."""

    def load(dropout: float = 0.1, dtype: str = "float32") -> Any:
        import torch

        from hybridret.models import load_model

        model = load_model(str(tiny_model)).to(getattr(torch, dtype))
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = dropout
        return model

    return load


@pytest.fixture
def small() -> DenseConfig:
    """Settings of a short run in full precision."""
    return DenseConfig(
        max_steps=12, batch_size=8, negatives=1, learning_rate=1e-3, precision="fp32", checkpoint_every=4
    )
