"""The filter language against a plain-Python oracle, and case by case."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.errors import FilterError
from hybridret.store import DocumentStore
from hybridret.store.filters import compile_filter

Metadata = dict[str, Any]
Matching = Callable[[list[Metadata], Any], list[bool]]

NAMES = ["a", "b", "c", "a.b", "b.c", "a.b.c", "a b", "a[0]", "", ".", "ключ", "键.a", "a'b", "\\", "a\\b", "a\nb", "É"]
NAMES += ["0", "1", "a.0", "a.0.b", "b.1", "00", "-1", "10"]
NAMES += ["a\0", "a\x01", "a\x7f", "a\\u0000", "😀", "*", "#-1", "a$"]
KEYS = st.sampled_from(NAMES)
NUMBERS = [0, 1, -1, 3, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 0.5, -0.0, 1.0, 1e300, 5e-324, 2.0**53, 2.0**63]
NUMBERS += [0.1 + 0.2, 0.3, 1.2345678901234567, 12345678901234567.0, 1e22]
TEXTS = ["", "1", "true", "null", "x", "X", "猫", "\ue000", "😀", "it's", 'say "x"', "[1]", "{}", "1.0"]
TEXTS += ["a", "a\0", "a\0b", "a\x01", "a\x01\x01", "a\x01\x02", "a\x02", "\\", "a\\b", "a\nb", "\\u0000", "\\\\u0001"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(codec="utf-8"), max_size=3),
)
COMPARABLE = SCALARS.filter(lambda value: value is not None and not isinstance(value, bool))

STORED = st.recursive(
    SCALARS | st.sampled_from([None, True, 0, 1, 2, "x", "1"]) | st.sampled_from(["\ud800", "\udfff x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
METADATA = st.dictionaries(KEYS, STORED, max_size=4)
FEW = st.sampled_from([None, True, False, 0, 1, 1.0, 2, "x", "", "1"])
OPERANDS = SCALARS | FEW | st.recursive(FEW, lambda inner: st.lists(inner, max_size=2), max_leaves=4)
LISTS = st.lists(OPERANDS, max_size=4)

OPERATORS = st.deferred(
    lambda: st.fixed_dictionaries(
        {},
        optional={
            "$eq": OPERANDS,
            "$ne": OPERANDS,
            "$in": LISTS,
            "$nin": LISTS,
            "$all": LISTS,
            "$contains": OPERANDS,
            "$gt": COMPARABLE,
            "$gte": COMPARABLE,
            "$lt": COMPARABLE,
            "$lte": COMPARABLE,
            "$exists": st.booleans(),
            "$not": OPERATORS,
        },
    ).filter(bool)
)
WANTED = st.deferred(lambda: OPERANDS | OPERATORS | st.dictionaries(KEYS, WANTED, min_size=1, max_size=2))
FILTERS = st.deferred(
    lambda: (
        st.dictionaries(KEYS, WANTED, max_size=2)
        | st.fixed_dictionaries(
            {},
            optional={
                "$and": st.lists(FILTERS, min_size=1, max_size=3),
                "$or": st.lists(FILTERS, min_size=1, max_size=3),
                "$not": FILTERS,
                "a": WANTED,
            },
        )
    )
)


@settings(max_examples=600, deadline=None)
@given(st.lists(METADATA, min_size=1, max_size=6), FILTERS)
def test_a_filter_matches_as_python_compares(
    matching: Matching, holds: Callable[[Metadata, Any], bool], metadatas: list[Metadata], filter: Metadata
) -> None:
    assert matching(metadatas, filter) == [holds(metadata, filter) for metadata in metadatas]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.fixed_dictionaries({"a": STORED}), min_size=1, max_size=6), OPERATORS)
def test_operators_on_a_field_that_is_there_match_as_python_compares(
    matching: Matching, holds: Callable[[Metadata, Any], bool], metadatas: list[Metadata], operators: Metadata
) -> None:
    assert matching(metadatas, {"a": operators}) == [holds(metadata, {"a": operators}) for metadata in metadatas]


@settings(max_examples=200, deadline=None)
@given(st.floats(5e-324, 1e308), st.sampled_from([1, -1]))
def test_a_float_is_told_from_its_neighbours(
    matching: Matching, holds: Callable[[Metadata, Any], bool], size: float, sign: int
) -> None:
    value = sign * size
    metadatas = [{"a": number} for number in (math.nextafter(value, -math.inf), value, math.nextafter(value, math.inf))]
    for name in ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"):
        filter = {"a": {name: value}}
        assert matching(metadatas, filter) == [holds(metadata, filter) for metadata in metadatas]


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_of_any_size_equals_itself(matching: Matching, value: float) -> None:
    assert matching([{"a": value}], {"a": {"$eq": value, "$in": [value], "$gte": value, "$lte": value}}) == [True]
    assert matching([{"a": value}], {"$or": [{"a": {"$gt": value}}, {"a": {"$lt": value}}]}) == [False]


VALUES: list[Any] = [1, 2, 2.5, True, False, None, "b", "c", "", [1], {"x": 1}]
METADATAS: list[Metadata] = [{}, *({"a": value} for value in VALUES)]


@pytest.mark.parametrize(
    ("operators", "matched"),
    [
        ({"$eq": 1}, [1, True, [1]]),
        ({"$eq": 1.0}, [1, True, [1]]),
        ({"$eq": True}, [1, True, [1]]),
        ({"$eq": "b"}, ["b"]),
        ({"$eq": "1"}, []),
        ({"$eq": "[1]"}, []),
        ({"$eq": '{"x":1}'}, []),
        ({"$eq": [1]}, [[1]]),
        ({"$eq": (True,)}, [[1]]),
        ({"$eq": []}, []),
        ({"$eq": [1, 1]}, []),
        ({"$in": []}, []),
        ({"$in": [[1], "b"]}, ["b", [1]]),
        ({"$in": [1, 2.5]}, [1, 2.5, True, [1]]),
        ({"$all": [1]}, [1, True, [1]]),
        ({"$all": [1, 2]}, []),
        ({"$all": [[1], 1]}, [[1]]),
        ({"$all": []}, []),
        ({"$contains": 1}, [1, True, [1]]),
        ({"$contains": [1.0]}, [1, True, [1]]),
        ({"$contains": [[1]]}, [[1]]),
        ({"$contains": ()}, []),
        ({"$contains": "b"}, ["b"]),
        ({"$in": [0, "c", 7]}, [False, "c"]),
        ({"$in": ("b", 2)}, [2, "b"]),
        ({"$in": ["[1]", "true"]}, []),
        ({"$gt": 1}, [2, 2.5]),
        ({"$gte": 1}, [1, 2, 2.5, [1]]),
        ({"$lt": 2.5}, [1, 2, [1]]),
        ({"$lte": 2.5}, [1, 2, 2.5, [1]]),
        ({"$gte": -1e300}, [1, 2, 2.5, [1]]),
        ({"$gt": "b"}, ["c"]),
        ({"$gte": ""}, ["b", "c", ""]),
        ({"$lt": "b"}, [""]),
        ({"$lte": "b"}, ["b", ""]),
        ({"$gte": 1, "$lt": 2}, [1, [1]]),
        ({"$gte": 1, "$lt": "z"}, []),
    ],
)
def test_an_operator_and_its_negation(matching: Matching, operators: Metadata, matched: list[Any]) -> None:
    expected = [any(type(value) is type(each) and value == each for each in matched) for value in VALUES]
    assert matching(METADATAS, {"a": operators}) == [False, *expected]
    assert matching(METADATAS, {"a": {"$not": operators}}) == [True, *(not each for each in expected)]
    assert matching(METADATAS, {"$not": {"a": operators}}) == [True, *(not each for each in expected)]


@pytest.mark.parametrize("value", [*VALUES[:9], 7, -0.0])
def test_ne_and_nin_negate_eq_and_in(matching: Matching, value: Any) -> None:
    equal = matching(METADATAS, {"a": value})
    assert matching(METADATAS, {"a": {"$ne": value}}) == [not each for each in equal]
    assert matching(METADATAS, {"a": {"$nin": [value]}}) == [not each for each in equal]
    assert matching(METADATAS, {"a": {"$nin": []}}) == [True] * len(METADATAS)


@pytest.mark.parametrize("filter", [{"a": None}, {"a": {"$eq": None}}, {"a": {"$in": [None]}}])
def test_none_is_null_or_missing(matching: Matching, filter: Metadata) -> None:
    is_none = [metadata.get("a") is None for metadata in METADATAS]
    assert matching(METADATAS, filter) == is_none
    assert matching(METADATAS, {"$not": filter}) == [not each for each in is_none]
    assert matching(METADATAS, {"a": {"$ne": None}}) == [not each for each in is_none]
    assert matching(METADATAS, {"a": {"$nin": [None]}}) == [not each for each in is_none]


def test_none_in_a_list_is_one_of_its_values(matching: Matching) -> None:
    assert matching([{}, {"a": None}, {"a": 1}, {"a": 2}], {"a": {"$in": [2, None]}}) == [True, True, False, True]
    assert matching([{}, {"a": None}, {"a": 1}, {"a": 2}], {"a": {"$nin": [2, None]}}) == [False, False, True, False]


def test_exists_counts_null(matching: Matching) -> None:
    assert matching([{}, {"a": None}, {"a": [1]}], {"a": {"$exists": True}}) == [False, True, True]
    assert matching([{}, {"a": None}, {"a": [1]}], {"a": {"$exists": False}}) == [True, False, False]


def test_joins_and_fields_are_all_to_be_met(matching: Matching) -> None:
    metadatas: list[Metadata] = [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": 2, "b": 2}]
    assert matching(metadatas, {"a": 1, "b": 1}) == [True, False, False, False]
    assert matching(metadatas, {"$and": [{"a": 1}, {"b": 1}]}) == [True, False, False, False]
    assert matching(metadatas, {"$or": [{"a": 1}, {"b": 1}]}) == [True, True, True, False]
    assert matching(metadatas, {"$or": ({"a": 1}, {"b": 1}), "b": 2}) == [False, True, False, False]
    assert matching(metadatas, {"$or": [{"a": 1}], "$and": [{"b": 1}], "$not": {"a": 2}}) == [True, False, False, False]
    assert matching(metadatas, {"$not": {"$or": [{"a": 1}, {"b": 1}]}}) == [False, False, False, True]
    assert matching(metadatas, {"$not": {"a": 1, "b": 1}}) == [False, True, True, True]
    assert matching(metadatas, {"$not": {"$not": {"a": 1}}}) == [True, True, False, False]


def test_an_empty_filter_matches_all_and_its_negation_none(matching: Matching) -> None:
    assert matching(METADATAS, {}) == [True] * len(METADATAS)
    assert matching(METADATAS, {"$or": [{"a": 1}, {}]}) == [True] * len(METADATAS)
    assert matching(METADATAS, {"$not": {}}) == [False] * len(METADATAS)


def test_nested_keys_reach_into_objects(matching: Matching) -> None:
    metadatas: list[Metadata] = [{"a": {"b": {"c": 1}}}, {"a": {"b": 1}}, {"a": 1}, {"a": ["b", 1]}, {"b": 1}]
    for filter in ({"a": {"b": {"c": 1}}}, {"a.b.c": 1}, {"a": {"b.c": 1}}, {"a.b": {"c": {"$in": [1]}}}):
        assert matching(metadatas, filter) == [True, False, False, False, False]
    assert matching(metadatas, {"a": {"b": 1}}) == matching(metadatas, {"a.b": 1}) == [False, True, False, False, False]
    assert matching(metadatas, {"a.b": {"$ne": 1}}) == [True, False, True, True, True]
    assert matching(metadatas, {"a": {"b": {"$exists": True}}}) == [True, True, False, False, False]
    assert matching([{"a": {"b": 1, "c": 1}}, {"a": {"b": 1, "c": 2}}], {"a": {"b": 1, "c": 1}}) == [True, False]


LISTED: list[Metadata] = [
    {"t": ["x", "y"]},
    {"t": ["y", "x"]},
    {"t": "x"},
    {"t": []},
    {"t": [["x", "y"]]},
    {},
    {"t": 5},
]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"t": "x"}, [1, 1, 1, 0, 0, 0, 0]),
        ({"t": {"$ne": "x"}}, [0, 0, 0, 1, 1, 1, 1]),
        ({"t": ["x", "y"]}, [1, 0, 0, 0, 1, 0, 0]),
        ({"t": {"$ne": ["x", "y"]}}, [0, 1, 1, 1, 0, 1, 1]),
        ({"t": []}, [0, 0, 0, 1, 0, 0, 0]),
        ({"t": {"$in": ["x", 5]}}, [1, 1, 1, 0, 0, 0, 1]),
        ({"t": {"$nin": ["x", 5]}}, [0, 0, 0, 1, 1, 1, 0]),
        ({"t": {"$all": ["x", "y"]}}, [1, 1, 0, 0, 0, 0, 0]),
        ({"t": {"$contains": "y"}}, [1, 1, 0, 0, 0, 0, 0]),
        ({"t": {"$contains": ["y", "x"]}}, [1, 1, 0, 0, 0, 0, 0]),
        ({"t": {"$not": {"$contains": "y"}}}, [0, 0, 1, 1, 1, 1, 1]),
        ({"t": {"$gt": "x"}}, [1, 1, 0, 0, 0, 0, 0]),
        ({"t": None}, [0, 0, 0, 0, 0, 1, 0]),
        ({"t": {"$exists": True}}, [1, 1, 1, 1, 1, 0, 1]),
        ({"t.0": "x"}, [1, 0, 0, 0, 1, 0, 0]),
        ({"t": {"1": {"$in": ["x", "z"]}}}, [0, 1, 0, 0, 0, 0, 0]),
        ({"t.00": "x"}, [0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_lists_mean_what_they_mean_in_mongodb(matching: Matching, filter: Metadata, expected: list[int]) -> None:
    assert matching(LISTED, filter) == [bool(each) for each in expected]


def test_paths_reach_into_each_object_of_a_list(matching: Matching) -> None:
    ann, bob = {"name": "ann", "age": 30}, {"name": "bob", "age": 40}
    metadatas: list[Metadata] = [{"p": [ann, bob]}, {"p": ann}, {"p": [bob, "ann"]}, {"p": [[ann]]}, {"p": []}]
    assert matching(metadatas, {"p.name": "ann"}) == [True, True, False, False, False]
    assert matching(metadatas, {"p.name": {"$ne": "ann"}}) == [False, False, True, True, True]
    assert matching(metadatas, {"p": {"name": {"$all": ["bob", "ann"]}}}) == [True, False, False, False, False]
    assert matching(metadatas, {"p.age": {"$gt": 30}}) == [True, False, True, False, False]
    assert matching(metadatas, {"p": {"name": "ann", "age": 40}}) == [True, False, False, False, False]
    assert matching(metadatas, {"p.1.name": "bob"}) == [True, False, False, False, False]
    assert matching(metadatas, {"p.0.name": "ann"}) == [True, False, False, True, False]
    assert matching(metadatas, {"p.name": {"$exists": True}}) == [True, True, True, False, False]
    assert matching([{"p": [{"name": "ann"}, {}]}], {"p.name": None}) == [True]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["hr", "it", "hq", ""]), max_size=3) | st.sampled_from(["hr", "it"]), max_size=6),
    st.lists(st.sampled_from(["hr", "it", "hq", "", "x"]), max_size=3),
)
def test_an_access_list_lets_in_exactly_its_groups(matching: Matching, held: list[Any], wanted: list[str]) -> None:
    sets = [{groups} if isinstance(groups, str) else set(groups) for groups in held]
    metadatas: list[Metadata] = [{"groups": groups} for groups in held]
    allowed = [bool(groups & set(wanted)) for groups in sets]
    assert matching(metadatas, {"groups": {"$in": wanted}}) == allowed
    assert matching(metadatas, {"groups": {"$nin": wanted}}) == [not each for each in allowed]
    assert matching(metadatas, {"groups": {"$all": wanted}}) == [
        bool(wanted) and set(wanted) <= groups for groups in sets
    ]
    for name in wanted:
        assert matching(metadatas, {"groups": name}) == [name in groups for groups in sets]
        assert matching(metadatas, {"groups": {"$ne": name}}) == [name not in groups for groups in sets]


DAY, MOMENT = date(2024, 5, 1), datetime(2024, 5, 1, 10, 30)
ABROAD = datetime(2024, 5, 1, 10, 30, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        (DAY, "2024-05-01"),
        (MOMENT, "2024-05-01T10:30:00"),
        (MOMENT.replace(microsecond=5), "2024-05-01T10:30:00.000005"),
        (ABROAD, "2024-05-01T08:30:00+00:00"),
        (np.datetime64("2024-05-01"), "2024-05-01"),
        (np.datetime64("2024-05-01T10:30"), "2024-05-01T10:30:00"),
        (np.datetime64("2024-05-01T10:30:00.000005000"), "2024-05-01T10:30:00.000005"),
        (np.datetime64("2024-05"), "2024-05-01"),
        (np.int64(2**63 - 1), 2**63 - 1),
        (np.float32(0.1), 13421773 / 2**27),
        (np.float64(0.1), 0.1),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array([1, 2]), [1, 2]),
        (np.array(["x", "y"]), ["x", "y"]),
        (np.array(DAY), "2024-05-01"),
        ((DAY, {"d": np.int8(3)}), ["2024-05-01", {"d": 3}]),
    ],
)
def test_dates_and_numpy_values_are_held_as_documented(
    matching: Matching, store_of: Callable[[list[Metadata]], DocumentStore], stored: Any, text: Any
) -> None:
    (kept,) = store_of([{"a": stored}]).by_id(["d0"]).values()
    assert kept.metadata == {"a": text}
    assert type(kept.metadata["a"]) is type(text)
    if not isinstance(stored, tuple):
        for operand in (stored, text):
            assert matching([{"a": stored}, {"a": "other"}], {"a": operand}) == [True, False]
            assert matching([{"a": stored}, {"a": "other"}], {"a": {"$nin": [operand]}}) == [False, True]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.datetimes(timezones=st.just(timezone.utc) | st.just(timezone(timedelta(hours=-7)))), min_size=1),
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone(timedelta(hours=5)))),
)
def test_moments_are_ordered_as_in_time(matching: Matching, moments: list[datetime], bound: datetime) -> None:
    moments = [moment for moment in moments if 2 < moment.year < 9998]
    metadatas: list[Metadata] = [{"a": moment} for moment in moments]
    assert matching(metadatas, {"a": {"$gte": bound}}) == [moment >= bound for moment in moments]
    assert matching(metadatas, {"a": {"$lt": bound}}) == [moment < bound for moment in moments]
    assert matching(metadatas, {"a": bound}) == [moment == bound for moment in moments]


def test_a_key_with_a_dot_comes_before_what_the_dot_leads_to(matching: Matching) -> None:
    metadatas: list[Metadata] = [{"a.b": 1}, {"a.b": 2, "a": {"b": 1}}, {"a.b": None, "a": {"b": 1}}, {"a": {"b": 1}}]
    assert matching(metadatas, {"a.b": 1}) == [True, False, False, True]
    assert matching(metadatas, {"a.b": None}) == [False, False, True, False]
    assert matching(metadatas, {"a": {"b": 1}}) == [False, True, True, True]
    assert matching([{"x": {"a.b": 1}}, {"x": {"a": {"b": 1}}}], {"x": {"a.b": 1}}) == [True, True]


def test_text_is_ordered_by_code_points(matching: Matching) -> None:
    texts = [
        "",
        "Z",
        "a",
        "a\0",
        "a\0b",
        "a\x01",
        "a\x01\x01",
        "a\x01\x02",
        "a\x02",
        "a b",
        "é",
        "\ue000",
        "\uffff",
        "😀",
    ]
    assert texts == sorted(texts)
    for number, text in enumerate(texts):
        for name, expected in (
            ("$lt", range(number)),
            ("$lte", range(number + 1)),
            ("$gt", range(number + 1, len(texts))),
            ("$gte", range(number, len(texts))),
            ("$eq", [number]),
            ("$in", [number]),
        ):
            operand = [text] if name == "$in" else text
            found = matching([{"a": each} for each in texts], {"a": {name: operand}})
            assert [place for place, match in enumerate(found) if match] == list(expected)


def test_a_nul_hides_nothing_of_a_key_or_a_value(matching: Matching) -> None:
    assert matching([{"role": "admin\0x"}], {"role": "admin"}) == [False]
    assert matching([{"role": "admin"}], {"role": {"$in": ["admin\0x"]}}) == [False]
    assert matching([{"role\0x": "admin"}], {"role": "admin"}) == [False]


def test_metadata_with_lone_surrogates_are_filtered_by_their_other_fields(matching: Matching) -> None:
    metadatas: list[Metadata] = [{"ключ": {"é": "猫"}, "x": "\ud800"}, {"ключ.é": "猫", "\udfff": 1}, {"é": "\ud83d"}]
    assert matching(metadatas, {"ключ.é": "猫"}) == [True, True, False]
    assert matching(metadatas, {"ключ": {"é": {"$ne": "猫"}}}) == [False, True, True]
    assert matching(metadatas, {"é": {"$lt": "\ue000"}}) == [False, False, True]


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**53 + 1])
def test_large_whole_numbers_are_compared_exactly(matching: Matching, value: int) -> None:
    metadatas: list[Metadata] = [{"a": value}, {"a": value - 1 if value > 0 else value + 1}]
    assert matching(metadatas, {"a": value}) == [True, False]
    assert matching(metadatas, {"a": {"$in": [value]}}) == [True, False]
    assert matching(metadatas, {"a": {"$gt" if value < 0 else "$lt": value}}) == [False, True]


def test_whole_numbers_beyond_64_bits_are_compared_exactly(matching: Matching) -> None:
    metadatas: list[Metadata] = [{"a": 2**64 + 1}, {"a": -(10**400)}, {"a": 2**64}]
    assert matching(metadatas, {"a": {"$gt": 2**63 - 1}}) == [True, False, True]
    assert matching(metadatas, {"a": 2.0**64}) == [False, False, True]
    assert matching(metadatas, {"a": {"$lt": -1e308}}) == [False, True, False]


def test_kinds_of_mappings_and_of_values_that_count_as_the_plain_ones(matching: Matching) -> None:
    class Year(enum.IntEnum):
        NOW = 2020

    filter = MappingProxyType({"a": MappingProxyType({"$in": (Year.NOW,)})})
    assert matching([{"a": 2020}, {"a": 2021}], filter) == [True, False]


def test_deleted_rows_and_rows_beyond_the_generation_do_not_match(
    store_of: Callable[[list[Metadata]], DocumentStore], answer: Callable[[DocumentStore, Any, int], list[bool]]
) -> None:
    store = store_of([{"a": 1}] * 4)
    store.delete([1], 1)
    assert answer(store, {"a": 1}, 3) == [True, False, True]


def test_conditions_can_be_keys_of_a_cache() -> None:
    first, second = ({"a": {"$in": [1, "x", None]}, "$or": [{"b": {"$gt": 1}}]} for _ in range(2))
    assert {compile_filter(first): 1} == {compile_filter(second): 1}
    different = [{"a": 1}, {"a": "1"}, {"a": [1]}, {"a": [[1]]}, {"a": None}, {"a": {"$exists": True}}, {"b": 1}]
    different += [{"a": {"$in": [1, None]}}, {"$not": {"a": 1}}, {"a": {"$gt": 1}}, {"a": {"$gte": 1}}, {"a.b": 1}]
    assert len({compile_filter(filter) for filter in different}) == len(different)


@pytest.mark.parametrize("word", ["$or", "$and"])
def test_a_thousand_conditions_work_and_no_more(matching: Matching, word: str) -> None:
    metadatas: list[Metadata] = [{"a.b": 999}, {"a": {"b": 0}}, {"a": {"b": 1000}}, {}]
    sign, expected = ("$eq", [True, True, False, False]) if word == "$or" else ("$ne", [False, False, True, True])
    filter = {word: [{"a.b": {sign: number}} for number in range(1000)]}
    assert matching(metadatas, filter) == expected
    with pytest.raises(FilterError, match="more than 1,000 conditions"):
        compile_filter({**filter, "b": 1})
    with pytest.raises(FilterError, match="more than 1,000 conditions"):
        compile_filter({str(number): number for number in range(1001)})
    assert matching([{"a": list(range(1000))}, {"a": [0]}], {"a": {"$all": list(range(1000))}}) == [True, False]
    with pytest.raises(FilterError, match="more than 1,000 conditions"):
        compile_filter({"a": {"$all": list(range(1001))}})


def test_filters_that_share_parts_are_counted_in_full() -> None:
    filter: Metadata = {}
    for _ in range(30):
        filter = {"$or": [filter, filter]}
    with pytest.raises(FilterError, match="conditions"):
        compile_filter(filter)


def nested(step: Callable[[Any], Metadata], innermost: Any, steps: int) -> Any:
    for _ in range(steps):
        innermost = step(innermost)
    return innermost


IN = {"$in": ["x", None]}
WIDE = {"$or": [{"é.b": {"$nin": ["x", None]}} for _ in range(900)]}


@pytest.mark.parametrize(
    ("step", "innermost", "levels"),
    [
        (lambda inner: {"$not": inner}, {"a": 1}, 1),
        (lambda inner: {"$and": [inner]}, {"a": 1}, 1),
        (lambda inner: {"x": 1, "$or": [{"y": 2}, inner]}, {"é.b": IN}, 2),
        (lambda inner: {"$or": [inner, {"y": 2}], "x": 1}, {"é.b": IN}, 2),
        (lambda inner: {"x": 1, "$not": inner}, {"é.b": IN}, 2),
        (lambda inner: {"x": 1, "$or": [{"y": 2}, inner]}, WIDE, 3),
        (lambda inner: {"x": 1, "$or": [{"$not": {"y": 2}}, inner, {"$or": [{"z": 3}]}]}, {"é.b": IN}, 2),
        (lambda inner: {"k.é": inner}, 1, 0),
        (lambda inner: {"a": {"$not": inner["a"]}}, {"a": {"$exists": False}}, 2),
    ],
)
def test_mappings_32_deep_work_and_no_deeper(
    matching: Matching,
    holds: Callable[[Metadata, Any], bool],
    step: Callable[[Any], Metadata],
    innermost: Any,
    levels: int,
) -> None:
    filter = nested(step, innermost, 32 - levels)
    metadatas: list[Metadata] = [{}, {"x": 1}, {"x": 1, "y": 2}, {"é": {"b": "x"}, "x": 1}, {"a": None}]
    assert matching(metadatas, filter) == [holds(metadata, filter) for metadata in metadatas]
    with pytest.raises(FilterError, match="nested deeper than 32"):
        compile_filter(step(filter))


def test_a_list_of_100_000_values_works_and_no_longer(matching: Matching) -> None:
    metadatas: list[Metadata] = [{"a": 49_999}, {"a": 50_000}, {"a": "49999"}, {"a": "x49999"}, {}]
    for values in (range(50_000), range(-50_000, 50_000)):
        listed: list[Any] = list(values)
        assert matching(metadatas, {"a": {"$in": listed}}) == [True, False, False, False, False]
        assert matching(metadatas, {"a": {"$nin": listed}}) == [False, True, True, True, True]
    texts = [f"x{number}" for number in range(50_000)]
    assert matching(metadatas, {"a": {"$in": [*texts, None]}}) == [False, False, False, True, True]
    with pytest.raises(FilterError, match=r"filter on 'a': \$in takes a list of at most 100,000 values"):
        compile_filter({"a": {"$in": list(range(100_001))}})


def cyclic(kind: str) -> Any:
    filter: Metadata = {}
    filter[kind] = {"$and": [filter], "$in": filter, "$not": filter, "a": filter}[kind]
    return {"a": {"$in": filter}} if kind == "$in" else filter


def cyclic_list() -> Any:
    listed: list[Any] = []
    listed.append(listed)
    return listed


def shared_lists() -> Any:
    """2**30 values in 30 lists."""
    listed: list[Any] = [1]
    for _ in range(30):
        listed = [listed, listed]
    return listed


KNOWN = r"\$eq, \$ne, \$in, \$nin, \$gt, \$gte, \$lt, \$lte, \$all, \$contains, \$exists, \$and, \$or, \$not$"


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        (["a"], "a filter is a mapping of field to value, not list"),
        ("a", "not str"),
        (5, "not int"),
        (None, "not NoneType"),
        ({1: "a"}, "filter key of type int"),
        ({("a",): 1}, "filter key of type tuple"),
        ({None: 1}, "filter key of type NoneType"),
        ({10**5000: 1}, "filter key of type int"),
        ({'a"b': 3}, "double quotes"),
        ({"a": {'b"c': 3}}, "double quotes"),
        ({"a": {"$not": {'$"': 3}}}, "double quotes"),
        ({"\ud800": 1}, "lone surrogates"),
        ({"a": {"\ud800": 1}}, "lone surrogates"),
        ({"k" * 1000: object()}, r"^.{1,200}$"),
        ({"$near": 3}, r"unknown operator '\$near'; there are " + KNOWN),
        ({"$": 3}, r"unknown operator '\$'"),
        ({"a": {"$near": 3}}, r"filter on 'a': unknown operator '\$near'; there are " + KNOWN),
        ({"a": {"$EQ": 3}}, "unknown operator"),
        ({"$gte": 3}, r"\$gte belongs to a field"),
        ({"$exists": True}, r"\$exists belongs to a field"),
        ({"a": {"$or": [{"b": 1}]}}, r"filter on 'a': \$or stands beside fields"),
        ({"a": {"$and": [{"$gt": 1}]}}, r"filter on 'a': \$and stands beside fields"),
        ({"a": {"$gt": 1, "b": 1}}, "filter on 'a': 'b' is no operator; fields and operators do not mix"),
        ({"a": {"b": 1, "$gt": 1}}, "do not mix"),
        ({"a": {"b": {"$gt": 1, "c": 1}}}, "filter on 'a.b': 'c' is no operator"),
        ({"a": {"$not": {"b": 1}}}, "'b' is no operator"),
        ({"a": {}}, "filter on 'a': operators are a mapping of one or more, not dict of length 0"),
        ({"a": {"$not": {}}}, "filter on 'a': operators are a mapping of one or more"),
        ({"a": {"$not": 5}}, "filter on 'a': operators are a mapping of one or more, not int"),
        ({"a": {"$not": [{"$gt": 5}]}}, "not list of length 1"),
        ({"$and": []}, r"\$and takes a list of one filter or more, not list of length 0"),
        ({"$or": ()}, r"\$or takes a list of one filter or more"),
        ({"$or": {"a": 1}}, r"\$or takes a list of one filter or more, not dict"),
        ({"$and": "ab"}, r"\$and takes a list"),
        ({"$and": [1]}, "a filter is a mapping"),
        ({"$or": [{"a": 1}, None]}, "a filter is a mapping"),
        ({"$or": [[{"a": 1}]]}, "a filter is a mapping"),
        ({"$not": [{"a": 1}]}, "a filter is a mapping"),
        ({"$not": None}, "a filter is a mapping"),
        ({"a": [{}]}, r"filter on 'a': \$eq takes a string, a finite number .*, not dict of length 0"),
        ({"a": {"b": ({"c": 1},)}}, "filter on 'a.b'"),
        ({"a": {"$ne": [1, [b"x"]]}}, r"filter on 'a': \$ne .* not bytes"),
        ({"a": {"$all": 1}}, r"filter on 'a': \$all takes a list of at most 100,000 values, not int"),
        ({"a": {"$contains": {"b": 1}}}, r"filter on 'a': \$contains takes a string, .* not dict"),
        ({"a": {"$elemMatch": {"b": 1}}}, r"filter on 'a': unknown operator '\$elemMatch'; there are " + KNOWN),
        ({"a": {"$size": 1}}, r"filter on 'a': unknown operator '\$size'; there are " + KNOWN),
        ({"a": cyclic_list()}, "filter on 'a': .eq: the filter is nested deeper than 32"),
        ({"a": {"$in": cyclic_list()}}, "filter on 'a': .in: the filter is nested deeper than 32"),
        ({"a": list(range(100_001))}, r"\$eq takes a list of at most 100,000 values"),
        ({"a": {"$contains": [shared_lists()]}}, r"\$all takes a list of at most 100,000 values|\$contains takes"),
        ({"a": np.timedelta64(1, "D")}, "not timedelta64"),
        ({"a": np.datetime64("NaT")}, r"not no time \(NaT\)"),
        ({"a": timedelta(1)}, "not timedelta"),
        ({"a": Decimal(1)}, "not Decimal"),
        ({"a": np.float64(math.nan)}, "NaN or infinity"),
        ({"a": np.uint64(2**63)}, "a whole number beyond 64 bits"),
        ({"a": {"$gt": np.bool_(True)}}, r"\$gt takes a string or a number, not bool"),
        ({"a": {"$eq": {"b": 1}}}, r"filter on 'a': \$eq .* not dict"),
        ({"a": object()}, "not object"),
        ({"a": b"x"}, "not bytes"),
        ({"a": 1j}, "not complex"),
        ({"a": 2**63}, "a whole number beyond 64 bits"),
        ({"a": -(2**63) - 1}, "a whole number beyond 64 bits"),
        ({"a": 10**5000}, "a whole number beyond 64 bits"),
        ({"a": math.nan}, "NaN or infinity"),
        ({"a": math.inf}, "NaN or infinity"),
        ({"a": {"$lt": -math.inf}}, r"filter on 'a': \$lt .* NaN or infinity"),
        ({"a": {"$in": [1, math.nan]}}, r"filter on 'a': \$in .* NaN or infinity"),
        ({"a": "\ud800"}, "lone surrogates"),
        ({"a": {"$in": ["x", "\udfff"]}}, r"filter on 'a': \$in .* lone surrogates"),
        ({"a": {"$in": [[{}]]}}, "not dict"),
        ({"a": {"$in": "abc"}}, r"filter on 'a': \$in takes a list"),
        ({"a": {"$in": {"b": 1}}}, r"\$in takes a list"),
        ({"a": {"$in": {1, 2}}}, r"\$in takes a list .* not set"),
        ({"a": {"$nin": None}}, r"filter on 'a': \$nin takes a list"),
        ({"a": {"$gt": None}}, r"filter on 'a': \$gt takes a string or a number, not NoneType"),
        ({"a": {"$lte": True}}, r"filter on 'a': \$lte takes a string or a number, not bool"),
        ({"a": {"$gte": [1]}}, r"filter on 'a': \$gte"),
        ({"a": {"$lt": 2**63}}, "beyond 64 bits"),
        ({"a": {"$exists": 1}}, r"filter on 'a': \$exists takes True or False, not int"),
        ({"a": {"$exists": None}}, r"\$exists takes True or False"),
        (cyclic("$and"), "nested deeper than 32"),
        (cyclic("$not"), "nested deeper than 32"),
        (cyclic("a"), "nested deeper than 32"),
        (cyclic("$in"), r"\$in takes a list"),
    ],
)
def test_what_cannot_be_understood_is_refused(filter: Any, message: str) -> None:
    with pytest.raises(FilterError, match=message) as refused:
        compile_filter(filter)
    assert len(str(refused.value).encode()) < 300
