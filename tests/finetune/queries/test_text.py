"""Taking texts apart by their places."""

from __future__ import annotations

import pytest

from finetune.queries.text import (
    Span,
    as_query,
    is_code,
    is_english,
    sentence_spans,
    split_identifier,
    split_title,
    without,
    word_spans,
)
from finetune.queries.verbs import base_form
from hybridret.types import Document


def sentences(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith saw it, i.e. the fox (cf. Fig. 2). Yes.", ["Dr. Smith saw it, i.e. the fox (cf. Fig. 2).", "Yes."]),
        ("J. Doe paid 4.5 million. Why?", ["J. Doe paid 4.5 million.", "Why?"]),
        ('"Go," he said. "Now!" She went.', ['"Go," he said.', '"Now!"', "She went."]),
        ("a flow at mach 2.5 . the plate was flat .", ["a flow at mach 2.5 .", "the plate was flat ."]),
        ("今天下雨。他说：“好！”然后走了。", ["今天下雨。", "他说：“好！”", "然后走了。"]),
        ("Heading\n\nA text without an end", ["Heading", "A text without an end"]),
        ("... !", []),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_words_and_removal() -> None:
    text = "It's a well-known café, 语言 os.path!"
    found = [text[span.start : span.end] for span in word_spans(text)]
    assert found == ["It's", "a", "well-known", "café", "语", "言", "os.path"]
    assert without("a b c", Span(2, 3)) == "a c"
    assert without("a b c", Span(0, 1)) == "b c"
    assert without("a b c", Span(4, 5)) == "a b"
    assert without("a", Span(0, 1)) == ""


@pytest.mark.parametrize(
    ("text", "title", "expected"),
    [
        ("Cats They purr.", "Cats", ("Cats", "They purr.")),
        ("They purr.", "Cats", ("", "They purr.")),
        ("# How cats purr\n\nThey purr.", None, ("How cats purr", "They purr.")),
        ("They purr.\nAll day.", None, ("", "They purr.\nAll day.")),
        ("def f(x):\n    return x", None, ("", "def f(x):\n    return x")),
        ("only one line", None, ("", "only one line")),
        ("Cats", "Cats", ("Cats", "")),
    ],
)
def test_titles(text: str, title: str | None, expected: tuple[str, str]) -> None:
    assert split_title(Document("d", text, {} if title is None else {"title": title})) == expected


def test_kinds_of_text() -> None:
    assert is_code("def f (x):\n    return x")
    assert is_code("public static void main(String[] args) {\n}")
    assert not is_code("We return to the public garden;\nimport duties are due.")
    assert is_english("the cat is on the mat")
    assert not is_english("die Katze liegt auf der Matte")
    assert not is_english("")


def test_identifiers_and_queries() -> None:
    assert split_identifier("os.path.read_csv") == "os path read csv"
    assert split_identifier("parseHTMLFile2") == "parse html file 2"
    assert as_query('  "The  cat, sat.\n" ') == "The cat, sat"


@pytest.mark.parametrize(
    ("past", "base"),
    [
        ("went", "go"),
        ("walked", "walk"),
        ("hoped", "hope"),
        ("stopped", "stop"),
        ("carried", "carry"),
        ("died", "die"),
        ("agreed", "agree"),
        ("missed", "miss"),
        ("increased", "increase"),
        ("treated", "treat"),
        ("created", "create"),
        ("measured", "measure"),
        ("poured", "pour"),
        ("determined", "determine"),
        ("rained", "rain"),
        ("changed", "change"),
        ("visited", "visit"),
        ("happy", None),
        ("red", None),
    ],
)
def test_base_forms(past: str, base: str | None) -> None:
    assert base_form(past) == base
