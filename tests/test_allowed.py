"""Sets of rows: what is derived from a mask is what the mask says, and is worked out once."""

from __future__ import annotations

import gc
import weakref

import faiss
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hybridret.allowed import Allowed
from hybridret.types import BoolArray

MASKS = st.lists(st.booleans(), max_size=70)


class Source:
    """Something that rows are derived for."""


@settings(deadline=None, max_examples=150)
@given(MASKS)
@example([])
@example([True] * 8)
@example([False] * 9)
def test_count_rows_and_bitmap_say_what_the_mask_says(mask: list[bool]) -> None:
    allowed = Allowed(np.array(mask, dtype=np.bool_))
    rows = [row for row, is_allowed in enumerate(mask) if is_allowed]
    assert allowed.rows.tolist() == rows
    assert allowed.rows.dtype == np.int64
    assert allowed.count == len(rows)
    assert allowed.bitmap.dtype == np.uint8
    assert len(allowed.bitmap) == -(-len(mask) // 8)
    assert [row for row in range(8 * len(allowed.bitmap)) if allowed.bitmap[row // 8] >> row % 8 & 1] == rows


@settings(deadline=None, max_examples=60)
@given(MASKS)
def test_a_faiss_selector_takes_the_bitmap_as_the_mask_and_hides_later_rows(mask: list[bool]) -> None:
    n_rows = len(mask) + 20
    index = faiss.IndexFlatIP(1)
    index.add(np.ones((n_rows, 1), dtype=np.float32))
    selector = faiss.IDSelectorBitmap(Allowed(np.array(mask, dtype=np.bool_)).bitmap)
    _, found = index.search(np.ones((1, 1), dtype=np.float32), n_rows, params=faiss.SearchParameters(sel=selector))
    assert sorted(found[found >= 0].tolist()) == np.flatnonzero(mask).tolist()


def test_rows_and_bitmap_are_worked_out_once() -> None:
    allowed = Allowed(np.array([True, False, True]))
    assert allowed.rows is allowed.rows
    assert allowed.bitmap is allowed.bitmap


def test_what_is_derived_is_made_once_for_each_source() -> None:
    allowed, made = Allowed(np.array([True, False, True, True])), []
    one, other = Source(), Source()

    def doubled(mask: BoolArray) -> int:
        made.append(mask)
        return 2 * int(mask.sum())

    def negated(mask: BoolArray) -> list[bool]:
        made.append(mask)
        return (~mask).tolist()

    for _ in range(3):
        assert allowed.derived(one, doubled) == 6
        assert allowed.derived(other, negated) == [False, True, False, False]
    assert len(made) == 2
    assert all(mask is allowed.mask for mask in made)


def test_nothing_may_be_derived_and_is_kept_like_anything() -> None:
    made: list[BoolArray] = []
    allowed, source = Allowed(np.array([True])), Source()
    for _ in range(2):
        assert allowed.derived(source, made.append) is None
    assert len(made) == 1


def test_a_new_source_is_never_taken_for_one_that_is_gone() -> None:
    allowed = Allowed(np.array([True]))
    source = Source()
    kept = weakref.ref(source)
    allowed.derived(source, lambda _: "first")
    del source
    gc.collect()
    assert kept() is not None, "its number in memory could be given to another source"
    assert [allowed.derived(Source(), lambda _, at=at: at) for at in range(100)] == list(range(100))


def test_what_cannot_be_derived_is_tried_again() -> None:
    allowed, source = Allowed(np.array([True])), Source()
    with pytest.raises(ZeroDivisionError):
        allowed.derived(source, lambda _: 1 / 0)
    assert allowed.derived(source, lambda _: 1.0) == 1.0
