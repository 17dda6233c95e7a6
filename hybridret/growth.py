"""Growing without copying everything: segments that merge now and then, and matrices with room at their end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybridret.forking import new_lock
from hybridret.types import FloatArray

_SPARE = 4


def kept_segments(sizes: Sequence[int], n_new: int) -> int:
    """How many of the leading segments stay as they are when new rows come; the others merge with the new rows.

    A segment merges with what follows it while that is more than half its size. So each segment is at least twice as
    large as the next, their number grows with the logarithm of the rows, and each row is copied that often (O'Neil et
    al., "The Log-Structured Merge-Tree", 1996).

    Args:
        sizes: Rows of each segment, the oldest first.
        n_new: How many rows come.

    Returns:
        A number from 0 to ``len(sizes)``.
    """
    kept, merged = len(sizes), n_new
    while kept and sizes[kept - 1] < 2 * merged:
        kept -= 1
        merged += sizes[kept]
    return kept


class GrowingMatrix:
    """Rows of float32 in a buffer with room for more; views given before stay as they are.

    Args:
        rows: *Shape:* (n, dimension), float32.
    """

    def __init__(self, rows: FloatArray) -> None:
        self._buffer = rows
        self._used = len(rows)
        self._lock = new_lock()

    def appended(self, rows: FloatArray, new: FloatArray) -> FloatArray:
        """Rows and new ones after them: in place where ``rows`` is all that was put here, else in a copy.

        Args:
            rows: *Shape:* (n_rows, dimension), float32, what was given here or by an earlier call.
            new: *Shape:* (n_new, dimension), float32.

        Returns:
            *Shape:* (n_rows + n_new, dimension), float32.
        """
        n_rows, total = len(rows), len(rows) + len(new)
        with self._lock:
            is_all = n_rows == self._used and (rows is self._buffer or rows.base is self._buffer)
            if not is_all or total > len(self._buffer):
                self._buffer = np.empty((total + total // _SPARE, new.shape[1]), dtype=np.float32)
                self._buffer[:n_rows] = rows
            self._buffer[n_rows:total] = new
            self._used = total
            return self._buffer[:total]
