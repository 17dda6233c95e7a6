"""Metadata filters: what they may say, and the conditions that they become."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any, TypeGuard

import numpy as np

from hybridret.errors import FilterError
from hybridret.store.columns import RANGES, FieldPath, Value
from hybridret.store.metadata import is_text, plain_scalar
from hybridret.store.predicates import Condition, Exists, InRange, Joined, Not, OneOf, paths_of

Filter = Mapping[str, Any]
MOST_CONDITIONS = 1000
DEEPEST = 32
MOST_LISTED = 100_000

_OF_FIELDS = ("$eq", "$ne", "$in", "$nin", *RANGES, "$all", "$contains", "$exists")
_OF_FILTERS = ("$and", "$or", "$not")
_SHOWN = 60
_SCALARS = "a string, a finite number of at most 64 bits, a bool, None or a date"


def compile_filter(filter: Filter) -> Condition:
    """Compiles a filter.

    A filter maps fields to what they must meet. All of it must hold; an empty filter holds for every document. Lists
    mean what they mean in MongoDB (https://www.mongodb.com/docs/manual/tutorial/query-arrays/): a condition holds for
    a list if it holds for the list as a whole or for one of its elements.

    ============================  ========================================  ==========================================
    Filter                        Holds where the field                     Of a list
    ============================  ========================================  ==========================================
    ``{"a": 1}``, ``$eq``         equals it as in Python: True is 1; None   holds it
                                  is null or missing
    ``{"a": ["x", "y"]}``         equals it, in this order                  is it, or holds this list
    ``{"a": {"$in": [1, 2]}}``    equals one of them                        holds one of them
    ``{"a": {"$ne": 1}}``         not ``$eq``: also where it is missing     does not hold it
    ``{"a": {"$nin": [1, 2]}}``   not ``$in``: also where it is missing     holds none of them
    ``$gt $gte $lt $lte``         is on that side: text against text by     holds a value on that side
                                  code points, number against number; a
                                  bool is no number here
    ``{"a": {"$all": [1, 2]}}``   equals each of them; of none: never       holds each of them
    ``{"a": {"$contains": 1}}``   equals it; with a list: as ``$all``;      holds it; with a list: as ``$all``
                                  never a part of a string
    ``{"a": {"$exists": True}}``  is there, be it null; False: is not       is there, be it empty
    ============================  ========================================  ==========================================

    - ``{"year": {"$gte": 2000, "$lt": 2010}}``: both, each for any element of a list.
      ``{"year": {"$not": {"$gte": 2000, "$lt": 2010}}}``: not both.
    - ``{"$and": [filter, ...]}``, ``{"$or": [filter, ...]}``, ``{"$not": filter}``: these stand where fields stand.
    - ``{"author": {"name": "x"}}`` and ``{"author.name": "x"}`` reach into an object, into each object of a list, and
      ``{"authors.0": "x"}`` to a place of a list. Where a document has the keys as they are written, dots included,
      these are meant; else every dot leads into an object. Lists in lists are not looked into, and an object equals
      nothing. Two conditions may be met by two objects of one list: that one object meets both cannot be asked.
    - Dates and numpy's values stand for what they become in stored metadata, see ``plain_scalar``.

    Args:
        filter: At most 1,000 conditions (each value of ``$all`` is one), 32 mappings or lists one in the other, and
            100,000 values in a list.

    Returns:
        The condition.

    Raises:
        FilterError: The filter is not of this language or exceeds a limit, a key has a double quote, or a value is of
            no kind that metadata hold, or a number of more than 64 bits. The message names the field or the operator.
    """
    return _Compiler().filter(filter, 1)


def fields_of(filter: Filter) -> list[str]:
    """The names of the fields that a filter asks for, in its order, those in objects with dots.

    Raises:
        FilterError: As ``compile_filter``.
    """
    return list(dict.fromkeys(".".join(path) for path in paths_of(compile_filter(filter))))


class _Compiler:
    """Walks one filter and counts its conditions; ``depth`` counts mappings, the outermost being 1."""

    def __init__(self) -> None:
        self._n_conditions = 0

    def filter(self, filter: object, depth: int) -> Condition:
        if not isinstance(filter, Mapping):
            raise FilterError(f"a filter is a mapping of field to value, not {_kind(filter)}")
        _check(filter, depth)
        if not filter:
            return self._counted(Joined("all", ()))
        return _all(self._entry(key, value, depth) for key, value in filter.items())

    def _entry(self, key: str, value: object, depth: int) -> Condition:
        if not key.startswith("$"):
            return self._field((key,), value, depth + 1)
        if key == "$not":
            return Not(self.filter(value, depth + 1))
        if key not in _OF_FILTERS:
            raise _misplaced(key, "filter")
        if not isinstance(value, list | tuple) or not value:
            raise FilterError(f"{key} takes a list of one filter or more, not {_kind(value)}")
        return Joined("all" if key == "$and" else "any", tuple(self.filter(item, depth + 1) for item in value))

    def _field(self, path: FieldPath, value: object, depth: int) -> Condition:
        if not isinstance(value, Mapping):
            return self._counted(_condition(path, "$eq", value))
        _check(value, depth)
        if not value or any(key.startswith("$") for key in value):
            return self._operators(path, value, depth)
        return _all(self._field((*path, key), inner, depth + 1) for key, inner in value.items())

    def _operators(self, path: FieldPath, operators: object, depth: int) -> Condition:
        if not isinstance(operators, Mapping) or not operators:
            raise FilterError(f"{_place(path)}: operators are a mapping of one or more, not {_kind(operators)}")
        _check(operators, depth)
        return _all(self._operator(path, name, operand, depth) for name, operand in operators.items())

    def _operator(self, path: FieldPath, name: str, operand: object, depth: int) -> Condition:
        if not name.startswith("$"):
            raise FilterError(f"{_place(path)}: {_shown(name)} is no operator; fields and operators do not mix")
        if name == "$not":
            return Not(self._operators(path, operand, depth + 1))
        if name not in _OF_FIELDS:
            raise _misplaced(name, _place(path))
        return self._counted(_condition(path, name, operand))

    def _counted(self, condition: Condition) -> Condition:
        self._n_conditions += max(1, sum(1 for _ in paths_of(condition)))
        if self._n_conditions > MOST_CONDITIONS:
            raise FilterError(f"the filter has more than {MOST_CONDITIONS:,} conditions")
        return condition


def _all(conditions: Iterable[Condition]) -> Condition:
    several = tuple(conditions)
    return several[0] if len(several) == 1 else Joined("all", several)


def _condition(path: FieldPath, operator: str, operand: object) -> Condition:
    place = f"{_place(path)}: {operator}"
    if operator == "$exists":
        if not isinstance(operand, bool):
            raise FilterError(f"{place} takes True or False, not {_kind(operand)}")
        return Exists(path) if operand else Not(Exists(path))
    if operator in RANGES:
        if operand is None or isinstance(operand, bool | np.bool_):
            raise FilterError(f"{place} takes a string or a number, not {_kind(operand)}")
        bound: Any = _scalar(operand, place)
        return InRange(path, operator, bound)
    if operator in ("$in", "$nin", "$all"):
        values = _listed(operand, place)
    elif operator == "$contains" and _is_list(operand):
        operator, values = "$all", _listed(operand, place)
    else:
        values = (_value(operand, place, count(), 1),)
    if operator == "$all":
        parts = tuple(OneOf(path, (value,)) for value in values)
        return Joined("all", parts) if parts else Joined("any", ())
    return Not(OneOf(path, values)) if operator in ("$ne", "$nin") else OneOf(path, values)


def _is_list(value: object) -> TypeGuard[Iterable[object]]:
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _listed(operand: object, place: str) -> tuple[Value, ...]:
    if not _is_list(operand):
        raise FilterError(f"{place} takes a list of at most {MOST_LISTED:,} values, not {_kind(operand)}")
    counter = count()
    return tuple(_value(value, place, counter, 2) for value in operand)


def _value(operand: object, place: str, counter: Iterator[int], depth: int) -> Value:
    """A value, lists as tuples; the counter counts all values and lists of them."""
    if next(counter) >= MOST_LISTED:
        raise FilterError(f"{place} takes a list of at most {MOST_LISTED:,} values, not a longer one")
    if not _is_list(operand):
        return _scalar(operand, place)
    if depth > DEEPEST:
        raise FilterError(f"{place}: the filter is nested deeper than {DEEPEST}")
    return tuple(_value(value, place, counter, depth + 1) for value in operand)


def _scalar(operand: object, place: str) -> str | float | bool | None:
    try:
        value = plain_scalar(operand)
        flaw = _flaw(value)
    except TypeError:
        flaw = _kind(operand)
    except ValueError as error:
        flaw = str(error)
    if flaw:
        raise FilterError(f"{place} takes {_SCALARS}, not {flaw}")
    return value


def _flaw(value: object) -> str:
    """Why a value cannot be compared, without the value itself, which may be long; empty where it can."""
    if isinstance(value, str):
        return "" if is_text(value) else "a string with lone surrogates"
    return "a whole number beyond 64 bits" if isinstance(value, int) and not -(2**63) <= value < 2**63 else ""


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


def _place(path: FieldPath) -> str:
    return f"filter on {_shown('.'.join(path))}"


def _shown(key: object) -> str:
    if not isinstance(key, str):
        return f"of type {type(key).__name__}"
    return repr(key if len(key) <= _SHOWN else key[:_SHOWN] + "...")


def _kind(value: object) -> str:
    """What a value is, without the value itself, which may be long or fail to print."""
    name = type(value).__name__
    return f"{name} of length {len(value)}" if isinstance(value, list | tuple | Mapping) else name
