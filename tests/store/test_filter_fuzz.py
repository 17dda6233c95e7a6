"""Thousands of damaged filters: each is understood as the oracle does, or refused with a FilterError."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from hybridret.errors import FilterError
from hybridret.store import DocumentStore

Metadata = dict[str, Any]

SECRET = "kept to itself"
KEYS = ["a", "b", "c", "a.b", "b.c", "a.b.c", "ключ", "", "secret", "a.0", "b.1.c", "0"]
SCALARS = [None, True, False, 0, 1, 2.5, -1, 2**53, 2**53 + 1, "", "x", "y", "猫", "\0x", "'; DROP TABLE documents; --"]
SPECIAL: list[Metadata] = [
    {},
    {"a": 1, "b": "x", "secret": SECRET},
    {"a": {"b": {"c": 2.5}}, "a.b": None},
    {"a": True, "b": None, "c": [1, "x"]},
    {"a": "x", "b": {"a": 0, "c": "\0x"}},
    {"a": "'; DROP TABLE documents; --", "ключ": "猫"},
    {"a": 2**53 + 1, "b": -1e300, "c": {"a": ["x"], "b": "\ud800"}},
    {"a": [], "b.c": 1, "": "", "$gt": 1, '"': 1},
    {"a": [1, "x", None, [1, "x"]], "b": [{"c": 1}, {"c": [2.5, True]}, "y"], "c": [[]]},
    {"a": [{"b": [{"c": "x"}, {}]}, {"b": {"c": 1}}], "b": ["x", 1], "c": [True, 2**53 + 1]},
]
LISTS: list[Any] = [[], [1], ["x", 1], [1, "x", None], [True, "y"], [[1, "x"]], [[]], [{"c": 1}, 1], [{"b": {"c": 0}}]]
RANGES = ["$gt", "$gte", "$lt", "$lte"]
OPERATORS = ["$eq", "$ne", "$in", "$nin", *RANGES, "$exists", "$all", "$contains", "$not", "$and", "$or"]


def stored(chance: random.Random, depth: int = 0) -> Metadata:
    """Metadata that share keys and values with the filters."""
    values = [
        chance.choice(LISTS if chance.random() < 0.4 else SCALARS)
        if depth == 2 or chance.random() < 0.6
        else stored(chance, depth + 1)
        for _ in KEYS
    ]
    return {key: value for key, value in zip(KEYS, values, strict=True) if chance.random() < 0.6}


METADATAS = [*SPECIAL, *(stored(random.Random(seed)) for seed in range(24))]
IDS = [f"d{number}" for number in range(len(METADATAS))]

ODD_TEXTS = [
    "') OR 1 --",
    "?",
    "; DELETE FROM documents",
    "$",
    "$.a",
    "$where",
    "$EQ",
    '"',
    'a"."b',
    "\\",
    "\\u0000",
    "\x1b[2J",
]
ODD_TEXTS += [
    "\0",
    "\x01\x02",
    "\ud800",
    "\udc00\ud800",
    "{}",
    "[1",
    "null",
    "1e999",
    "a" * 10_000,
    "." * 1000,
    "%s{0}",
    "*",
]
ODD_KEYS = [
    *OPERATORS,
    *ODD_TEXTS,
    None,
    True,
    0,
    -1,
    1.5,
    math.nan,
    b"a",
    (),
    ("a",),
    frozenset("a"),
    object,
    10**5000,
]


class Odd:
    """An object that cannot be shown or compared."""

    def __repr__(self) -> str:
        raise RuntimeError("shown")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")

    def __hash__(self) -> int:
        raise RuntimeError("hashed")


def odd_value(chance: random.Random) -> Any:
    return chance.choice(
        [
            lambda: chance.choice(ODD_TEXTS),
            lambda: chance.choice([2**63, -(2**63), -(2**63) - 1, 2**64, 10**5000, -(10**400)]),
            lambda: chance.choice([math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, -0.0]),
            lambda: chance.choice(
                [b"x", bytearray(b"x"), 1j, object(), Odd(), int, print, range(3), {1, 2}, iter([1])]
            ),
            lambda: chance.choice([[], {}, (), [[]], [{}], [None], [[1]], {"": {}}, {"a": []}]),
            lambda: chance.choice(SCALARS),
            lambda: deep(chance.choice(["$not", "$and", "a", "list"]), chance.choice([5, 31, 32, 33, 200, 3000])),
            lambda: [chance.choice(SCALARS) for _ in range(chance.choice([0, 1, 5, 300]))],
            lambda: [valid_filter(chance) for _ in range(chance.choice([1, 2, 30]))],
            lambda: valid_filter(chance),
            lambda: operators(chance),
        ]
    )()


def deep(kind: str, levels: int) -> Any:
    value: Any = {"a": 1}
    for _ in range(levels):
        value = [value] if kind == "list" else {kind: [value] if kind == "$and" else value}
    return value


def valid_filter(chance: random.Random, depth: int = 0) -> Metadata:
    filter: Metadata = {}
    for _ in range(chance.choice([1, 1, 1, 2])):
        kind = chance.random() if depth < 3 else 1.0
        if kind < 0.15:
            filter["$not"] = valid_filter(chance, depth + 1)
        elif kind < 0.45:
            filter[chance.choice(["$and", "$or"])] = [
                valid_filter(chance, depth + 1) for _ in range(chance.choice([1, 2, 3]))
            ]
        else:
            filter[chance.choice(KEYS)] = wanted(chance)
    return filter


def wanted(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.random()
    if kind < 0.3:
        return operand(chance)
    if kind < 0.8 or depth == 2:
        return operators(chance)
    return {chance.choice(KEYS): wanted(chance, depth + 1) for _ in range(chance.choice([1, 2]))}


def operand(chance: random.Random) -> Any:
    return deepcopy(chance.choice(LISTS[:7] if chance.random() < 0.2 else SCALARS))


def operators(chance: random.Random, depth: int = 0) -> Metadata:
    chosen: Metadata = {}
    for _ in range(chance.choice([1, 1, 2])):
        name = chance.choice(OPERATORS[: 12 if depth < 2 else 11])
        if name == "$not":
            chosen[name] = operators(chance, depth + 1)
        elif name in ("$in", "$nin", "$all"):
            chosen[name] = [operand(chance) for _ in range(chance.choice([0, 1, 3]))]
        elif name == "$exists":
            chosen[name] = chance.choice([True, False])
        else:
            chosen[name] = chance.choice(SCALARS[3:]) if name in RANGES else operand(chance)
    return chosen


def containers(value: Any) -> Iterator[Any]:
    """All non-empty mappings and lists in a value that has no cycle and is not deep."""
    if isinstance(value, dict | list) and value:
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from containers(inner)


def damaged(chance: random.Random) -> Any:
    """A valid filter with one to three damages."""
    filter = valid_filter(chance)
    places = list(containers(filter))
    for _ in range(chance.choice([1, 1, 1, 2])):
        place = chance.choice(places)
        if not place:
            continue
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        kind = chance.random()
        if kind < 0.35:
            place[key] = odd_value(chance)
        elif kind < 0.6 and isinstance(place, dict):
            place[chance.choice([*OPERATORS, *KEYS, *ODD_KEYS])] = place.pop(key)
        elif kind < 0.7 and isinstance(place, dict):
            place[chance.choice(ODD_KEYS)] = odd_value(chance)
        elif kind < 0.75:
            place[key] = chance.choice(places)
        elif kind < 0.8:
            del place[key]
        elif kind < 0.9:
            place[key] = [place[key]] * chance.choice([1, 2, 40])
        else:
            place[key] = {chance.choice([*OPERATORS, *KEYS]): place[key]}
    return filter if chance.random() < 0.97 else odd_value(chance)


def test_a_damaged_filter_is_understood_as_the_oracle_does_or_refused(
    store_of: Callable[[list[Metadata]], DocumentStore],
    answer: Callable[[DocumentStore, Any, int], list[bool]],
    holds: Callable[[Metadata, Any], bool],
) -> None:
    chance, store, messages = random.Random(20), store_of(METADATAS), list[str]()
    before = store.by_id(IDS)
    for number in range(5000):
        filter = damaged(chance)
        try:
            found = answer(store, filter, len(METADATAS))
        except FilterError as error:
            messages.append(str(error))
        else:
            assert found == [holds(metadata, filter) for metadata in METADATAS], number
    assert 1000 < len(messages) < 4000
    assert max(len(message.encode()) for message in messages) < 300
    assert not [message for message in messages if SECRET in message]
    assert store.by_id(IDS) == before
    assert [row for row, _ in store.entries()] == list(range(len(METADATAS)))


def test_an_undamaged_filter_is_understood_as_the_oracle_does(
    store_of: Callable[[list[Metadata]], DocumentStore],
    answer: Callable[[DocumentStore, Any, int], list[bool]],
    holds: Callable[[Metadata, Any], bool],
) -> None:
    chance, store, matched = random.Random(21), store_of(METADATAS), 0
    for number in range(2000):
        filter = valid_filter(chance)
        found = answer(store, filter, len(METADATAS))
        assert found == [holds(metadata, filter) for metadata in METADATAS], number
        matched += any(found) and not all(found)
    assert matched > 600
