"""Encoding with vectors that are known already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hybridret.types import Encoder, FloatArray, IntArray, Progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from hybridret.dense.encoder import TransformerEncoder


class Loaded(NamedTuple):
    """A model and what encodes with it.

    Attributes:
        model: In full precision.
        encoder: Encodes in the fastest precision, with prompts; it copies the model when it first encodes.
    """

    model: SentenceTransformer
    encoder: TransformerEncoder


class RememberingEncoder:
    """An encoder that encodes no document twice.

    Args:
        encoder: What encodes.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._places: dict[str, int] = {}
        self._vectors: list[FloatArray] = []

    @property
    def name(self) -> str:
        """The encoder's name."""
        return self.encoder.name

    @property
    def max_tokens(self) -> int | None:
        """The encoder's window."""
        return self.encoder.max_tokens

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encodes queries. *Shape:* (n_queries, dimension), float32, unit length."""
        return self.encoder.encode_queries(texts)

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> FloatArray:
        """Encodes documents that are new, remembers all. *Shape:* (n_documents, dimension), float32, unit length."""
        if new := [text for text in dict.fromkeys(texts) if text not in self._places]:
            self.remember(new, self.encoder.encode_documents(new, progress))
        if not texts:
            return self.encoder.encode_documents(texts)
        return np.stack([self._vectors[self._places[text]] for text in texts])

    def remember(self, texts: Sequence[str], vectors: FloatArray) -> None:
        """Takes over known vectors. *Shape:* vectors (n_texts, dimension), float32, unit length."""
        for text, vector in zip(texts, vectors, strict=True):
            self._places[text] = len(self._vectors)
            self._vectors.append(vector)

    def with_queries_of(self, encoder: Encoder) -> RememberingEncoder:
        """Another encoder with the document vectors that this one knows: one whose documents have the same vectors."""
        other = RememberingEncoder(encoder)
        other._places, other._vectors = self._places, self._vectors
        return other

    def mapped(self, encoder: Encoder, change: Callable[[FloatArray], FloatArray]) -> RememberingEncoder:
        """Another encoder, with the known document vectors after a change that turns this one's vectors into its.

        Args:
            encoder: The other encoder.
            change: Maps vectors, *Shape:* (n_documents, dimension), to as many.
        """
        other = RememberingEncoder(encoder)
        if self._vectors:
            other._places, other._vectors = dict(self._places), list(change(np.stack(self._vectors)))
        return other

    def count_cut_tokens(self, texts: Sequence[str]) -> IntArray:
        """Counts the tokens of each text that the window cuts off. *Shape:* (n_texts,), int64."""
        return self.encoder.count_cut_tokens(texts)

    def save(self, folder: Path) -> None:
        """Writes the model."""
        self.encoder.save(folder)


def make_transformer_encoder(model: str, task: str | None = None) -> TransformerEncoder:
    """The encoder of a sentence-transformers model, which alone can be trained.

    Args:
        model: A folder or a hub id.
        task: Task whose prompts to use.
    """
    from hybridret.dense.encoder import TransformerEncoder, make_encoder

    encoder = make_encoder(model, task=task)
    assert isinstance(encoder, TransformerEncoder)
    return encoder


def identity(loaded: Loaded) -> str:
    """SHA-256 of a model's weights and prompts."""
    found = hashlib.sha256(repr(loaded.encoder.prompts).encode())
    for name, value in loaded.model.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
