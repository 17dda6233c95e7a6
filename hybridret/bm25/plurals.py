"""English plurals that Snowball's stemmer leaves as they are: of acronyms, short words, words in u and decades."""

from __future__ import annotations

import re

_WITHOUT_OTHER_VOWEL = re.compile(r"[^aeiou\W\d_][^aeiouy\W\d_]*[aeiouy]?s")
_DECADE = re.compile(r"(?:\d\d)?\d0s")
_FRENCH = ("eaus", "ieus")
_SINGULARS_IN_S = frozenset(
    """
    bus bis chris cms css dis dns gas gps https jus kris ms os pas plus ps pus sas sms this thus tls vis vs xls yes
    """.split()  # noqa: SIM905
)
_WORDS_IN_U = frozenset(
    "bayou caribou ecu emu flu gnu gpu cpu npu tpu guru haiku menu sudoku tofu tutu zulu thou you".split()  # noqa: SIM905
)


def singular(word: str) -> str | None:
    """The singular of a plural that the stemmer does not know; None where it is for the stemmer.

    The stemmer takes an s off where a vowel stands before it that is not its neighbour (``gaps``, but not ``gas``), and
    none of ``us``. So it leaves ``llms``, ``rnas``, ``skis``, ``gpus``, ``bureaus`` and ``1990s``.

    Args:
        word: A word in lower case.
    """
    if not word.endswith("s") or word.endswith("ss") or len(word) < 3 or word in _SINGULARS_IN_S:
        return None
    is_plural = word[:-1] in _WORDS_IN_U or word.endswith(_FRENCH)
    if is_plural or _WITHOUT_OTHER_VOWEL.fullmatch(word) or _DECADE.fullmatch(word):
        return word[:-1]
    return None
