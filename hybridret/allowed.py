"""Which rows a search may find."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hybridret.types import BoolArray, IntArray

_T = TypeVar("_T")


class Allowed:
    """A set of rows, with what retrievers derive from it kept, so that a filter is worked out once a generation.

    Args:
        mask: *Shape:* (n_rows,), True for rows that may be found.
    """

    def __init__(self, mask: BoolArray) -> None:
        self.mask = mask
        self.count = int(mask.sum())
        self._derived: dict[int, tuple[object, Any]] = {}

    @cached_property
    def rows(self) -> IntArray:
        """The rows, ascending. *Shape:* (count,), int64."""
        return np.flatnonzero(self.mask)

    @cached_property
    def bitmap(self) -> NDArray[np.uint8]:
        """One bit a row, the lowest bit first, as FAISS selectors take it. *Shape:* (ceil(n_rows / 8),)."""
        return np.packbits(self.mask, bitorder="little")

    @property
    def n_bytes(self) -> int:
        """How much memory the set takes, with what has been derived from it."""
        held = [self.mask, *(self.__dict__[name] for name in ("rows", "bitmap") if name in self.__dict__)]
        derived = [made for _, made in list(self._derived.values()) if isinstance(made, np.ndarray)]
        return sum(array.nbytes for array in (*held, *derived))

    def derived(self, source: object, make: Callable[[BoolArray], _T]) -> _T:
        """What ``make`` gives of the mask for a source, such as a trie; made once and kept."""
        kept = self._derived.get(id(source))
        if kept is None:
            kept = self._derived[id(source)] = (source, make(self.mask))
        result: _T = kept[1]
        return result
