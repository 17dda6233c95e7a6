"""Invisible characters: found wherever writing has no use for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridret.data.poison.invisible import invisible_characters

HIDDEN = [
    *"\u200b\u200c\u200d\u200e\u200f\u061c\u034f\u180e\u3164\uffa0\ufeff\ufe0f\ufe00\ufff9",
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2060, 0x2070)),
    *map(chr, range(0xE0001, 0xE0080)),
    "\U000e0100",
    "\U000e01ef",
]
LATIN = st.text("abcdefghij ABC 0123 .,", min_size=1)


@given(st.text(st.characters(exclude_categories=())))
def test_no_text_is_too_odd(text: str) -> None:
    found = invisible_characters(text)
    assert all(character in text for character in found)


@given(LATIN, LATIN, st.sampled_from(HIDDEN))
def test_a_hidden_character_in_a_latin_text_is_found(before: str, after: str, character: str) -> None:
    assert invisible_characters(f"{before}{character}{after}") == [character]


@given(LATIN, st.lists(st.sampled_from(HIDDEN), min_size=2, max_size=30))
def test_a_message_in_hidden_characters_is_found_whole(before: str, message: list[str]) -> None:
    assert invisible_characters(before + "".join(message)) == message


def test_a_message_in_tags_or_selectors_behind_an_emoji_is_found() -> None:
    tags = "".join(chr(0xE0000 + ord(letter)) for letter in "buy this")
    assert len(invisible_characters(f"\U0001f600{tags}")) == 8
    selectors = "".join(chr(0xE0100 + code) for code in b"buy this")
    assert len(invisible_characters(f"\U0001f600{selectors}")) == 7
    assert len(invisible_characters("\u2764\ufe0f\u200d\ufe0f\u200d\ufe0f")) >= 2


def test_an_override_of_direction_is_found_also_among_right_to_left_letters() -> None:
    assert invisible_characters("\u05e9\u05dc\u05d5\u05dd \u202eabc\u202c") == ["\u202e"]


@pytest.mark.parametrize(
    "text",
    [
        "plain English, 100 % of it: naïve café – “quoted” … §1",
        "\ufeffa byte order mark in front",
        "soft\u00adhyphen",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0915\u094d\u200d\u0937",
        "\u05e9\u05dc\u05d5\u05dd\u200f (abc\u200e) \u2067\u05d0\u2069",
        "\u0e20\u0e32\u0e29\u0e32\u200b\u0e44\u0e17\u0e22",
        "\u1797\u17b6\u179f\u17b6\u200b\u1781\u17d2\u1798\u17c2\u179a",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\u200d\U0001f525 1\ufe0f\u20e3 \u2122\ufe0f",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "\u845b\U000e0100\u57ce",
        "怎么修理水泵？请看第三章。",
    ],
    ids=[
        "English",
        "byte order mark",
        "soft hyphen",
        "Persian",
        "Hindi",
        "Hebrew",
        "Thai",
        "Khmer",
        "emoji",
        "flag",
        "ideograph variant",
        "Chinese",
    ],
)
def test_what_writing_needs_is_left_alone(text: str) -> None:
    assert invisible_characters(text) == []
