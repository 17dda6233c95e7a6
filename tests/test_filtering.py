"""Filters as rows: worked out once, extended by new rows, never for another generation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hybridret import HybridRetriever
from hybridret.allowed import Allowed
from hybridret.filtering import FilterCache, StaleError
from hybridret.store import DocumentStore
from hybridret.types import Document, IntArray

FLYING = {"flies": True}


def asked_keys(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many keys each SQL query of a filter was asked about."""
    real, asked = DocumentStore.matching, []

    def matching(store: DocumentStore, condition: Any, keys: IntArray) -> Any:
        asked.append(len(keys))
        return real(store, condition, keys)

    monkeypatch.setattr(DocumentStore, "matching", matching)
    return asked


def test_a_filter_is_asked_once_and_then_for_new_rows_alone(
    retriever: HybridRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, index = asked_keys(monkeypatch), retriever.index
    for _ in range(3):
        assert {hit.doc_id for hit in index.search(["bees"], 9, FLYING)[0]} == {"bird", "bee", "owl"}
    assert asked == [8]
    index.add([Document("bat", "bats fly", {"flies": True}), Document("rat", "rats run", {"flies": False})])
    index.delete(["owl"])
    assert {hit.doc_id for hit in index.search(["bees"], 9, FLYING)[0]} == {"bird", "bee", "bat"}
    assert asked == [8, 2]
    index.compact()
    assert {hit.doc_id for hit in index.search(["bees"], 9, FLYING)[0]} == {"bird", "bee", "bat"}
    assert asked == [8, 2, 9]


def test_a_replaced_document_is_filtered_by_what_it_is_now(retriever: HybridRetriever) -> None:
    retriever.search(["cats"], 9, FLYING)
    retriever.index.add([Document("cat", "flying cats", {"flies": True})], replace=True)
    retriever.index.add([Document("bee", "tired bees", {"flies": False})], replace=True)
    assert {hit.doc_id for hit in retriever.search(["cats"], 9, FLYING)[0]} == {"bird", "owl", "cat"}


def test_an_older_generation_is_told_that_it_is_stale(retriever: HybridRetriever) -> None:
    changes, cache = retriever.index._changes, FilterCache()
    old = changes.generation
    retriever.index.delete(["cat"])
    with pytest.raises(StaleError):
        cache.allowed(FLYING, old, changes.store)
    allowed = cache.allowed(FLYING, changes.generation, changes.store)
    assert allowed is not None
    assert allowed.count == 3


def test_no_filter_allows_what_is_alive(retriever: HybridRetriever) -> None:
    changes, cache = retriever.index._changes, FilterCache()
    assert cache.allowed(None, changes.generation, changes.store) is None
    assert cache.allowed({}, changes.generation, changes.store) is None
    retriever.index.delete(["cat"])
    allowed = cache.allowed({}, changes.generation, changes.store)
    assert allowed is not None
    assert (allowed.count, len(allowed.mask)) == (7, 8)


def test_what_is_derived_from_allowed_rows_is_made_once() -> None:
    allowed = Allowed(np.array([True, False, True, True, False, False, False, False, True]))
    made = []

    def count(mask: Any) -> int:
        made.append(mask)
        return int(mask.sum())

    source = object()
    assert [allowed.derived(source, count) for _ in range(3)] == [4, 4, 4]
    assert len(made) == 1
    assert allowed.rows.tolist() == [0, 2, 3, 8]
    assert allowed.bitmap.tolist() == [0b1101, 0b1]
