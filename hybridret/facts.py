"""What a query looks like, for the ranker's trees."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from hybridret.types import ScoreArray

_CODE = re.compile(r"[_(){}\[\]<>=/\\]|::|\w\.\w|[a-z][A-Z]")


def query_facts(text: str, terms: Sequence[str], unknown: int) -> ScoreArray:
    """What a query looks like.

    Args:
        text: The query.
        terms: Its different terms.
        unknown: How many of them no document has.

    Returns:
        *Shape:* (5,), float64, in the order of ``QUERY_FACTS`` of ``hybridret.fusion.features``: the logarithm of one
        more than the number of terms; the share of unknown ones; the shares of its words with a digit, and of those
        that look like code; the share of its letters beyond Latin ones.
    """
    words, letters = text.split(), [letter for letter in text if letter.isalpha()]
    return np.array(
        [
            np.log1p(len(terms)),
            unknown / max(1, len(terms)),
            sum(any(letter.isdigit() for letter in word) for word in words) / max(1, len(words)),
            sum(_CODE.search(word) is not None for word in words) / max(1, len(words)),
            sum(ord(letter) > 0x24F for letter in letters) / max(1, len(letters)),
        ]
    )
