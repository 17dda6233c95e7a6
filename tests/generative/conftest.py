"""Tiny random backbones of several shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

SEQ2SEQ = ("t5", "t5-unscaled", "bart")
SHAPES = (*SEQ2SEQ, "llama", "gpt2")
LEVEL_SIZES = (5, 7, 4)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that takes ``shape`` with a model of each shape."""
    if "shape" in metafunc.fixturenames:
        metafunc.parametrize("shape", SHAPES)


@pytest.fixture
def level_sizes() -> tuple[int, ...]:
    """How many codes each level of the code backbones has."""
    return LEVEL_SIZES


@pytest.fixture
def make_backbone(make_language_model: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a backbone of a shape, for code docids by default."""

    def make(shape: str, level_sizes: Any = LEVEL_SIZES, vectors: Any = None, seed: int = 0) -> Any:
        from hybridret.generative import CausalBackbone, Seq2SeqBackbone, add_code_tokens

        model, tokenizer = make_language_model(shape, seed)
        if level_sizes is not None:
            add_code_tokens(model, tokenizer, level_sizes, vectors, seed)
        kind = Seq2SeqBackbone if shape in SEQ2SEQ else CausalBackbone
        return kind(model, tokenizer, level_sizes)

    return make
