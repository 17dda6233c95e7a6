"""Conditions on the metadata of a document: what filters are made of, and the rows that meet them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from hybridret.store.columns import Column, FieldPath, Value
from hybridret.types import BoolArray

Columns: TypeAlias = Mapping[FieldPath, Column]


@dataclass(frozen=True)
class OneOf:
    """The field is equal to one of the values, or is a list that holds one; None: it is null or missing."""

    path: FieldPath
    values: tuple[Value, ...]

    def rows(self, columns: Columns, start: int, end: int) -> BoolArray:
        """Marks the rows that meet the condition. *Shape:* (end - start,)."""
        return columns[self.path].equal_to_one(self.values, start)


@dataclass(frozen=True)
class InRange:
    """The field is of the bound's kind, text or number, and on the right side of it, or a list that holds such."""

    path: FieldPath
    operator: str
    bound: str | float

    def rows(self, columns: Columns, start: int, end: int) -> BoolArray:
        """Marks the rows that meet the condition. *Shape:* (end - start,)."""
        return columns[self.path].in_range(self.operator, self.bound, start)


@dataclass(frozen=True)
class Exists:
    """The field is there, be it null."""

    path: FieldPath

    def rows(self, columns: Columns, start: int, end: int) -> BoolArray:
        """Marks the rows that meet the condition. *Shape:* (end - start,)."""
        return columns[self.path].exists(start)


@dataclass(frozen=True)
class Not:
    """Holds exactly where a condition does not."""

    condition: Condition

    def rows(self, columns: Columns, start: int, end: int) -> BoolArray:
        """Marks the rows that meet the condition. *Shape:* (end - start,)."""
        return ~self.condition.rows(columns, start, end)


@dataclass(frozen=True)
class Joined:
    """All conditions hold, or any; of none, all do and any does not."""

    by: Literal["all", "any"]
    conditions: tuple[Condition, ...]

    def rows(self, columns: Columns, start: int, end: int) -> BoolArray:
        """Marks the rows that meet the condition. *Shape:* (end - start,)."""
        rows = np.full(end - start, self.by == "all")
        for condition in self.conditions:
            if self.by == "all":
                rows &= condition.rows(columns, start, end)
            else:
                rows |= condition.rows(columns, start, end)
        return rows


Condition: TypeAlias = OneOf | InRange | Exists | Not | Joined
"""A compiled filter; equal ones mean the same."""


def paths_of(condition: Condition) -> Iterator[FieldPath]:
    """The paths of the fields that a condition asks for, each as often as it does."""
    if isinstance(condition, Joined):
        for part in condition.conditions:
            yield from paths_of(part)
    elif isinstance(condition, Not):
        yield from paths_of(condition.condition)
    else:
        yield condition.path


def size_of(condition: Condition) -> int:
    """About how many bytes of memory a condition takes."""
    if isinstance(condition, Joined):
        return 100 + sum(map(size_of, condition.conditions))
    if isinstance(condition, Not):
        return 100 + size_of(condition.condition)
    held: Any = condition.values if isinstance(condition, OneOf) else ()
    return 200 + sum(map(sys.getsizeof, condition.path)) + _size_of_values(held)


def _size_of_values(value: Any) -> int:
    inner = sum(map(_size_of_values, value)) if isinstance(value, tuple) else 0
    return sys.getsizeof(value) + inner
