"""Docids that are texts, written in a tokenizer's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from hybridret.docids.scheme import filled
from hybridret.errors import InputError
from hybridret.types import IntArray


class Tokenizer(Protocol):
    """What is used of a transformers tokenizer."""

    @property
    def eos_token_id(self) -> Any:
        """The token that ends a text, None where there is none."""

    def __call__(self, text: list[str], *, add_special_tokens: bool) -> Any:
        """Gives the tokens under ``input_ids``."""


def tokenized(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> IntArray:
    """Writes texts as docids: their tokens and the end token, so that no docid begins another.

    Args:
        tokenizer: The backbone's tokenizer.
        texts: One a document.
        max_tokens: Tokens of a docid, the end token among them; what is beyond is cut off.

    Returns:
        *Shape:* (n_texts, n_tokens), int64, filled up with ``FILL``.

    Raises:
        InputError: The tokenizer has no end token.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise InputError("docids of text end with the tokenizer's end token (eos_token), and this one has none")
    if not texts:
        return filled([[end]])[:0]
    tokens = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return filled([[*(token for token in own[: max_tokens - 1] if token != end), end] for own in tokens])
