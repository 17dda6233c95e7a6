"""One definition of a word, in every place that looks at words: marks stay, unseen characters do not cut."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.cleaning.normal import words, words_and_signs
from finetune.queries.text import word_spans
from hybridret.bm25 import Tokenizer
from hybridret.data.lifted import lift_span
from hybridret.data.poison.stuffing import words_of
from hybridret.docids.keyword import _words
from hybridret.meaning import query_tokens
from hybridret.words import is_unspaced, normalise_text, split_clusters

SPLITTERS: dict[str, Callable[[str], list[str]]] = {
    "bm25": Tokenizer("none"),
    "cleaning": words,
    "near copies": words_and_signs,
    "queries": lambda text: [text[span.start : span.end] for span in word_spans(text)],
    "poison": words_of,
    "keyword docids": lambda text: [word for word, _, _ in _words(text)],
    "explanations": query_tokens,
}
SENTENCES = [
    "किताबें हिन्दी में हैं",
    "বাংলা ভাষা আমার",
    "மொழி தமிழ் நன்று",
    "తెలుగు భాష మంచిది",
    "main\u00adtenance inter\u200bval war\u2060ranty",
]


@pytest.mark.parametrize("name", SPLITTERS)
@pytest.mark.parametrize("sentence", SENTENCES)
def test_words_are_what_stands_between_spaces(name: str, sentence: str) -> None:
    found = [normalise_text(word) for word in SPLITTERS[name](sentence)]
    assert found == normalise_text(sentence).split()


@pytest.mark.parametrize("name", ["cleaning", "queries", "keyword docids", "explanations"])
def test_scripts_without_spaces_give_characters_with_their_marks(name: str) -> None:
    assert SPLITTERS[name]("ภาษาไทย") == ["ภา", "ษา", "ไท", "ย"]
    assert SPLITTERS[name]("修理水泵") == ["修", "理", "水", "泵"]


def test_vocalised_arabic_and_hebrew_are_the_bare_words() -> None:
    for vocalised, bare in (("العَرَبِيَّة", "العربية"), ("עוֹלָם", "עולם")):
        assert words(vocalised) == words(bare) == [bare]
        assert words_of(vocalised) == [bare]


@pytest.mark.parametrize(
    ("text", "is_without_spaces"),
    [
        ("修理水泵的方法", True),
        ("ภาษาไทยเป็นภาษา", True),
        ("မြန်မာဘာသာ", True),
        ("한국어 문서를 검색한다", False),
        ("हिन्दी की किताबें", False),
        ("🙂🙂🙂 ok", False),
        ("", False),
    ],
)
def test_scripts_that_space_their_words_are_told_from_those_that_do_not(text: str, is_without_spaces: bool) -> None:
    assert is_unspaced(text) == is_without_spaces


def test_korean_spans_are_words_and_thai_ones_keep_their_marks() -> None:
    korean = " ".join(f"문서{number}를" for number in range(40))
    lifted = lift_span(korean, np.random.default_rng(0))
    assert lifted is not None
    assert set(lifted.query.split()) <= set(korean.split())
    assert 5 <= len(lifted.query.split()) <= 12
    thai = "ภาษาไทยเป็นภาษาที่สวย" * 8
    for seed in range(20):
        lifted = lift_span(thai, np.random.default_rng(seed))
        assert lifted is not None
        assert lifted.query in thai
        assert not unicodedata.category(lifted.query[0]).startswith("M")


@settings(deadline=None, max_examples=300)
@given(st.text() | st.text(st.sampled_from("aé\u0301\u200b\u00adकि\u094dाเกา์်\u1039中が\u3099한1_ \n")))
def test_any_text_is_its_characters_and_normal_once_normalised(text: str) -> None:
    assert "".join(split_clusters(text)) == text
    once = normalise_text(text)
    assert normalise_text(once) == once
