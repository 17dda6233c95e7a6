"""Naming the word that was meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def suggestion(word: str, possible: Iterable[str]) -> str:
    """A question to put behind an error message.

    Args:
        word: What was written.
        possible: What could have been meant.

    Returns:
        ``; did you mean 'x'?`` for the word that is most like it, letter case aside; empty where none is.
    """
    by_folded = {name.casefold(): name for name in possible}
    close = get_close_matches(word.casefold(), by_folded, n=1)
    return f"; did you mean {by_folded[close[0]]!r}?" if close else ""
