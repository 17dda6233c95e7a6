"""What a word is, in any script: one definition for retrieval, cleaning, docids and the look for poison.

After Unicode's text segmentation (UAX #29): letters, digits and underscores make words, and combining marks (Mn, Mc)
belong to the letter they follow, so that Hindi, Tamil or vocalised Arabic words stay whole. Characters that are not
seen (category Cf and default-ignorable ones: soft hyphens, joiners, zero-width spaces, variation selectors) neither
cut words nor tell them apart. Two kinds of script write words without spaces between them: Chinese and Japanese, and
those of line-breaking class SA (UAX #14): Thai, Lao, Khmer, Burmese and their kin.
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import regex

SOUTH_EAST_ASIAN = r"\p{Line_Break=SA}"
IDEOGRAPHIC = r"[[\p{Han}\p{Hiragana}\p{Katakana}ー]&&[\p{L}\p{N}]]"
"""Chinese and Japanese: ideographs and kana, without punctuation."""
_HANGUL = r"[\p{Hangul}&&\p{L}]"
_MARKS = r"\p{Mn}\p{Mc}"


def _run(letters: str) -> str:
    return rf"{letters}[{letters}{_MARKS}]*|{SOUTH_EAST_ASIAN}+"


def _word(letters: str) -> str:
    inside = rf"[{letters}{_MARKS}]"
    return rf"{letters}(?:{inside}|\p{{Cf}}+(?={inside}))*"


UNSPACED = rf"[{IDEOGRAPHIC}{SOUTH_EAST_ASIAN}]"
"""A character of a script that writes words without spaces between them."""
UNSPACED_RUN = _run(IDEOGRAPHIC)
"""Such characters in a row."""
PAIRED_RUN = _run(f"[{IDEOGRAPHIC}{_HANGUL}]")
"""Characters in a row that are searched for by pairs: those, and Korean ones, whose words end in particles."""
PLAIN_WORD = _word(rf"[[\p{{L}}\p{{N}}]--{UNSPACED}]")
"""A word of a script with spaces; unseen characters may stand inside."""
UNPAIRED_WORD = _word(rf"[[\p{{L}}\p{{N}}_]--{UNSPACED}--{_HANGUL}]")
"""Such a word, but for Korean ones, underscores among its letters."""
WORD = regex.compile(f"{UNSPACED_RUN}|{PLAIN_WORD}", regex.V1)
"""A word without underscores, or a run of characters whose words are not told apart."""
CLUSTER = (
    r"(?:\p{Logical_Order_Exception}*\P{M}[\p{M}\u0e30\u0e32\u0e33\u0e45\u0eb0\u0eb2\u0eb3]*"
    r"(?:(?<=[\u1039\u17d2\u1a60])\P{M}\p{M}*)*|\p{M}+|\p{Logical_Order_Exception}+)"
)
"""What a reader sees as a character: a letter with its marks, a Thai or Lao one with the vowels around it."""
_CLUSTER = regex.compile(CLUSTER)
_IS_UNSPACED, _IS_PAIRED = regex.compile(UNSPACED, regex.V1), regex.compile(PAIRED_RUN, regex.V1)
_FIRST_UNSPACED = "\u0e01"
_IGNORABLE = regex.compile(r"[\p{Cf}\p{Default_Ignorable_Code_Point}]")
_ZERO_WIDTH_SPACE = regex.compile(rf"(?<={SOUTH_EAST_ASIAN})\u200b+|\u200b+(?={SOUTH_EAST_ASIAN})")
_OTHER_DIGIT = regex.compile(r"[\p{Nd}--[0-9]]", regex.V1)
_APOSTROPHES = str.maketrans("\u2019\u2018\u02bc\u201b", "''''")
_OPTIONAL_MARKS = regex.compile(
    "[\u0640\u064b-\u0652\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]"
)
"""Vowel signs of Arabic and Hebrew, which most texts leave out, and the stroke that lengthens Arabic words."""


def normalise_text(text: str, keep: str = "") -> str:
    """The form of a text in which its words are compared, case and accents apart.

    Args:
        text: Any text.
        keep: An unseen character that stays.

    Returns:
        The text in NFKC, with ASCII apostrophes and digits, without unseen characters and without the vowel signs of
        Arabic and Hebrew. A zero-width space beside a script without spaces, where it tells words apart, is a space.
    """
    if text.isascii():
        return text
    if "\u200b" in text:
        text = _ZERO_WIDTH_SPACE.sub(" ", text)
    text = _IGNORABLE.sub(lambda match: match[0] if match[0] == keep else "", text)
    text = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES)
    text = _OPTIONAL_MARKS.sub("", text)
    # a digit of a Unicode newer than Python's, which regex may know, stays as it is
    normal: str = _OTHER_DIGIT.sub(lambda match: str(unicodedata.decimal(match[0], match[0])), text)
    return normal


def is_unspaced_run(token: str) -> bool:
    """Whether a token is of characters whose words no spaces tell apart."""
    return token[:1] >= _FIRST_UNSPACED and _IS_UNSPACED.match(token) is not None


def is_paired_run(token: str) -> bool:
    """Whether a token is of characters that are searched for by pairs: those, and Korean ones."""
    return token[:1] >= _FIRST_UNSPACED and _IS_PAIRED.match(token) is not None


def is_unspaced(text: str) -> bool:
    """Whether a text tells its words apart by no spaces: a third of its characters are of such scripts."""
    return 3 * len(_IS_UNSPACED.findall(text)) >= max(1, len(text))


def split_clusters(text: str) -> list[str]:
    """What a reader sees as characters: letters with their marks, and Thai and Lao ones with the vowels around them."""
    clusters: list[str] = _CLUSTER.findall(text)
    return clusters


def split_pairs(run: str) -> list[str]:
    """Overlapping pairs of the characters of a run; a lone character gives itself."""
    clusters = split_clusters(run)
    return clusters if len(clusters) < 2 else list(map("".join, pairwise(clusters)))
