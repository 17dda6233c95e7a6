"""Vectors, documents and a tokenizer of words for the docid schemes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hybridret.types import Document, FloatArray


class WordTokenizer:
    """A token for each word, numbered as they come; 0 ends a text."""

    def __init__(self, eos_token_id: int | None = 0) -> None:
        self.eos_token_id = eos_token_id
        self.words: dict[str, int] = {"": 0}

    def __call__(self, text: list[str], *, add_special_tokens: bool) -> dict[str, list[list[int]]]:
        assert not add_special_tokens
        return {"input_ids": [[self.words.setdefault(word, len(self.words)) for word in one.split()] for one in text]}

    def decoded(self, tokens: Any) -> str:
        names = list(self.words)
        return " ".join(names[token] for token in tokens if token > 0)


@pytest.fixture
def tokenizer() -> WordTokenizer:
    return WordTokenizer()


@pytest.fixture
def endless_tokenizer() -> WordTokenizer:
    return WordTokenizer(None)


@pytest.fixture
def unit_vectors() -> Callable[[int, int], FloatArray]:
    """``n`` random vectors of 8 numbers from a seed."""

    def make(n: int, seed: int) -> FloatArray:
        vectors = np.random.default_rng(seed).normal(size=(n, 8))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    return make


@pytest.fixture
def make_documents() -> Callable[..., list[Document]]:
    """Documents of these texts and metadata."""

    def make(*texts: str, metadata: list[dict[str, Any]] | None = None) -> list[Document]:
        return [Document(f"d{at}", text, {} if metadata is None else metadata[at]) for at, text in enumerate(texts)]

    return make
