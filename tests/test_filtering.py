"""Filters as rows: worked out once, extended by new rows, never for another generation."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridret import HybridRetriever
from hybridret.allowed import Allowed
from hybridret.errors import FilterError
from hybridret.filtering import FilterCache, StaleError
from hybridret.store import DocumentStore
from hybridret.types import Document, IntArray

FLYING = {"flies": True}


def asked_keys(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many keys each reading of a field was about."""
    real, asked = DocumentStore.pages_of_fields, []

    def pages_of_fields(store: DocumentStore, fields: Any, keys: IntArray) -> Any:
        asked.append(len(keys))
        return real(store, fields, keys)

    monkeypatch.setattr(DocumentStore, "pages_of_fields", pages_of_fields)
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


def tenants(path: Path, embeddings: Any, of_a: set[int]) -> HybridRetriever:
    """Six documents, those of the given numbers a's and the others b's."""
    return HybridRetriever.from_texts(
        [f"text {number}" for number in range(6)],
        [{"tenant": "a" if number in of_a else "b"} for number in range(6)],
        [f"d{number}" for number in range(6)],
        path=path,
        embedding_model=embeddings,
        docid_levels=2,
    )


def found_of(retriever: HybridRetriever, tenant: str) -> set[str]:
    return {hit.doc_id for hit in retriever.search(["text"], 9, {"tenant": tenant})[0]}


def test_a_filter_of_a_replaced_bundle_is_not_taken_for_one_of_the_new(embeddings: Any, tmp_path: Path) -> None:
    opened = tenants(tmp_path / "b", embeddings, {0, 1, 2})
    assert found_of(opened, "a") == {"d0", "d1", "d2"}
    other = tenants(tmp_path / "b", embeddings, {3, 4})
    assert other.index._changes.generation.number == opened.index._changes.generation.number
    assert found_of(opened, "a") == {"d3", "d4"}
    assert found_of(opened, "b") == {"d0", "d1", "d2", "d5"}


def test_whoever_still_searches_the_replaced_bundle_leaves_no_filter_of_it_behind(
    embeddings: Any, tmp_path: Path
) -> None:
    old = tenants(tmp_path / "old", embeddings, {0, 1, 2}).index._changes
    new = tenants(tmp_path / "new", embeddings, {3, 4}).index._changes
    cache = FilterCache()
    for _ in range(2):
        for changes, rows in ((old, [0, 1, 2]), (new, [3, 4])):
            allowed = cache.allowed({"tenant": "a"}, changes.generation, changes.store)
            assert allowed is not None
            assert allowed.rows.tolist() == rows


def test_a_search_that_ends_after_another_took_up_the_new_bundle_leaves_no_filter_of_the_old_one(
    embeddings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tenants(tmp_path / "old", embeddings, {0, 1, 2}).index._changes
    new = tenants(tmp_path / "new", embeddings, {3, 4}).index._changes
    cache, real, found = FilterCache(), DocumentStore.pages_of_fields, []

    def rows(changes: Any) -> list[int]:
        allowed = cache.allowed({"tenant": "a"}, changes.generation, changes.store)
        assert allowed is not None
        return allowed.rows.tolist()

    def pages_of_fields(store: DocumentStore, fields: Any, keys: IntArray) -> Any:
        monkeypatch.setattr(DocumentStore, "pages_of_fields", real)
        found.append(rows(new))
        return real(store, fields, keys)

    monkeypatch.setattr(DocumentStore, "pages_of_fields", pages_of_fields)
    found.append(rows(old))
    found.append(rows(new))
    assert found == [[3, 4], [0, 1, 2], [3, 4]]


def test_a_filter_that_is_known_asks_no_sql_also_where_the_store_has_moved_on(
    retriever: HybridRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, cache = retriever.index._changes, FilterCache()
    old = changes.generation
    known = cache.allowed(FLYING, old, changes.store)
    asked = asked_keys(monkeypatch)
    retriever.index.add([Document("bat", "bats fly", {"flies": True})])
    assert cache.allowed(FLYING, old, changes.store) is known
    assert asked == []
    newer = cache.allowed(FLYING, changes.generation, changes.store)
    assert newer is not None
    assert (newer.count, asked) == (4, [1])
    again = cache.allowed(FLYING, old, changes.store)
    assert known is not None
    assert again is not None
    assert again.mask.tolist() == known.mask.tolist()
    assert asked == [1]


def test_another_filter_on_a_field_reads_nothing(retriever: HybridRetriever, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, index = asked_keys(monkeypatch), retriever.index
    for legs in range(10):
        index.search(["bees"], 9, {"legs": legs})
    assert asked == [8]
    index.search(["bees"], 9, {"legs": {"$gt": 1}, "flies": True})
    assert asked == [8, 8]
    index.add([Document("bat", "bats fly", {"flies": True, "legs": 2})])
    for legs in range(10):
        index.search(["bees"], 9, {"legs": {"$gte": legs}})
    assert asked == [8, 8, 1]
    assert "bat" in {hit.doc_id for hit in index.search(["bees"], 9, {"legs": 2, "flies": True})[0]}
    assert asked == [8, 8, 1, 1]


def test_a_deletion_asks_for_no_metadata(retriever: HybridRetriever, monkeypatch: pytest.MonkeyPatch) -> None:
    retriever.search(["bees"], 9, FLYING)
    asked = asked_keys(monkeypatch)
    retriever.index.delete(["owl", "cat"])
    assert {hit.doc_id for hit in retriever.search(["bees"], 9, FLYING)[0]} == {"bird", "bee"}
    assert sum(asked) == 0


def test_a_filter_that_allows_every_living_row_still_hides_the_dead(retriever: HybridRetriever) -> None:
    changes, cache = retriever.index._changes, FilterCache()
    everyone: dict[str, Any] = {"legs": {"$gte": 0}}
    assert cache.allowed(everyone, changes.generation, changes.store) is None
    retriever.index.delete(["cat"])
    allowed = cache.allowed(everyone, changes.generation, changes.store)
    assert allowed is not None
    assert 0 not in allowed.rows
    assert allowed.count == 7


@pytest.mark.parametrize("limit", ["number", "bytes"])
def test_the_filters_used_last_are_kept_within_the_limits(
    retriever: HybridRetriever, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    changes, cache = retriever.index._changes, FilterCache()
    asked: dict[int, Any] = {}

    def is_kept(legs: int) -> bool:
        before, asked[legs] = asked.get(legs), cache.allowed({"legs": legs}, changes.generation, changes.store)
        return asked[legs] is before

    is_kept(0)
    numbering = cache._numbering
    assert numbering is not None
    if limit == "number":
        monkeypatch.setattr("hybridret.filtering._MOST_FILTERS", 3)
    else:
        monkeypatch.setattr("hybridret.filtering.FILTER_BYTES", 3 * numbering._n_bytes() + 10)
    assert [is_kept(legs) for legs in (2, 4)] == [False] * 2
    assert is_kept(0)
    assert not is_kept(6)
    assert [is_kept(legs) for legs in (0, 4, 6)] == [True] * 3
    assert not is_kept(2)


def test_what_is_derived_from_a_filter_counts_as_its_bytes(
    retriever: HybridRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, cache = retriever.index._changes, FilterCache()
    first = cache.allowed({"legs": 2}, changes.generation, changes.store)
    numbering = cache._numbering
    assert first is not None
    assert numbering is not None
    before = numbering._n_bytes()
    _ = first.rows, first.bitmap, first.derived(object(), lambda mask: np.zeros(1000))
    assert numbering._n_bytes() == before + 8 * first.count + 1 + 8000
    monkeypatch.setattr("hybridret.filtering.FILTER_BYTES", 8000)
    cache.allowed({"legs": 4}, changes.generation, changes.store)
    assert cache.allowed({"legs": 2}, changes.generation, changes.store) is not first


def test_filters_of_an_older_generation_hold_no_rows(retriever: HybridRetriever) -> None:
    changes, cache = retriever.index._changes, FilterCache()
    for legs in range(3):
        cache.allowed({"legs": legs}, changes.generation, changes.store)
    retriever.index.delete(["cat"])
    cache.allowed({"legs": 0}, changes.generation, changes.store)
    numbering = cache._numbering
    assert numbering is not None
    assert [known.allowed is None for known in numbering.filters.values()] == [True, True, False]


@pytest.mark.parametrize("filter", [[], (), "", 0, False, [("legs", 2)]])
def test_what_is_no_mapping_is_not_taken_for_no_filter(retriever: HybridRetriever, filter: Any) -> None:
    with pytest.raises(FilterError, match="a filter is a mapping of field to value"):
        retriever.index.search(["bees"], 9, filter)


def test_the_names_of_fields_are_those_that_documents_have(retriever: HybridRetriever) -> None:
    index = retriever.index
    before = {"flies", "legs", "name", "name.en"}
    assert index.metadata_fields() == before
    index.add(
        [Document("bat", "bats fly", {"by": {"name": "ann", "at": None}, "seen": [{"on.day": 1}, 5, [{"x": 1}]]})]
    )
    nested = {"by", "by.name", "by.at", "seen", "seen.on.day"}
    assert index.metadata_fields() == before | nested
    index.delete(["bat"])
    index.compact()
    assert index.metadata_fields() == before


RETRIEVING = [("dense",), ("bm25",), ("docid",), ("dense", "bm25", "docid")]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.fixed_dictionaries({}, optional={"groups": st.lists(st.sampled_from("abc"), max_size=3) | st.just("a")}),
        min_size=1,
        max_size=8,
    ),
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=2),
)
def test_an_access_list_means_the_same_to_every_retriever(
    make_embeddings: Any, metadatas: list[dict[str, Any]], wanted: list[str]
) -> None:
    retriever = HybridRetriever.from_texts(
        ["t"] * len(metadatas),
        metadatas,
        [str(number) for number in range(len(metadatas))],
        embedding_model=make_embeddings(4),
        docid_levels=1,
        k=20,
    )
    held = {str(number): set(metadata.get("groups", [])) for number, metadata in enumerate(metadatas)}
    for filter, expected in (
        ({"groups": {"$in": wanted}}, {doc_id for doc_id, groups in held.items() if groups & set(wanted)}),
        ({"groups": {"$nin": wanted}}, {doc_id for doc_id, groups in held.items() if not groups & set(wanted)}),
        ({"groups": {"$ne": wanted[0]}}, {doc_id for doc_id, groups in held.items() if wanted[0] not in groups}),
        ({"groups": {"$all": wanted}}, {doc_id for doc_id, groups in held.items() if set(wanted) <= groups}),
        ({"groups": {"$contains": wanted}}, {doc_id for doc_id, groups in held.items() if set(wanted) <= groups}),
        ({"groups": wanted[0]}, {doc_id for doc_id, groups in held.items() if wanted[0] in groups}),
    ):
        for names in RETRIEVING:
            (hits,) = retriever.index.search(["t"], 20, filter, names)
            assert {hit.doc_id for hit in hits} == expected
        assert {document.id for document in retriever.invoke("t", filter=filter)} == expected


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "delete", "compact", "ask"]), st.integers(0, 30), st.integers(0, 3)),
        max_size=25,
    )
)
def test_after_any_changes_a_kept_filter_allows_what_a_new_one_does(
    make_embeddings: Any, changes_asked: list[tuple[str, int, int]]
) -> None:
    index = HybridRetriever.from_texts(
        ["t"] * 5,
        [{"n": number % 4} for number in range(5)],
        [f"d{number}" for number in range(5)],
        embedding_model=make_embeddings(4),
        docid_levels=1,
    ).index
    changes, kept = index._changes, FilterCache()
    for kind, which, value in changes_asked:
        if kind == "add":
            index.add([Document(f"d{which}", "t", {"n": value})], replace=True)
        elif kind == "delete":
            index.delete([f"d{which}"])
        elif kind == "compact":
            index.compact()
        else:
            one = kept.allowed({"n": value}, changes.generation, changes.store)
            other = FilterCache().allowed({"n": value}, changes.generation, changes.store)
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                assert one.mask.tolist() == other.mask.tolist()
                ids = {changes.generation.ids[row] for row in one.rows}
                assert ids == {doc.doc_id for _, doc in changes.store.documents() if doc.metadata["n"] == value}


def test_dates_and_numpy_values_go_through_a_bundle(embeddings: Any, tmp_path: Path) -> None:
    days = [date(2024, 5, day) for day in (1, 2, 3)]
    retriever = HybridRetriever.from_texts(
        ["old", "new", "newest"],
        [{"day": day, "size": np.float32(number) / 4, "of": np.array(["x"])} for number, day in enumerate(days)],
        ["0", "1", "2"],
        path=tmp_path / "b",
        embedding_model=embeddings,
        docid_levels=1,
    )
    for asked in (retriever, HybridRetriever.load(tmp_path / "b", embedding_model=embeddings)):
        for filter, expected in (
            ({"day": {"$gte": days[1]}}, {"1", "2"}),
            ({"day": {"$lt": datetime(2024, 5, 2, 12)}}, {"0", "1"}),
            ({"day": {"$in": np.array(days[:1], dtype="datetime64[D]")}}, {"0"}),
            ({"size": np.float64(0.25), "of": "x"}, {"1"}),
        ):
            assert {document.id for document in asked.invoke("new", filter=filter)} == expected
        (document,) = asked.index.get(["1"])
        assert document.metadata == {"day": "2024-05-02", "size": 0.25, "of": ["x"]}
