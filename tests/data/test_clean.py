"""Checking documents: what passes unchanged, what is repaired, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridret.data.clean import clean_documents, clean_text
from hybridret.errors import InputError
from hybridret.types import Document


def document(doc_id: Any = "a", text: Any = "t") -> Document:
    return Document(doc_id, text, {})


@given(st.text())
def test_text_that_utf8_can_hold_is_left_as_it_is(text: str) -> None:
    assert clean_text(text, "text") == text


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_comes_out_encodable_and_of_no_greater_length(text: str) -> None:
    cleaned = clean_text(text, "text")
    cleaned.encode()
    assert len(cleaned) <= len(text)


def test_lone_surrogates_become_replacement_characters_and_pairs_their_character() -> None:
    assert clean_text("a\ud800b", "text") == "a\ufffdb"
    assert clean_text("\udc00", "text") == "\ufffd"
    assert clean_text("\ud83d\ude00", "text") == "\U0001f600"


def test_control_characters_stay() -> None:
    assert clean_text("a\0b\x1b\u202e", "text") == "a\0b\x1b\u202e"


@pytest.mark.parametrize("text", [None, 5, b"bytes", ["a"]])
def test_text_that_is_no_string_is_refused(text: object) -> None:
    with pytest.raises(InputError, match=f"a query must be a string, not {type(text).__name__}"):
        clean_text(text, "a query")
    with pytest.raises(InputError, match="the text of document 'a' must be a string"):
        clean_documents([document(text=text)])


@pytest.mark.parametrize("doc_id", [5, None, b"a", 1.5, ("a",)])
def test_ids_that_are_no_strings_are_refused(doc_id: object) -> None:
    with pytest.raises(InputError, match="the id of document 1 must be a string"):
        clean_documents([document("b"), document(doc_id)])


@pytest.mark.parametrize("doc_id", ["", "a\ud800"])
def test_ids_that_are_empty_or_not_encodable_are_refused(doc_id: str) -> None:
    with pytest.raises(InputError, match="document 0 has an id that is empty or no valid text"):
        clean_documents([document(doc_id)])


def test_an_id_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="'a' is given twice, the second time by document 2"):
        clean_documents([document("a"), document("b"), document("a")])


def test_a_generator_is_read_once_and_order_is_kept() -> None:
    given_documents = (document(str(number)) for number in range(5))
    assert [item.doc_id for item in clean_documents(given_documents)] == list("01234")


def test_metadata_are_not_mutated() -> None:
    metadata = {"list": [1]}
    assert clean_documents([Document("a", "t\ud800", metadata)])[0].metadata == {"list": [1]}
    assert metadata == {"list": [1]}
