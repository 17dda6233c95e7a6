"""Fields of the metadata as columns of numbers, so that a filter costs array operations instead of a scan of JSON.

A column says which values the documents have under one field: the distinct values sorted, and a pair of row and code
for every value of every document. It is read from the database once, grows with the rows, and answers any filter on
the field. What a field leads to in a document follows MongoDB, "Query an Array" and "Query an Array of Embedded
Documents" of its manual (https://www.mongodb.com/docs/manual/tutorial/query-arrays/).
"""

from __future__ import annotations

import json
import sys
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybridret.errors import BundleError
from hybridret.forking import new_lock
from hybridret.store.documents import DocumentStore
from hybridret.store.metadata import decode_fields
from hybridret.types import BoolArray, IntArray

FieldPath: TypeAlias = tuple[str, ...]
"""The keys that lead to a field: as they are written, or else with every dot leading into an object."""
Value: TypeAlias = "str | float | bool | list[Any] | tuple[Any, ...] | None"
Codes: TypeAlias = NDArray[np.int32]

COLUMN_BYTES = 128 * 2**20
"""Most bytes that the columns of an index take; a field that needs more alone is read again for every filter."""
RANGES = ("$gt", "$gte", "$lt", "$lte")

_MOST_KNOWN = 10_000
_MISSING, _NULL, _FALSE, _TRUE, _OBJECT = range(5)
_N_FIXED = 5
_MOST_DIGITS, _POINTER = 10, 8
_ABSENT = object()
_PLAIN = (str, int, float)


class _List(NamedTuple):
    """A list as a value; equal lists have equal texts."""

    text: str


class Column(NamedTuple):
    """The values of one field. A value's code is its place in ``numbers``, then ``texts``, then ``lists``.

    Five codes come before: the field is missing, null, False, True, an object or a list with an object in it.

    Attributes:
        n_rows: How many rows it covers.
        rows: *Shape:* (n_values,), int32, ascending, the row that has a value.
        codes: *Shape:* (n_values,), int32, that value's code.
        numbers: Distinct whole numbers and floats, ascending.
        texts: Distinct strings, ascending by code point.
        lists: Distinct lists as JSON, ascending as strings.
        value_bytes: How much memory the values take.
    """

    n_rows: int
    rows: Codes
    codes: Codes
    numbers: list[float]
    texts: list[str]
    lists: list[str]
    value_bytes: int

    @property
    def n_bytes(self) -> int:
        """How much memory the column takes."""
        return self.rows.nbytes + self.codes.nbytes + self.value_bytes

    def equal_to_one(self, values: Sequence[Value], start: int) -> BoolArray:
        """Marks rows from ``start`` on that have one of the values. *Shape:* (n_rows - start,)."""
        chosen = self._no_codes()
        numbers, texts, lists = set[float](), set[str](), set[str]()
        for value in values:
            if value is None:
                chosen[[_MISSING, _NULL]] = True
            elif isinstance(value, str):
                texts.add(value)
            elif isinstance(value, list | tuple):
                lists.add(_canonical(value))
            else:
                numbers.add(value)
                chosen[_FALSE] |= value == 0
                chosen[_TRUE] |= value == 1
        chosen[_N_FIXED + _places(self.numbers, numbers)] = True
        chosen[self._first_text + _places(self.texts, texts)] = True
        chosen[self._first_list + _places(self.lists, lists)] = True
        return self._having(chosen, start)

    def in_range(self, operator: str, bound: str | float, start: int) -> BoolArray:
        """Marks rows from ``start`` on with a value of the bound's kind on the right side of it."""
        values: list[Any] = self.texts if isinstance(bound, str) else self.numbers
        first = self._first_text if isinstance(bound, str) else _N_FIXED
        place = (bisect_left if operator in ("$gte", "$lt") else bisect_right)(values, bound)
        low, high = (place, len(values)) if operator in ("$gt", "$gte") else (0, place)
        chosen = self._no_codes()
        chosen[first + low : first + high] = True
        return self._having(chosen, start)

    def exists(self, start: int) -> BoolArray:
        """Marks rows from ``start`` on that have the field, be it null."""
        chosen = ~self._no_codes()
        chosen[_MISSING] = False
        return self._having(chosen, start)

    def extended(self, later: Column) -> Column:
        """This column with those values of a later one that are in rows beyond its own."""
        numbers, new_numbers, *number_codes = _merged(self.numbers, later.numbers)
        texts, new_texts, *text_codes = _merged(self.texts, later.texts)
        lists, new_lists, *list_codes = _merged(self.lists, later.lists)
        value_bytes = self.value_bytes + _size_of(chain(new_numbers, new_texts, new_lists))
        fixed = np.arange(_N_FIXED)
        first_text = _N_FIXED + len(numbers)
        first_list = first_text + len(texts)
        recoded = []
        for column, *places in zip((self, later), number_codes, text_codes, list_codes, strict=True):
            new = np.concatenate([fixed, _N_FIXED + places[0], first_text + places[1], first_list + places[2]])
            recoded.append(new.astype(np.int32)[column.codes])
        rows, codes = np.concatenate([self.rows, later.rows]), np.concatenate(recoded)
        return Column(later.n_rows, rows, codes, numbers, texts, lists, value_bytes)

    @property
    def _first_text(self) -> int:
        return _N_FIXED + len(self.numbers)

    @property
    def _first_list(self) -> int:
        return self._first_text + len(self.texts)

    def _no_codes(self) -> BoolArray:
        return np.zeros(self._first_list + len(self.lists), dtype=np.bool_)

    def _having(self, chosen: BoolArray, start: int) -> BoolArray:
        first = int(np.searchsorted(self.rows, np.int32(start))) if start else 0
        mask = np.zeros(self.n_rows - start, dtype=np.bool_)
        mask[self.rows[first:][chosen[self.codes[first:]]] - start] = True
        return mask


class Columns:
    """The columns of the fields that filters ask for, those asked last, within a limit of bytes. Threads may share it.

    Args:
        most_bytes: The limit.
    """

    def __init__(self, most_bytes: int = COLUMN_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = new_lock()
        self._columns: OrderedDict[FieldPath, Column] = OrderedDict()
        self._too_large: set[FieldPath] = set()

    def held(self, paths: Iterable[FieldPath], n_rows: int) -> dict[FieldPath, Column]:
        """The columns that are held and cover the first rows, cut to them."""
        with self._lock:
            held = {path: self._columns[path] for path in paths if path in self._columns}
            for path in held:
                self._columns.move_to_end(path)
        return {path: _first_rows(column, n_rows) for path, column in held.items() if column.n_rows >= n_rows}

    def read(self, path: FieldPath, keys: IntArray, start: int, store: DocumentStore) -> Column:
        """Reads the column of a field from the database, as far as it is not held, and holds it within the limit.

        Args:
            path: The field.
            keys: *Shape:* (n_rows,), int64, ascending, the key of each row's document.
            start: The first row that matters; a column that is too large to be held is read from there on.
            store: The documents, at the generation of the rows.
        """
        with self._lock:
            before = self._columns.get(path)
            is_too_large = path in self._too_large
        if before is None:
            column = _read(path, keys, start if is_too_large else 0, store)
        elif before.n_rows < len(keys):
            column = before.extended(_read(path, keys, before.n_rows, store))
        else:
            column = before
        if before is not None or not is_too_large:
            with self._lock:
                self._hold(path, column)
        return _first_rows(column, len(keys))

    @property
    def n_bytes(self) -> int:
        """How much memory the columns take."""
        with self._lock:
            return sum(column.n_bytes for column in self._columns.values())

    def _hold(self, path: FieldPath, column: Column) -> None:
        if column.n_bytes > self._most_bytes:
            self._too_large.add(path)
            self._columns.pop(path, None)
        elif path not in self._columns or self._columns[path].n_rows < column.n_rows:
            self._columns[path] = column
            self._columns.move_to_end(path)
            while sum(each.n_bytes for each in self._columns.values()) > self._most_bytes:
                self._columns.popitem(last=False)


def _read(path: FieldPath, keys: IntArray, start: int, store: DocumentStore) -> Column:
    """Reads the column of rows from ``start`` on; what many documents have alike is looked at once."""
    forms = list(dict.fromkeys([path, tuple(".".join(path).split("."))]))
    fields = list(dict.fromkeys(form[0] for form in forms))
    given: dict[Any, int] = {}
    codes_of: dict[tuple[Any, ...], set[int]] = {}
    nothing = np.zeros(0, dtype=np.int32)
    rows, codes = [nothing], [nothing]
    for page in store.pages_of_fields(fields, keys[start:]):
        if len(codes_of) > _MOST_KNOWN:
            codes_of.clear()
        new = list({row[1:] for row in page} - codes_of.keys())
        try:
            for encoded, metadata in zip(new, decode_fields(fields, new), strict=True):
                codes_of[encoded] = {_code(value, given) for value in _values(metadata, forms)}
        except (RecursionError, TypeError, ValueError) as error:
            raise BundleError(f"the index is damaged: its metadata cannot be read: {error}") from error
        page_codes = [codes_of[row[1:]] for row in page]
        n_values = np.fromiter(map(len, page_codes), dtype=np.int64, count=len(page))
        page_rows = np.searchsorted(keys, [row[0] for row in page]).astype(np.int32)
        rows.append(np.repeat(page_rows, n_values))
        codes.append(np.fromiter(chain.from_iterable(page_codes), dtype=np.int32, count=int(n_values.sum())))
    return _sorted_column(len(keys), np.concatenate(rows), np.concatenate(codes), given)


def _code(value: Any, given: dict[Any, int]) -> int:
    """The code of a value; one that has none yet gets the next."""
    if type(value) in _PLAIN:
        return given.setdefault(value, _N_FIXED + len(given))
    if value is _ABSENT:
        return _MISSING
    if value is None:
        return _NULL
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if isinstance(value, list):
        value = None if _holds_objects(value) else _List(_canonical(value))
    if value is None or isinstance(value, dict):
        return _OBJECT
    return given.setdefault(value, _N_FIXED + len(given))


def _sorted_column(n_rows: int, rows: Codes, codes: Codes, given: dict[Any, int]) -> Column:
    """Makes a column of codes that were given in the order in which values appeared."""
    texts = sorted(value for value in given if isinstance(value, str))
    lists = sorted(value for value in given if isinstance(value, _List))
    numbers = sorted(value for value in given if not isinstance(value, str | _List))
    order = [given[value] for value in chain(numbers, texts, lists)]
    new = np.arange(_N_FIXED + len(given), dtype=np.int32)
    new[order] = np.arange(_N_FIXED, len(new), dtype=np.int32)
    columns = numbers, texts, [value.text for value in lists]
    return Column(n_rows, rows, new[codes], *columns, _size_of(chain(*columns)))


def _size_of(values: Iterable[Any]) -> int:
    """How much memory values take in a list."""
    return sum(sys.getsizeof(value) + _POINTER for value in values)


def _first_rows(column: Column, n_rows: int) -> Column:
    if column.n_rows == n_rows:
        return column
    end = int(np.searchsorted(column.rows, np.int32(n_rows)))
    return column._replace(n_rows=n_rows, rows=column.rows[:end], codes=column.codes[:end])


def _merged(values: list[Any], others: list[Any]) -> tuple[list[Any], list[Any], IntArray, IntArray]:
    """The union of two sorted lists, those that only the second has, and where the values of each are in the union."""
    new = [other for other in others if not _contains(values, other)]
    union = sorted([*values, *new]) if new else values
    before = np.array([bisect_left(values, other) for other in new], dtype=np.int64)
    own = np.arange(len(values))
    return union, new, own + np.searchsorted(before, own, side="right"), _places(union, others)


def _places(values: list[Any], wanted: Collection[Any]) -> IntArray:
    """Where those of some values that a sorted list has are in it."""
    if len(wanted) > len(values):
        places = [place for place, value in enumerate(values) if value in wanted]
    else:
        places = [bisect_left(values, each) for each in wanted if _contains(values, each)]
    return np.array(places, dtype=np.int64)


def _contains(values: list[Any], value: Any) -> bool:
    place = bisect_left(values, value)
    return place < len(values) and bool(values[place] == value)


def _values(metadata: dict[str, Any], forms: Sequence[FieldPath]) -> list[Any]:
    """All that a field has in a document: what it leads to, and the elements of that where it is a list."""
    key = forms[0][0]
    if len(forms[0]) == 1 and key in metadata:
        leaves = [metadata[key]]
    else:
        for form in forms:
            leaves = list(_leaves(metadata, form))
            if any(leaf is not _ABSENT for leaf in leaves):
                break
    return leaves + [element for leaf in leaves if isinstance(leaf, list) for element in leaf]


def _leaves(value: Any, path: FieldPath) -> Iterator[Any]:
    """What a path leads to: into objects, into each object of a list, and by a whole number to that place of a list."""
    if not path:
        yield value
    elif isinstance(value, dict):
        yield from _leaves(value[path[0]], path[1:]) if path[0] in value else (_ABSENT,)
    elif isinstance(value, list):
        for element in value:
            if isinstance(element, dict):
                yield from _leaves(element, path)
        place = _place(path[0])
        if place is not None and place < len(value):
            yield from _leaves(value[place], path[1:])
    else:
        yield _ABSENT


def _place(key: str) -> int | None:
    """The place in a list that a key means: a whole number as Python writes it."""
    is_number = key.isascii() and key.isdigit() and len(key) < _MOST_DIGITS and (key == "0" or key[0] != "0")
    return int(key) if is_number else None


def _canonical(values: Sequence[Any]) -> str:
    """A list as JSON, alike for lists that are equal in Python: 1.0 and True are written as 1."""
    return json.dumps([_canonical_value(value) for value in values])


def _canonical_value(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_canonical_value(inner) for inner in value]
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value


def _holds_objects(values: list[Any]) -> bool:
    return any(isinstance(value, dict) or (isinstance(value, list) and _holds_objects(value)) for value in values)
