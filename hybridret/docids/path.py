"""Docids from metadata: titles, URLs, category paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hybridret.docids.tokens import Tokenizer, tokenized
from hybridret.errors import InputError
from hybridret.types import Arrays, Document, FloatArray, IntArray

MAX_TOKENS = 32
_WORDS_WITHOUT = 8


class PathIds:
    """A docid is the text of metadata fields, joined to a path from the general to the particular.

    Titles: De Cao et al., "Autoregressive Entity Retrieval", ICLR 2021. URLs: Zhou et al., "Ultron", 2022, and Ren et
    al., "TOME", ACL 2023. A list, such as categories, is a path by itself. A document without any of the fields goes
    by its first words.

    Args:
        tokenizer: The backbone's tokenizer.
        fields: Names of metadata fields.
        max_tokens: Tokens of a docid, the end token among them.
    """

    level_sizes = None
    dimension = None

    def __init__(self, tokenizer: Tokenizer, fields: Sequence[str] = ("title",), max_tokens: int = MAX_TOKENS) -> None:
        self.fields, self.max_tokens = tuple(fields), max_tokens
        self._tokenizer = tokenizer

    @classmethod
    def fit(cls, documents: Sequence[Document], tokenizer: Tokenizer, fields: Sequence[str] = ("title",)) -> PathIds:
        """Checks that there is something to name documents by.

        Raises:
            InputError: No document has any of the fields.
        """
        scheme = cls(tokenizer, fields)
        if documents and not any(scheme.has_path(document) for document in documents):
            raise InputError(f"no document has a metadata field {' or '.join(map(repr, fields))} to make docids from")
        return scheme

    def has_path(self, document: Document) -> bool:
        """Whether a document has one of the fields."""
        return any(_parts(document.metadata.get(field)) for field in self.fields)

    def text(self, document: Document) -> str:
        """What names a document."""
        parts = [part for field in self.fields for part in _parts(document.metadata.get(field))]
        return " > ".join(parts) or " ".join(document.text.split()[:_WORDS_WITHOUT])

    def encode(self, vectors: FloatArray, documents: Sequence[Document]) -> IntArray:
        """Names documents. *Shape:* (n, n_tokens), int64, filled up with ``FILL``; see ``DocidScheme``."""
        return tokenized(self._tokenizer, [self.text(document) for document in documents], self.max_tokens)

    def arrays(self) -> Arrays:
        """What makes the scheme again, with the tokenizer."""
        return {
            "fields": np.frombuffer("\n".join(self.fields).encode(), dtype=np.uint8),
            "max_tokens": np.array([self.max_tokens]),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, tokenizer: Tokenizer) -> PathIds:
        """The scheme that gave the arrays.

        Raises:
            ValueError: They are of another kind.
        """
        (max_tokens,) = arrays["max_tokens"].tolist()
        if arrays["fields"].dtype != np.uint8 or not isinstance(max_tokens, int) or max_tokens < 1:
            raise ValueError("the docid scheme names no fields or no length")
        return cls(tokenizer, arrays["fields"].tobytes().decode().split("\n"), max_tokens)


def _parts(value: Any) -> list[str]:
    """The parts of a path that a metadata value names."""
    if isinstance(value, list | tuple):
        return [part for entry in value for part in _parts(entry)]
    if value is None or isinstance(value, dict):
        return []
    text = " ".join(str(value).split())
    _, is_url, address = text.partition("://")
    return [part for part in (address.split("/") if is_url else [text]) if part]
