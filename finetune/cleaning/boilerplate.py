"""Lines that stand in many documents of a collection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from finetune.cleaning.normal import normal_form, words

_WORDS_NEEDED = 4
_TEXTS_NEEDED = 5


def find_boilerplate(texts: Sequence[str], share: float) -> set[str]:
    """Finds lines of at least four words that stand in a share of the texts and in five of them at least.

    Args:
        texts: The texts of a collection.
        share: From 0, exclusive, to 1.

    Returns:
        The lines in normal form.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update({normal_form(line) for line in text.splitlines()})
    needed = max(share * len(texts), _TEXTS_NEEDED)
    return {line for line, count in counts.items() if count >= needed and len(words(line)) >= _WORDS_NEEDED}


def cut_lines(text: str, lines: set[str]) -> str:
    """Cuts lines, given in normal form, from a text; the text as it is where nothing with a word would be left."""
    kept = "\n".join(line for line in text.splitlines() if normal_form(line) not in lines)
    return kept.strip() if words(kept) else text
