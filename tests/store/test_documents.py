"""Documents in SQLite: what goes in comes out, a change is whole or not at all, damage is named."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.errors import BundleError, InputError
from hybridret.store import DocumentStore
from hybridret.types import Document, IntArray

ODD_TEXTS = ["", "a\0b", "\x01\x1b[31m\x7f", "line\u2028break", "猫が好き", "\U0001f600", "'; DROP TABLE documents; --"]


def uncut(documents: list[Document]) -> IntArray:
    return np.zeros(len(documents), dtype=np.int64)


def filled(*documents: Document) -> DocumentStore:
    store = DocumentStore.in_memory()
    store.insert(0, list(documents), uncut(list(documents)))
    return store


def test_documents_come_back_by_id() -> None:
    cat, dog = Document("cat", "purrs", {"legs": 4}), Document("dog", "barks", {})
    store = filled(cat, dog)
    assert store.by_id(["dog", "cat", "cow"]) == {"cat": cat, "dog": dog}
    assert store.keys_of(["cow", "dog"]) == {"dog": 1}
    assert store.entries() == [(0, "cat"), (1, "dog")]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_text_ids_and_metadata_come_back_as_they_were(text: str) -> None:
    document = Document(text or "id", text, {text or "key": text})
    store = filled(document)
    assert store.by_id([document.doc_id]) == {document.doc_id: document}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_any_json_metadata_come_back_as_they_were(metadata: dict[str, Any]) -> None:
    assert filled(Document("a", "t", metadata)).by_id(["a"])["a"].metadata == metadata


def test_what_comes_back_is_a_copy() -> None:
    store = filled(Document("a", "t", {"list": [1]}))
    store.by_id(["a"])["a"].metadata["list"].append(2)
    assert store.by_id(["a"])["a"].metadata == {"list": [1]}


def test_more_ids_than_sqlite_takes_parameters_are_found() -> None:
    documents = [Document(f"d{number}", "t", {}) for number in range(2500)]
    store = filled(*documents)
    assert store.by_id([document.doc_id for document in documents]).keys() == {d.doc_id for d in documents}
    store.delete(range(2000), 1)
    assert store.entries() == [(row, f"d{row}") for row in range(2000, 2500)]


def test_an_id_that_is_taken_is_refused() -> None:
    store = filled(Document("a", "t", {}))
    with pytest.raises(InputError, match="'a' is in the index already"):
        store.insert(1, [Document("a", "other", {})], np.zeros(1, dtype=np.int64))


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan"), float("inf"), b"bytes"])
def test_metadata_that_json_cannot_hold_are_refused_naming_the_document(value: object) -> None:
    with pytest.raises(InputError, match="the metadata of document 'a' cannot be held as JSON"):
        filled(Document("a", "t", {"x": value}))


def test_cut_tokens_are_summed() -> None:
    store = DocumentStore.in_memory()
    assert store.cut() == (0, 0)
    store.insert(0, [Document(name, "t", {}) for name in "abc"], np.array([0, 5, 2]))
    assert store.cut() == (2, 7)
    store.delete([1], 1)
    assert store.cut() == (1, 2)


def test_a_transaction_that_fails_leaves_everything_as_before() -> None:
    store = filled(Document("a", "t", {}))
    store.state = {"generation": 1}

    def change() -> None:
        with store.transaction():
            store.delete([0], 1)
            store.state = {"generation": 2}
            store.insert(1, [Document("b", "t", {})], np.zeros(1, dtype=np.int64))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert store.entries() == [(0, "a")]
    assert store.state == {"generation": 1}
    with store.transaction():
        store.state = {"generation": 3}
    assert store.state == {"generation": 3}


def test_a_copy_opens_with_everything_in_it(tmp_path: Path) -> None:
    store = filled(Document("a", "t", {"x": None}))
    store.state = {"generation": 1, "x": [1]}
    store.copy_to(tmp_path / "copy.sqlite")
    opened = DocumentStore.open(tmp_path / "copy.sqlite")
    assert opened.by_id(["a"]) == {"a": Document("a", "t", {"x": None})}
    assert opened.state == {"generation": 1, "x": [1]}
    with opened.transaction():
        opened.delete([0], 1)
    opened.close()
    assert store.entries() == [(0, "a")]


def test_a_file_name_that_looks_like_a_uri_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "a?mode=memory#x %41.sqlite"
    filled(Document("a", "t", {})).copy_to(file)
    opened = DocumentStore.open(file)
    assert opened.entries() == [(0, "a")]
    opened.close()


def test_threads_may_share_a_store() -> None:
    store = filled(*(Document(f"d{number}", f"t{number}", {}) for number in range(50)))
    ids = [f"d{number % 50}" for number in range(400)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda doc_id: store.by_id([doc_id])[doc_id].text, ids))
    assert found == [f"t{number % 50}" for number in range(400)]


def test_opening_a_missing_file_makes_none(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        DocumentStore.open(tmp_path / "absent.sqlite")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"text that is no database" * 50])
def test_opening_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.sqlite").write_bytes(content)
    with pytest.raises(BundleError, match=r"x\.sqlite"):
        DocumentStore.open(tmp_path / "x.sqlite")


def test_opening_a_foreign_database_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.sqlite")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    with pytest.raises(BundleError, match="is not the database of a hybridret bundle"):
        DocumentStore.open(tmp_path / "x.sqlite")
