"""Predicates on the metadata of a document, in SQL: what filters are made of.

Each is 0 or 1, never NULL, so that its negation is exact. Both sides of a comparison go through SQLite's JSON parser,
so that equal floats are equal. SQLite 3.40 cuts a JSON string at NUL and compares keys as they are escaped, so NUL,
U+0001 and the backslash are spelt anew, alike on both sides and in a way that keeps equality and order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple, TypeAlias

Keys: TypeAlias = tuple[str, ...]
Scalar: TypeAlias = str | float

RANGES = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_TEXT, _NUMBER = "'text'", "'integer', 'real'"
_ANY = f"{_TEXT}, {_NUMBER}, 'true', 'false'"
_DOC = r"replace(replace(replace(metadata, '\\', '\u005c'), '\u0001', '\u0001\u0002'), '\u0000', '\u0001\u0001')"


class Predicate(NamedTuple):
    """SQL over ``doc``, a document's metadata.

    Attributes:
        sql: The expression.
        values: The values of its placeholders.
        word: What joins it outermost: AND, OR, or nothing that needs parentheses.
        stacked: How many entries its joins take on the stack of SQLite's parser.
    """

    sql: str
    values: tuple[str, ...]
    word: str = ""
    stacked: int = 0

    def over_metadata(self) -> str:
        """The expression over the column ``metadata``."""
        return f"(SELECT {self.sql} FROM (SELECT {_DOC} AS doc))"


ALWAYS = Predicate("1", ())


def equal(keys: Keys, value: Scalar | None) -> Predicate:
    """The field has the value; None: it is null or missing."""
    if value is None:
        return _asked("(json_extract(doc, {}) IS NULL)", keys)
    return _compared(keys, _ANY, "= json_extract(?, '$')", _spelt(value))


def equal_to_one(keys: Keys, values: Sequence[Scalar | None]) -> Predicate:
    """The field has one of the values."""
    present = [_spelt(value) for value in values if value is not None]
    listed = _compared(keys, _ANY, "IN (SELECT value FROM json_each(?))", present)
    return listed if len(present) == len(values) else joined("OR", [listed, equal(keys, None)])


def in_range(keys: Keys, operator: str, value: Scalar) -> Predicate:
    """The field is of the value's kind, text or number, and on the right side of it."""
    types = _TEXT if isinstance(value, str) else _NUMBER
    return _compared(keys, types, f"{RANGES[operator]} json_extract(?, '$')", _spelt(value))


def exists(keys: Keys) -> Predicate:
    """The field is there, be it null."""
    return _asked("(json_type(doc, {}) IS NOT NULL)", keys)


def negation(predicate: Predicate) -> Predicate:
    """What holds exactly where the predicate does not."""
    negated = _parenthesised(predicate) if predicate.word else predicate
    return negated._replace(sql=f"{negated.sql} = 0")


def joined(word: str, predicates: Sequence[Predicate]) -> Predicate:
    """Joins one predicate or more by AND or OR.

    SQLite 3.40 takes expressions 1,000 deep and has 100 entries on its parser's stack. So the two that stack least are
    joined first, the deeper one stands left, where nothing waits for it, and parentheses are few.
    """
    heap = [(predicate.stacked, number, predicate) for number, predicate in enumerate(predicates)]
    heapify(heap)
    for number in range(len(predicates), 2 * len(predicates) - 1):
        low, high = heappop(heap)[-1], heappop(heap)[-1]
        both = _pair(high, word, low)
        heappush(heap, (both.stacked, number, both))
    return heap[0][-1]


def _pair(left: Predicate, word: str, right: Predicate) -> Predicate:
    if (left.word, word) == ("OR", "AND"):
        left = _parenthesised(left)
    if right.word and (right.word, word) != ("AND", "OR"):
        right = _parenthesised(right)
    stacked = max(left.stacked, right.stacked + 2)
    return Predicate(f"{left.sql} {word} {right.sql}", left.values + right.values, word, stacked)


def _parenthesised(predicate: Predicate) -> Predicate:
    return Predicate(f"({predicate.sql})", predicate.values, stacked=predicate.stacked + 1)


def _compared(keys: Keys, types: str, comparison: str, operand: Scalar | list[Scalar]) -> Predicate:
    sql = f"coalesce(json_type(doc, {{}}) IN ({types}) AND json_extract(doc, {{}}) {comparison}, 0)"
    return _asked(sql, keys, json.dumps(operand, ensure_ascii=False))


def _asked(template: str, keys: Keys, *operands: str) -> Predicate:
    """Puts the path of a field in place of each ``{}``: the first of its paths that the document has."""
    paths = _paths(keys)
    choice = "WHEN json_type(doc, ?) IS NOT NULL THEN ? " * (len(paths) - 1)
    values = [*(path for path in paths[:-1] for _ in range(2)), paths[-1]] * template.count("{}")
    return Predicate(template.replace("{}", f"CASE {choice}ELSE ? END" if choice else "?"), (*values, *operands))


def _paths(keys: Keys) -> list[str]:
    """The paths of a field: keys as they are, then split at dots.

    Documents with lone surrogates are stored with all that is not ASCII escaped, so both spellings of a key are asked.
    """
    forms = (keys, tuple(".".join(keys).split(".")))
    return list(dict.fromkeys(_path(form, escaped) for form in forms for escaped in (False, True)))


def _path(keys: Keys, escaped: bool) -> str:
    spelt = (json.dumps(_spelt(key), ensure_ascii=escaped).replace("\\\\", "\\u005c") for key in keys)
    return "$" + "".join("." + key for key in spelt)


def _spelt(value: Scalar) -> Scalar:
    return value.replace("\x01", "\x01\x02").replace("\0", "\x01\x01") if isinstance(value, str) else value
