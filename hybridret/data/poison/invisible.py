"""Characters that nobody sees, outside of the places where writing needs them."""

from __future__ import annotations

import re
import unicodedata

_FLAG_WITH_TAGS = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f")
_JOINERS, _EMOJI_STYLE, _KEYCAP = "\u034f\u200c\u200d", "\ufe0f", "\u20e3"
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202c\u2066-\u2069"
_DIRECTION = re.compile(f"[{_DIRECTIONS}]")
_OVERRIDES = "\u202d\u202e"
_SPACES = "\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
_INVISIBLE = re.compile(f"[{_SPACES}{_DIRECTIONS}{_OVERRIDES}{_JOINERS}\ufe00-\ufe0f\U000e0000-\U000e0fff]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_WITHOUT_SPACES = re.compile("[\u0e00-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf]")
"""Thai, Lao, Tibetan, Burmese, Khmer, Tai: a space without width says where a line may break."""
_IDEOGRAPH_OR_KANA = re.compile("[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_ALPHABETS_WITHOUT_JOINING = 0x530
"""Latin, Greek and Cyrillic letters lie below."""


def invisible_characters(text: str) -> list[str]:
    """Finds invisible characters that no writing system asks for where they stand.

    Zero-width spaces, joiners and fillers, controls of direction, tags and variation selectors hide text from readers
    or words from filters (Boucher et al., "Bad Characters: Imperceptible NLP Attacks", S&P 2022). Left alone are: a
    byte order mark in front; joiners and selectors after letters of scripts that join, ideographs and symbols, thus
    in emoji; zero-width spaces beside scripts written without spaces; direction marks in texts with Hebrew or Arabic
    letters, overrides excepted; flags spelt with tags; soft hyphens.

    Args:
        text: Any text.

    Returns:
        The characters, in the order of the text.
    """
    if text.isascii():
        return []
    text = _FLAG_WITH_TAGS.sub("", text)
    places = [found.start() for found in _INVISIBLE.finditer(text)]
    if not places:
        return []
    has_right_to_left = _RIGHT_TO_LEFT.search(text) is not None
    return [text[at] for at in places if not _is_ordinary(text, at, has_right_to_left)]


def _is_ordinary(text: str, at: int, has_right_to_left: bool) -> bool:
    character, before, after = text[at], text[at - 1 : at], text[at + 1 : at + 2]
    if _DIRECTION.match(character):
        return has_right_to_left
    if character in _JOINERS:
        if before == _EMOJI_STYLE:
            return _is_ordinary(text, at - 1, has_right_to_left)
        return _takes_joiner(before) and not _IDEOGRAPH_OR_KANA.match(before)
    if _SELECTORS.match(character):
        return _takes_joiner(before) or (before in "0123456789#*" and after == _KEYCAP)
    if character == "\u200b":
        return _WITHOUT_SPACES.match(before) is not None or _WITHOUT_SPACES.match(after) is not None
    return character == "\ufeff" and at == 0


def _takes_joiner(before: str) -> bool:
    """Whether a joiner or selector may follow: a letter that joins, a mark or a symbol, itself seen."""
    if not before or _INVISIBLE.match(before):
        return False
    kind, code = unicodedata.category(before)[0], ord(before)
    return (kind in "LM" and code >= _ALPHABETS_WITHOUT_JOINING) or (kind in "SP" and not before.isascii())
