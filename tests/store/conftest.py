"""What the tests of filters share: a plain-Python oracle of the whole language, and stores to ask."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from hybridret.store import Columns, Condition, DocumentStore, compile_filter, paths_of
from hybridret.types import Document, IntArray

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
        return operator_holds(leaves_of(metadata, keys), "$eq", wanted)
    if any(key.startswith("$") for key in wanted):
        return operators_hold(leaves_of(metadata, keys), wanted)
    return all(field_holds(metadata, [*keys, key], inner) for key, inner in wanted.items())


def operators_hold(leaves: list[Any], operators: Mapping[str, Any]) -> bool:
    return all(operator_holds(leaves, name, operand) for name, operand in operators.items())


def operator_holds(leaves: list[Any], name: str, operand: Any) -> bool:
    if name == "$not":
        return not operators_hold(leaves, operand)
    if name == "$exists":
        return any(leaf is not MISSING for leaf in leaves) == operand
    if name in ("$ne", "$nin"):
        return not operator_holds(leaves, "$eq" if name == "$ne" else "$in", operand)
    if name == "$all" or (name == "$contains" and isinstance(operand, list | tuple)):
        return len(operand) > 0 and all(operator_holds(leaves, "$eq", value) for value in operand)
    values = [*leaves, *(element for leaf in leaves if isinstance(leaf, list) for element in leaf)]
    if name in RANGES:
        return any(in_range(value, name, operand) for value in values)
    wanted = list(operand) if name == "$in" else [operand]
    return any(equals(value, each) for value in values for each in wanted)


def in_range(value: Any, name: str, operand: Any) -> bool:
    return any(
        isinstance(value, kind) and isinstance(operand, kind) and RANGES[name](value, operand)
        for kind in (str, int | float)
        if not isinstance(value, bool)
    )


def equals(value: Any, wanted: Any) -> bool:
    if isinstance(value, dict):
        return False
    if isinstance(value, list) or isinstance(wanted, list | tuple):
        return (
            isinstance(value, list)
            and isinstance(wanted, list | tuple)
            and len(value) == len(wanted)
            and all(map(equals, value, wanted))
        )
    return bool((None if value is MISSING else value) == wanted)


def leaves_of(metadata: Metadata, keys: list[str]) -> list[Any]:
    """What a field leads to, as MongoDB follows paths; a key that is there as it is written comes first."""
    literal = reached(metadata, keys)
    return literal if any(leaf is not MISSING for leaf in literal) else reached(metadata, ".".join(keys).split("."))


def reached(value: Any, keys: list[str]) -> list[Any]:
    if not keys:
        return [value]
    if isinstance(value, dict):
        return reached(value[keys[0]], keys[1:]) if keys[0] in value else [MISSING]
    if not isinstance(value, list):
        return [MISSING]
    leaves = [leaf for element in value if isinstance(element, dict) for leaf in reached(element, keys)]
    if keys[0].isascii() and keys[0].isdigit() and str(int(keys[0])) == keys[0] and int(keys[0]) < len(value):
        leaves += reached(value[int(keys[0])], keys[1:])
    return leaves


def store_of(metadatas: list[Metadata]) -> DocumentStore:
    store = DocumentStore.in_memory()
    documents = [Document(f"d{number}", "t", metadata) for number, metadata in enumerate(metadatas)]
    store.insert(0, documents, np.zeros(len(documents), dtype=np.int64))
    return store


def answer(store: DocumentStore, filter: Any, n_rows: int) -> list[bool]:
    keys, condition, half = np.arange(n_rows), compile_filter(filter), n_rows // 2
    whole = marked(condition, keys, 0, store, Columns())
    grown, unheld = Columns(), Columns(most_bytes=0)
    for columns in (grown, unheld):
        first = marked(condition, keys[:half], 0, store, columns)
        assert first + marked(condition, keys, half, store, columns) == whole  # by what is new alone
    assert marked(condition, keys, 0, store, grown) == whole
    assert marked(condition, keys[:half], 0, store, grown) == whole[:half]
    return whole


def marked(condition: Condition, keys: IntArray, start: int, store: DocumentStore, columns: Columns) -> list[bool]:
    """Whether each row from ``start`` on meets a condition; columns that are held already are not read."""
    paths = set(paths_of(condition))
    held = columns.held(paths, len(keys))
    read = {path: columns.read(path, keys, start, store) for path in paths - held.keys()}
    found: list[bool] = condition.rows(held | read, start, len(keys)).tolist()
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
