"""The form of a text in which copies are equal."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_SYMBOLS_THAT_MEAN = re.compile(r"[^\s\w]")


def words(text: str) -> list[str]:
    """Lower-cased words of a text in NFKC; each ideograph and kana is a word, punctuation is none."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def normal_form(text: str) -> str:
    """A text's words, joined by spaces; the text's symbols where it has no words."""
    return " ".join(words(text)) or "".join(_SYMBOLS_THAT_MEAN.findall(text))


def content_hash(*parts: str) -> str:
    """A hash of texts that does not depend on process or machine: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()
