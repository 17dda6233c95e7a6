"""Metadata filters: what they may say, and the SQL that they become."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from hybridret.errors import FilterError
from hybridret.store import predicates
from hybridret.store.predicates import RANGES, Keys, Predicate, Scalar, joined, negation

Filter = Mapping[str, Any]
MOST_CONDITIONS = 1000
DEEPEST = 32
MOST_LISTED = 100_000

_NEGATED = ("$ne", "$nin")
_OF_FIELDS = ("$eq", "$ne", "$in", "$nin", *RANGES, "$exists")
_OF_FILTERS = ("$and", "$or", "$not")
_SHOWN = 60


class Condition(NamedTuple):
    """A condition on the column ``metadata``: an SQL expression that is 0 or 1, and the values of its placeholders."""

    sql: str
    values: tuple[Any, ...]


def compile_filter(filter: Filter) -> Condition:
    """Compiles a filter.

    A filter maps fields to what they must meet. All of it must hold; an empty filter holds for every document.

    - ``{"year": 2020}`` or ``{"year": {"$eq": 2020}}``: equal as in Python. Text equals text, numbers equal numbers,
      True is 1 and False is 0, None equals null and a missing field. A list or an object equals nothing.
    - ``$in``: equal to one of a list. ``$ne``, ``$nin``: the exact negation of ``$eq``, ``$in``, so they hold where the
      field is missing.
    - ``$gt``, ``$gte``, ``$lt``, ``$lte``: text against text by code points, number against number. Nothing else
      matches; a bool is no number here.
    - ``{"year": {"$exists": True}}``: the field is there, be it null. False: it is not.
    - ``{"year": {"$gte": 2000, "$lt": 2010}}``: both. ``{"year": {"$not": {"$gte": 2000, "$lt": 2010}}}``: not both.
    - ``{"$and": [filter, ...]}``, ``{"$or": [filter, ...]}``, ``{"$not": filter}``: these stand where fields stand.
    - ``{"author": {"name": "x"}}`` and ``{"author.name": "x"}`` reach into an object. Where a document has the keys as
      they are written, dots included, these are meant; else every dot leads into an object.

    Whole numbers of the metadata beyond 64 bits compare as the nearest float. A float equals itself; some versions of
    SQLite do not tell it from its neighbours in the last bit where its size is beyond 1e20 or below 1e-20.

    Args:
        filter: At most 1,000 conditions, 32 mappings one in the other, and 100,000 values in a list.

    Returns:
        The condition. Keys and values are among its values only, never in its SQL.

    Raises:
        FilterError: The filter is not of this language or exceeds a limit, a key has a double quote, or a value is no
            string, finite number of 64 bits, bool or None. The message names the field or the operator.
    """
    predicate = _Compiler().filter(filter, 1)
    return Condition(predicate.over_metadata(), predicate.values)


def is_text(value: str) -> bool:
    """Whether a string has no lone surrogates, which no database can hold."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


class _Compiler:
    """Walks one filter and counts its conditions; ``depth`` counts mappings, the outermost being 1."""

    def __init__(self) -> None:
        self._n_conditions = 0

    def filter(self, filter: object, depth: int) -> Predicate:
        if not isinstance(filter, Mapping):
            raise FilterError(f"a filter is a mapping of field to value, not {_kind(filter)}")
        _check(filter, depth)
        if not filter:
            return self._counted(predicates.ALWAYS)
        return joined("AND", [self._entry(key, value, depth) for key, value in filter.items()])

    def _entry(self, key: str, value: object, depth: int) -> Predicate:
        if not key.startswith("$"):
            return self._field((key,), value, depth + 1)
        if key == "$not":
            return negation(self.filter(value, depth + 1))
        if key not in _OF_FILTERS:
            raise _misplaced(key, "filter")
        if not isinstance(value, list | tuple) or not value:
            raise FilterError(f"{key} takes a list of one filter or more, not {_kind(value)}")
        return joined(key[1:].upper(), [self.filter(item, depth + 1) for item in value])

    def _field(self, keys: Keys, value: object, depth: int) -> Predicate:
        if not isinstance(value, Mapping):
            return self._counted(_condition(keys, "$eq", value))
        _check(value, depth)
        if not value or any(key.startswith("$") for key in value):
            return self._operators(keys, value, depth)
        return joined("AND", [self._field((*keys, key), inner, depth + 1) for key, inner in value.items()])

    def _operators(self, keys: Keys, operators: object, depth: int) -> Predicate:
        if not isinstance(operators, Mapping) or not operators:
            raise FilterError(f"{_place(keys)}: operators are a mapping of one or more, not {_kind(operators)}")
        _check(operators, depth)
        return joined("AND", [self._operator(keys, name, operand, depth) for name, operand in operators.items()])

    def _operator(self, keys: Keys, name: str, operand: object, depth: int) -> Predicate:
        if not name.startswith("$"):
            raise FilterError(f"{_place(keys)}: {_shown(name)} is no operator; fields and operators do not mix")
        if name == "$not":
            return negation(self._operators(keys, operand, depth + 1))
        if name not in _OF_FIELDS:
            raise _misplaced(name, _place(keys))
        return self._counted(_condition(keys, name, operand))

    def _counted(self, predicate: Predicate) -> Predicate:
        self._n_conditions += 1
        if self._n_conditions > MOST_CONDITIONS:
            raise FilterError(f"the filter has more than {MOST_CONDITIONS:,} conditions")
        return predicate


def _condition(keys: Keys, operator: str, operand: object) -> Predicate:
    place = f"{_place(keys)}: {operator}"
    if operator == "$exists":
        if not isinstance(operand, bool):
            raise FilterError(f"{place} takes True or False, not {_kind(operand)}")
        return predicates.exists(keys) if operand else negation(predicates.exists(keys))
    if operator in RANGES:
        if operand is None or isinstance(operand, bool):
            raise FilterError(f"{place} takes a string or a number, not {_kind(operand)}")
        return predicates.in_range(keys, operator, _scalar(operand, place))
    if operator in ("$in", "$nin"):
        if not isinstance(operand, list | tuple) or len(operand) > MOST_LISTED:
            raise FilterError(f"{place} takes a list of at most {MOST_LISTED:,} values, not {_kind(operand)}")
        found = predicates.equal_to_one(keys, [None if value is None else _scalar(value, place) for value in operand])
    else:
        found = predicates.equal(keys, None if operand is None else _scalar(operand, place))
    return negation(found) if operator in _NEGATED else found


def _scalar(value: object, place: str) -> Scalar:
    if isinstance(value, str | int | float):
        flaw = _flaw(value)
        if not flaw:
            return value
    else:
        flaw = _kind(value)
    raise FilterError(f"{place} takes a string, a finite number of at most 64 bits, a bool or None, not {flaw}")


def _flaw(value: Scalar) -> str:
    """Why a value cannot be compared, without the value itself, which may be long; empty where it can."""
    if isinstance(value, str):
        return "" if is_text(value) else "a string with lone surrogates"
    if isinstance(value, int):
        return "" if -(2**63) <= value < 2**63 else "a whole number beyond 64 bits"
    return "" if math.isfinite(value) else "NaN or infinity"


def _check(mapping: Mapping[Any, Any], depth: int) -> None:
    if depth > DEEPEST:
        raise FilterError(f"the filter is nested deeper than {DEEPEST}")
    for key in mapping:
        if not isinstance(key, str) or not is_text(key) or '"' in key:
            raise FilterError(f"filter key {_shown(key)}: keys are strings without double quotes and lone surrogates")


def _misplaced(operator: str, place: str) -> FilterError:
    if operator in _OF_FIELDS:
        return FilterError(f"{place}: {operator} belongs to a field, as in {{'year': {{{operator!r}: ...}}}}")
    if operator in _OF_FILTERS:
        return FilterError(f"{place}: {operator} stands beside fields, not inside one")
    return FilterError(f"{place}: unknown operator {_shown(operator)}; there are {', '.join(_OF_FIELDS + _OF_FILTERS)}")


def _place(keys: Keys) -> str:
    return f"filter on {_shown('.'.join(keys))}"


def _shown(key: object) -> str:
    if not isinstance(key, str):
        return f"of type {type(key).__name__}"
    return repr(key if len(key) <= _SHOWN else key[:_SHOWN] + "...")


def _kind(value: object) -> str:
    """What a value is, without the value itself, which may be long or fail to print."""
    name = type(value).__name__
    return f"{name} of length {len(value)}" if isinstance(value, list | tuple | Mapping) else name
