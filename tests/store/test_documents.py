"""Documents in SQLite: what goes in comes out, a change is whole or not at all, damage is named."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
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


def test_documents_come_back_by_key_and_from_a_key_on() -> None:
    documents = [Document(name, f"text {name}", {"n": at}) for at, name in enumerate("abcd")]
    store = filled(*documents)
    store.insert(10, [Document("later", "t", {})], np.zeros(1, dtype=np.int64))
    assert store.by_key([3, 0, 99]) == {0: documents[0], 3: documents[3]}
    assert store.by_key([]) == {}
    assert store.entries(3) == [(3, "d"), (10, "later")]
    assert store.entries(11) == []
    assert list(store.documents()) == [*enumerate(documents), (10, Document("later", "t", {}))]


@pytest.mark.parametrize("page", [1, 2, 3, 7, 100])
def test_all_documents_are_read_in_pages_without_loss(monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr("hybridret.store.documents._PAGE_OF_TEXTS", page)
    store = filled(*(Document(f"d{number}", f"t{number}", {}) for number in range(7)))
    store.delete([2, 3], 1)
    assert [(key, document.doc_id) for key, document in store.documents()] == [
        (key, f"d{key}") for key in (0, 1, 4, 5, 6)
    ]


def test_an_id_of_a_deleted_document_may_be_given_again_under_a_new_key() -> None:
    store = filled(Document("a", "old", {}))
    store.delete([0], 1)
    store.insert(1, [Document("a", "new", {})], np.zeros(1, dtype=np.int64))
    assert store.keys_of(["a"]) == {"a": 1}
    assert store.by_key([0, 1]) == {1: Document("a", "new", {})}


def test_what_was_deleted_after_a_generation_is_known_until_it_is_forgotten() -> None:
    store = filled(*(Document(f"d{number}", "t", {}) for number in range(6)))
    assert store.deleted_after(-1).tolist() == []
    store.delete([4, 1], 2)
    store.delete([], 3)
    store.delete([5], 4)
    assert [store.deleted_after(generation).tolist() for generation in (-1, 1, 2, 3, 4, 5)] == [
        [1, 4, 5],
        [1, 4, 5],
        [5],
        [5],
        [],
        [],
    ]
    assert store.deleted_after(-1).dtype == store.deleted_after(9).dtype == np.int64
    store.forget_deleted()
    assert store.deleted_after(-1).tolist() == []
    assert store.entries() == [(0, "d0"), (2, "d2"), (3, "d3")]


def test_deletions_of_a_transaction_that_fails_are_not_noted() -> None:
    store = filled(Document("a", "t", {}))

    def change() -> None:
        with store.transaction():
            store.delete([0], 1)
            assert store.deleted_after(0).tolist() == [0]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        change()
    assert store.deleted_after(0).tolist() == []
    assert store.entries() == [(0, "a")]


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[DocumentStore]:
    """A database in a file, of documents a and b."""
    store = filled(Document("a", "text a", {"x": 1}), Document("b", "text b", {}))
    store.state = {"generation": 1}
    store.copy_to(tmp_path / "x.sqlite")
    opened = DocumentStore.open(tmp_path / "x.sqlite", timeout=0.0)
    yield opened
    opened.close()


@pytest.fixture
def other(on_disk: DocumentStore, tmp_path: Path) -> Iterator[DocumentStore]:
    """The same database, opened as by another process."""
    opened = DocumentStore.open(tmp_path / "x.sqlite", timeout=0.0)
    yield opened
    opened.close()


def test_a_snapshot_is_of_one_moment_and_keeps_commits_out_until_its_end(
    on_disk: DocumentStore, other: DocumentStore
) -> None:
    def change() -> None:
        with other.transaction():
            other.delete([0], 2)
            other.state = {"generation": 2}

    with on_disk.snapshot() as generation:
        assert generation == 1
        with pytest.raises(BundleError, match="another process is writing to it"):
            change()
        assert on_disk.entries() == [(0, "a"), (1, "b")]
        with on_disk.snapshot() as inner:
            assert inner == 1
        assert on_disk.state == {"generation": 1}
    change()
    assert on_disk.generation == 2
    with on_disk.snapshot() as generation:
        assert (generation, on_disk.entries()) == (2, [(1, "b")])


def test_a_snapshot_ends_also_where_what_it_was_for_fails(on_disk: DocumentStore, other: DocumentStore) -> None:
    def look() -> None:
        with on_disk.snapshot():
            raise RuntimeError

    with pytest.raises(RuntimeError):
        look()
    with other.transaction():
        other.state = {"generation": 2}
    assert on_disk.generation == 2


def test_a_second_writer_is_told_and_reads_what_was_committed(on_disk: DocumentStore, other: DocumentStore) -> None:
    with on_disk.transaction():
        on_disk.delete([0], 2)
        on_disk.state = {"generation": 2}
        assert on_disk.entries() == [(1, "b")]
        assert (other.entries(), other.generation) == ([(0, "a"), (1, "b")], 1)
        with pytest.raises(BundleError, match="another process is writing to it"), other.transaction():
            pass
    assert (other.entries(), other.generation) == ([(1, "b")], 2)
    with other.transaction():
        other.state = {"generation": 3}
    assert on_disk.generation == 3


def test_a_thread_that_reads_beside_a_change_sees_the_state_before_and_does_not_wait(on_disk: DocumentStore) -> None:
    with ThreadPoolExecutor(1) as pool, on_disk.transaction():
        on_disk.delete([0], 2)
        on_disk.state = {"generation": 2}
        seen = pool.submit(lambda: (on_disk.entries(), on_disk.generation)).result(timeout=60)
        assert seen == ([(0, "a"), (1, "b")], 1)
        assert (on_disk.entries(), on_disk.generation) == ([(1, "b")], 2)
    assert (on_disk.entries(), on_disk.generation) == ([(1, "b")], 2)


def test_the_space_of_deleted_documents_come_back(on_disk: DocumentStore, tmp_path: Path) -> None:
    many = [Document(f"d{number}", "text " * 500, {}) for number in range(50)]
    with on_disk.transaction():
        on_disk.insert(2, many, uncut(many))
    large = (tmp_path / "x.sqlite").stat().st_size
    with on_disk.transaction():
        on_disk.delete(range(2, 52), 2)
    on_disk.vacuum()
    assert (tmp_path / "x.sqlite").stat().st_size < large / 3
    assert on_disk.entries() == [(0, "a"), (1, "b")]
    assert on_disk.faults() == []


def test_a_sound_database_has_no_faults(on_disk: DocumentStore) -> None:
    assert on_disk.faults() == []


@pytest.mark.parametrize(
    ("statement", "doc_id"),
    [
        ("UPDATE documents SET text = 'text A' WHERE id = 'a'", "a"),
        ("UPDATE documents SET metadata = '{\"x\": 2}' WHERE id = 'a'", "a"),
        ("UPDATE documents SET id = 'c' WHERE id = 'b'", "c"),
        ("UPDATE documents SET cut = 1 WHERE id = 'b'", "b"),
        ("UPDATE documents SET checksum = checksum + 1 WHERE id = 'b'", "b"),
        ("UPDATE documents SET key = 7 WHERE id = 'b'", "b"),
        ("UPDATE documents SET text = x'ff' WHERE id = 'a'", "a"),
        ("UPDATE documents SET checksum = 'x' WHERE id = 'a'", "a"),
    ],
)
def test_a_document_that_is_not_what_was_written_is_named(on_disk: DocumentStore, statement: str, doc_id: str) -> None:
    with on_disk.reading() as connection:
        connection.execute(statement)
    (fault,) = on_disk.faults()
    assert "x.sqlite is damaged: " in fault
    assert f"document {doc_id!r}" in fault
    for read in (lambda: on_disk.by_id([doc_id]), lambda: list(on_disk.documents()), lambda: on_disk.by_key([0, 1, 7])):
        with pytest.raises(BundleError, match=f"document '{doc_id}'"):
            read()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE state SET value = '{\"generation\": 2}'",
        "UPDATE state SET generation = 2",
        "UPDATE state SET checksum = checksum + 1",
        "UPDATE state SET value = '[1]'",
        "UPDATE state SET value = x'ff'",
        "UPDATE state SET value = ''",
        "DELETE FROM state",
    ],
)
def test_a_state_that_is_not_what_was_written_is_refused(on_disk: DocumentStore, statement: str) -> None:
    assert on_disk.state == {"generation": 1}
    with on_disk.reading() as connection:
        connection.execute(statement)
    with pytest.raises(BundleError, match=r"x\.sqlite is damaged: the checksum of its state is wrong"):
        _ = on_disk.state


def test_a_broken_index_of_the_database_is_a_fault(on_disk: DocumentStore, tmp_path: Path) -> None:
    on_disk.close()
    connection = sqlite3.connect(tmp_path / "x.sqlite")
    found = "SELECT rootpage FROM sqlite_master WHERE name LIKE 'sqlite_autoindex_documents%'"
    (page,) = connection.execute(found).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    content = bytearray((tmp_path / "x.sqlite").read_bytes())
    start = (page - 1) * size
    at = bytes(content).index(b"b", start + size - 20, start + size)
    content[at] = ord("c")
    (tmp_path / "x.sqlite").write_bytes(content)
    opened = DocumentStore.open(tmp_path / "x.sqlite")
    assert any("integrity" in fault or "index" in fault for fault in opened.faults())
    opened.close()
