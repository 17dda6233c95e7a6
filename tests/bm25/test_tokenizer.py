"""The tokenizer: English, identifiers, and scripts that do not space their words."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hybridret.bm25 import Tokenizer
from hybridret.errors import InputError

TOKENIZERS = {language: Tokenizer(language) for language in ("english", "none", "german", "turkish", "french")}
ENGLISH = TOKENIZERS["english"]


def test_english_words_are_lowered_stemmed_and_stripped_of_stop_words() -> None:
    assert ENGLISH("The Connections of connected CONNECTING") == ["connect", "connect", "connect"]
    assert ENGLISH("This is what it was") == []


def test_repeated_words_stay_in_their_order() -> None:
    assert ENGLISH("cat dog cat") == ["cat", "dog", "cat"]


@pytest.mark.parametrize(
    ("identifier", "terms"),
    [
        ("os.path.join", ["os.path.join", "os", "path", "join"]),
        ("read_csv", ["read_csv", "read", "csv"]),
        ("parseHTML", ["parsehtml", "pars", "html"]),
        ("HTMLParser", ["htmlparser", "html", "parser"]),
        ("camelCase", ["camelcas", "camel", "case"]),
        ("HTTPServer2", ["httpserver2", "http", "server", "2"]),
        ("json.JSONDecodeError", ["json.jsondecodeerror", "json", "jsondecodeerror", "json", "decod", "error"]),
        ("sha256_hash", ["sha256_hash", "sha256", "sha", "256", "hash"]),
        ("3.14", ["3.14", "3", "14"]),
        ("the_end", ["the_end", "end"]),
    ],
)
def test_identifier_gives_itself_and_its_parts(identifier: str, terms: list[str]) -> None:
    assert ENGLISH(identifier) == terms


@pytest.mark.parametrize("text", ["__init__", "_init", "init_", "init"])
def test_underscores_around_a_word_are_dropped(text: str) -> None:
    assert ENGLISH(text) == ["init"]


def test_query_for_a_part_meets_the_identifier() -> None:
    assert set(ENGLISH("parse html")) <= set(ENGLISH("parseHTML()"))
    assert set(ENGLISH("joining paths")) <= set(ENGLISH("os.path.join(a, b)"))


@pytest.mark.parametrize(
    ("identifier", "parts"),
    [("café_menu", ["café", "menu"]), ("größe.maß", ["grösse", "mass"]), ("naïveBayes", ["naïve"])],
)
def test_accented_letters_do_not_split_the_parts_of_an_identifier(identifier: str, parts: list[str]) -> None:
    assert set(parts) <= set(Tokenizer("none")(identifier))


def test_typographic_apostrophe_is_an_apostrophe() -> None:
    assert ENGLISH("the user’s files") == ENGLISH("the user's files") == ["user", "file"]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("信息检索", ["信息", "息检", "检索"]),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("ひらがな", ["ひら", "らが", "がな"]),
        ("한국어 검색", ["한국", "국어", "검색"]),
        ("字", ["字"]),
        ("𠮷野家", ["𠮷野", "野家"]),
        ("你好，世界。", ["你好", "世界"]),
        ("人々", ["人々"]),
        ("ジョン・レノン", ["ジョ", "ョン", "レノ", "ノン"]),
    ],
)
def test_chinese_japanese_and_korean_give_bigrams(text: str, terms: list[str]) -> None:
    assert ENGLISH(text) == terms


def test_mixed_text_is_split_where_the_script_changes() -> None:
    assert ENGLISH("使用Python读取CSV files") == ["使用", "python", "读取", "csv", "file"]


def test_full_and_half_width_forms_are_normalised() -> None:
    assert ENGLISH("ＰＹＴＨＯＮ　３") == ENGLISH("python 3") == ["python", "3"]
    assert ENGLISH("ｶﾞﾗｽ") == ENGLISH("ガラス")
    assert ENGLISH("ﬁne") == ENGLISH("fine")


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert ENGLISH("cafe\u0301") == ENGLISH("caf\u00e9")


def test_language_none_does_not_stem_or_drop_words() -> None:
    assert Tokenizer("none")("The Cats were running") == ["the", "cats", "were", "running"]


def test_other_languages_have_their_stemmer() -> None:
    assert Tokenizer("german")("Häuser") == Tokenizer("german")("Haus")


def test_unknown_language_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'klingon'.*english.*german"):
        Tokenizer("klingon")


@pytest.mark.parametrize("text", ["", " \n\t", "!?…—", "\ud800", "\x00", "🙂", "___", "_._", "_'_", "・"])
def test_text_without_words_gives_no_terms(text: str) -> None:
    assert all(tokenizer(text) == [] for tokenizer in TOKENIZERS.values())


@settings(deadline=None, max_examples=400)
@given(
    text=st.text(st.characters(exclude_categories=()))
    | st.text(st.sampled_from("aA_.'’ \n\u2028\u30fbéß1漢字かな한국ﬁＡ々\ud800")),
    language=st.sampled_from(["english", "none", "german", "turkish", "french"]),
)
@example(text="_'_", language="turkish")
@example(text="\U0001e5f1", language="english")  # a digit of Unicode 16, which Python 3.11 does not know
def test_any_text_gives_clean_terms(text: str, language: str) -> None:
    for term in TOKENIZERS[language](text):
        assert term
        assert not any(letter.isspace() for letter in term)
        assert "\n" not in term
        term.encode()
