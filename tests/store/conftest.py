"""What the tests of filters share: a plain-Python oracle of the whole language, and stores to ask."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from hybridret.store import DocumentStore, compile_filter
from hybridret.types import Document

Metadata = dict[str, Any]
MISSING = object()
RANGES = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}


def holds(metadata: Metadata, filter: Mapping[str, Any]) -> bool:
    for key, value in filter.items():
        if key == "$and":
            met = all(holds(metadata, item) for item in value)
        elif key == "$or":
            met = any(holds(metadata, item) for item in value)
        elif key == "$not":
            met = not holds(metadata, value)
        else:
            met = field_holds(metadata, [key], value)
        if not met:
            return False
    return True


def field_holds(metadata: Metadata, keys: list[str], wanted: Any) -> bool:
    if not isinstance(wanted, Mapping):
        return operator_holds(field_of(metadata, keys), "$eq", wanted)
    if any(key.startswith("$") for key in wanted):
        return operators_hold(field_of(metadata, keys), wanted)
    return all(field_holds(metadata, [*keys, key], inner) for key, inner in wanted.items())


def operators_hold(found: Any, operators: Mapping[str, Any]) -> bool:
    return all(operator_holds(found, name, operand) for name, operand in operators.items())


def operator_holds(found: Any, name: str, operand: Any) -> bool:
    if name == "$not":
        return not operators_hold(found, operand)
    if name == "$exists":
        return (found is not MISSING) == operand
    if name in RANGES:
        return any(
            isinstance(found, kind) and isinstance(operand, kind) and RANGES[name](found, operand)
            for kind in (str, int | float)
            if not isinstance(found, bool)
        )
    value = None if found is MISSING else found
    equal_to = [operand] if name in ("$eq", "$ne") else operand
    equals = not isinstance(value, list | dict) and value in equal_to
    return equals == (name in ("$eq", "$in"))


def field_of(metadata: Metadata, keys: list[str]) -> Any:
    literal = reached(metadata, keys)
    return reached(metadata, ".".join(keys).split(".")) if literal is MISSING else literal


def reached(value: Any, keys: list[str]) -> Any:
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return MISSING
        value = value[key]
    return value


def store_of(metadatas: list[Metadata]) -> DocumentStore:
    store = DocumentStore.in_memory()
    documents = [Document(f"d{number}", "t", metadata) for number, metadata in enumerate(metadatas)]
    store.insert(0, documents, np.zeros(len(documents), dtype=np.int64))
    return store


def answer(store: DocumentStore, filter: Any, n_rows: int) -> list[bool]:
    found: list[bool] = store.matching(compile_filter(filter), np.arange(n_rows)).tolist()
    return found


@pytest.fixture(scope="session", name="holds")
def oracle() -> Callable[[Metadata, Any], bool]:
    """Says whether metadata meet a filter, by recursion over Python values."""
    return holds


@pytest.fixture(scope="session", name="store_of")
def making_stores() -> Callable[[list[Metadata]], DocumentStore]:
    """Makes a store of documents d0, d1, ... with the given metadata."""
    return store_of


@pytest.fixture(scope="session", name="answer")
def asking_stores() -> Callable[[DocumentStore, Any, int], list[bool]]:
    """Which of a store's rows a filter matches."""
    return answer


@pytest.fixture(scope="session")
def matching() -> Callable[[list[Metadata], Any], list[bool]]:
    """Which of the given metadata a filter matches, asked of a fresh store."""
    return lambda metadatas, filter: answer(store_of(metadatas), filter, len(metadatas))
