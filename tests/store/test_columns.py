"""Columns of metadata: bounded in bytes, read once, and those of old rows again by nobody."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.errors import BundleError
from hybridret.store import Columns, DocumentStore, compile_filter, fields_of
from hybridret.types import Document, IntArray

Metadata = dict[str, Any]
StoreOf = Callable[[list[Metadata]], DocumentStore]


@pytest.fixture
def read_keys(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], int]]:
    """The fields that were read, and of how many documents."""
    real, read = DocumentStore.pages_of_fields, []

    def pages_of_fields(store: DocumentStore, fields: list[str], keys: IntArray) -> Any:
        read.append((fields, len(keys)))
        return real(store, fields, keys)

    monkeypatch.setattr(DocumentStore, "pages_of_fields", pages_of_fields)
    return read


def test_a_column_has_the_bytes_of_its_arrays_and_values(store_of: StoreOf) -> None:
    store = store_of([{"a": "x" * 1000}, {"a": 1.5}, {"a": ["x" * 1000, "y"]}, {}])
    column = Columns().read(("a",), np.arange(4), 0, store)
    n_values = 1 + 1 + 3 + 1
    held = [1.5, "x" * 1000, "y", '["%s", "y"]' % ("x" * 1000)]
    assert column.n_bytes == 2 * 4 * n_values + sum(8 + sys.getsizeof(value) for value in held)


def test_columns_asked_last_are_held_within_the_limit(
    store_of: StoreOf, read_keys: list[tuple[list[str], int]]
) -> None:
    store, keys = store_of([dict.fromkeys("abc", number) for number in range(100)]), np.arange(100)
    n_bytes = Columns().read(("a",), keys, 0, store).n_bytes
    columns = Columns(most_bytes=2 * n_bytes)
    for name in "ababacac":
        if not columns.held([(name,)], 100):
            columns.read((name,), keys, 0, store)
        assert columns.n_bytes <= 2 * n_bytes
    assert [fields for fields, _ in read_keys] == [["a"], ["a"], ["b"], ["c"]]
    assert columns.held([("b",)], 100) == {}
    assert set(columns.held([("a",), ("c",)], 100)) == {("a",), ("c",)}


def test_a_column_beyond_the_limit_is_not_held_and_read_for_what_matters_alone(
    store_of: StoreOf, read_keys: list[tuple[list[str], int]]
) -> None:
    store, columns = store_of([{"a": "x" * 100 + str(number)} for number in range(20)]), Columns(most_bytes=1000)
    condition = compile_filter({"a": {"$gte": "x" * 100 + "9"}})
    for start in (0, 15):
        column = columns.read(("a",), np.arange(20), start, store)
        assert condition.rows({("a",): column}, start, 20).tolist() == [number == 9 for number in range(start, 20)]
    assert [n_keys for _, n_keys in read_keys] == [20, 5]
    assert columns.n_bytes == 0
    grown = Columns(most_bytes=1000)
    grown.read(("a",), np.arange(3), 0, store)
    assert grown.n_bytes
    grown.read(("a",), np.arange(20), 3, store)
    assert grown.n_bytes == 0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from([1, 2.5, -3, True, None, "x", "y", "", "é", [], ["x", 1], [[1]], [{"a": 1}], {"b": 1}, 2**70]),
        max_size=12,
    ),
    st.lists(st.integers(0, 12), max_size=4),
)
def test_a_column_that_grew_is_one_that_was_read_at_once(
    store_of: StoreOf, values: list[Any], stops: list[int]
) -> None:
    store, columns, n_rows = store_of([{"a": value} for value in values]), Columns(), len(values)
    for stop in sorted(min(stop, n_rows) for stop in stops):
        columns.read(("a",), np.arange(stop), 0, store)
    grown = columns.read(("a",), np.arange(n_rows), 0, store)
    whole = Columns().read(("a",), np.arange(n_rows), 0, store)
    assert (grown.numbers, grown.texts, grown.lists) == (whole.numbers, whole.texts, whole.lists)
    assert set(zip(grown.rows.tolist(), grown.codes.tolist(), strict=True)) == set(
        zip(whole.rows.tolist(), whole.codes.tolist(), strict=True)
    )
    assert (np.diff(grown.rows) >= 0).all()
    assert grown.n_bytes == whole.n_bytes


def test_more_values_than_a_page_and_than_are_known_at_once(store_of: StoreOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hybridret.store.documents._PAGE_OF_FIELDS", 7)
    monkeypatch.setattr("hybridret.store.columns._MOST_KNOWN", 10)
    values = [f"v{number % 23}" for number in range(100)]
    column = Columns().read(("a",), np.arange(100), 0, store_of([{"a": value} for value in values]))
    assert column.texts == sorted(set(values))
    assert column.equal_to_one(["v3"], 0).tolist() == [value == "v3" for value in values]


def test_metadata_that_are_no_json_are_damage(store_of: StoreOf) -> None:
    for field in ("a", "ключ"):
        store = store_of([{field: 1}, {field: 2}])
        with store.reading() as connection:
            connection.execute("UPDATE documents SET metadata = '{1' WHERE key = 1")
        with pytest.raises(BundleError):
            Columns().read((field,), np.arange(2), 0, store)
        with pytest.raises(BundleError, match="is damaged"):
            store.field_names()


def test_the_fields_of_a_filter_are_named_once_each_in_order() -> None:
    filter = {"b": {"$gt": 1, "$ne": 3}, "$or": [{"a.x": 1}, {"b": 5}, {"$not": {"c": {"d": {"e": [1]}}}}]}
    assert fields_of(filter) == ["b", "a.x", "c.d.e"]
    assert fields_of({}) == []


def test_a_document_that_cannot_be_held_is_named_with_its_field() -> None:
    store = DocumentStore.in_memory()
    for value, flaw in (
        (object(), "of type object"),
        ({"x": [1, {2}]}, "field 'a.x' is of type set"),
        (float("nan"), "field 'a' is NaN or infinity"),
        (np.datetime64("NaT"), r"field 'a' is no time \(NaT\)"),
        (np.datetime64("2024-01-01T00:00:00.000000001"), "a time that no datetime can hold"),
        (np.timedelta64(1, "D"), "of type timedelta64"),
        (np.longdouble(1) / 3, "a number that has no exact float of 64 bits"),
        (b"x", "of type bytes"),
        (1j, "of type complex"),
    ):
        with pytest.raises(ValueError, match=f"the metadata of document 'doc' .*{flaw}"):
            store.insert(0, [Document("doc", "t", {"a": value})], np.zeros(1, dtype=np.int64))
    assert store.entries() == []
