"""Equality filters against a plain comparison in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.errors import FilterError
from hybridret.store import DocumentStore
from hybridret.store.filters import compile_filter
from hybridret.types import Document

KEYS = st.sampled_from(["a", "b", "a.b", "a b", "a[0]", "", "ключ", "键", "a'b", "\\", "a\\b", "a\nb", "É"])
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -1.0, 1e300]),
    st.sampled_from(["", "1", "true", "null", "x", "猫", "it's", 'say "x"', "a\\b", "a\nb"]),
)
METADATA = st.dictionaries(KEYS, VALUES, max_size=4)


def matches(metadata: dict[str, Any], filter: dict[str, Any]) -> bool:
    return all(metadata.get(key) == value for key, value in filter.items())


def store_of(metadatas: list[dict[str, Any]]) -> DocumentStore:
    store = DocumentStore.in_memory()
    documents = [Document(f"d{number}", "t", metadata) for number, metadata in enumerate(metadatas)]
    store.insert(0, documents, np.zeros(len(documents), dtype=np.int64))
    return store


def matching(metadatas: list[dict[str, Any]], filter: Any) -> list[bool]:
    found: list[bool] = store_of(metadatas).matching(compile_filter(filter), len(metadatas)).tolist()
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(METADATA, min_size=1, max_size=6), st.dictionaries(KEYS, VALUES, max_size=2))
def test_a_filter_matches_as_python_compares(metadatas: list[dict[str, Any]], filter: dict[str, Any]) -> None:
    assert matching(metadatas, filter) == [matches(metadata, filter) for metadata in metadatas]


def test_an_empty_filter_matches_all_and_none_matches_missing_and_null() -> None:
    metadatas: list[dict[str, Any]] = [{}, {"a": None}, {"a": 0}]
    assert matching(metadatas, {}) == [True, True, True]
    assert matching(metadatas, {"a": None}) == [True, True, False]


def test_text_and_numbers_are_not_confused() -> None:
    metadatas: list[dict[str, Any]] = [{"a": 1}, {"a": "1"}, {"a": 1.0}, {"a": True}]
    assert matching(metadatas, {"a": "1"}) == [False, True, False, False]
    assert matching(metadatas, {"a": 1}) == [True, False, True, True]


def test_a_list_is_not_equal_to_its_text() -> None:
    assert matching([{"a": [1, 2]}], {"a": "[1,2]"}) == [False]


def test_deleted_rows_and_rows_beyond_the_generation_do_not_match() -> None:
    store = store_of([{"a": 1}] * 4)
    store.delete([1])
    assert store.matching(compile_filter({"a": 1}), 3).tolist() == [True, False, True]


def test_values_are_parameters_not_sql() -> None:
    condition = compile_filter({"a": "x' OR 1 --", "b') OR 1 --": 2})
    assert "OR" not in condition.sql
    assert condition.values[1] == "x' OR 1 --"


@pytest.mark.parametrize(
    "filter",
    [
        ["a"],
        "a",
        5,
        {1: "a"},
        {"$gte": 3},
        {'a"b': 3},
        {"a": [1]},
        {"a": {"$gte": 3}},
        {"a": object()},
        {"a": b"x"},
        {"a": 2**63},
        {"a": "\ud800"},
        {"\ud800": 1},
    ],
)
def test_what_cannot_be_understood_is_refused(filter: Any) -> None:
    with pytest.raises(FilterError):
        matching([{"a": 1}], filter)


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63 - 1), 2**53 + 1])
def test_large_whole_numbers_are_compared_exactly(value: int) -> None:
    assert matching([{"a": value}, {"a": value - 1}], {"a": value}) == [True, False]
