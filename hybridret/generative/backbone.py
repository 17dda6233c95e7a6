"""What every model that decodes docids from a text does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from hybridret.decoding import LogProbs
from hybridret.types import IntArray, ScoreArray

if TYPE_CHECKING:
    from torch import Tensor

State = TypeVar("State")
"""What a backbone keeps of a batch of queries: encoded texts and the caches of the current beams."""


class Backbone(Protocol[State]):
    """Scores docids given texts; ``partial(backbone.step, state)`` is a ``Step`` of beam search, and so is ``ahead``.

    Log-probabilities are over all codes of a level, or all tokens of the vocabulary where docids are texts, never over
    the valid ones alone: else filters and additions would change scores.
    """

    level_sizes: tuple[int, ...] | None
    """How many codes each level has; None where docids are the tokenizer's own tokens."""

    def encode(self, texts: Sequence[str]) -> State:
        """Encodes a batch of queries, once for all steps."""

    def step(self, state: State, level: int, tokens: IntArray, parents: IntArray) -> LogProbs | None:
        """Scores the tokens of a level, as ``Step`` does; level 0 starts anew."""

    def ahead(self, state: State, level: int, tokens: IntArray, parents: IntArray, paths: IntArray) -> LogProbs:
        """Scores tokens that are known beforehand, several levels at once, as ``Ahead`` does; not of level 0."""

    def score(self, state: State, docids: IntArray) -> ScoreArray:
        """Scores given docids of each query.

        Args:
            state: What ``encode`` gave.
            docids: *Shape:* (n_queries, n_docids, n_tokens), int64, filled up with ``END``.

        Returns:
            *Shape:* (n_queries, n_docids), float64, log-probabilities.
        """

    def token_log_probs(self, texts: Sequence[str], docids: IntArray) -> Tensor:
        """Scores each token of one docid a text, with gradients.

        Args:
            texts: The texts.
            docids: *Shape:* (n_texts, n_tokens), int64, filled up with ``END``.

        Returns:
            *Shape:* (n_texts, n_tokens), float32, 0 where a docid has ended.
        """

    def loss(self, texts: Sequence[str], docids: IntArray) -> Tensor:
        """The mean of the tokens' negative log-probabilities, for training; arguments as in ``token_log_probs``."""

    def save(self, folder: Path) -> None:
        """Writes what ``load`` reads."""
