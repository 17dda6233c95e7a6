"""Checking and cleaning what callers hand over."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from hybridret.errors import InputError
from hybridret.types import Document

_UNSEEN = {"Cc", "Cf", "Zl", "Zp", "Zs"}


def clean_text(text: object, what: str) -> str:
    """Checks a text and replaces lone surrogates, which no encoding can hold, by U+FFFD.

    Args:
        text: What should be a string.
        what: What the error message calls it.

    Returns:
        The text; other characters stay as they are.

    Raises:
        InputError: It is no string.
    """
    if not isinstance(text, str):
        raise InputError(f"{what} must be a string, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def has_text(text: str) -> bool:
    """Whether a text has a character to be seen: punctuation is one, white space and what has no width are none.

    Args:
        text: Any text; separators, control and format characters (Unicode's Z, Cc and Cf) are not seen.
    """
    return any(unicodedata.category(character) not in _UNSEEN for character in text)


def clean_documents(documents: Iterable[Document]) -> list[Document]:
    """Checks documents before they are indexed.

    Args:
        documents: Any iterable, read once.

    Returns:
        The documents, their texts cleaned.

    Raises:
        InputError: An id is no string, empty, not encodable or given twice, or a text is no string.
    """
    seen: set[str] = set()
    cleaned = []
    for position, document in enumerate(documents):
        doc_id = document.doc_id
        if not isinstance(doc_id, str):
            raise InputError(f"the id of document {position} must be a string, not {type(doc_id).__name__} {doc_id!r}")
        if not doc_id or clean_text(doc_id, "an id") != doc_id:
            raise InputError(f"document {position} has an id that is empty or no valid text: {doc_id!r}")
        if doc_id in seen:
            raise InputError(f"document id {doc_id!r} is given twice, the second time by document {position}")
        seen.add(doc_id)
        cleaned.append(document._replace(text=clean_text(document.text, f"the text of document {doc_id!r}")))
    return cleaned
