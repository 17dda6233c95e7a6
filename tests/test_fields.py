"""A filter on a field that no document has is warned of once, with the field that was meant."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hybridret import HybridRetriever
from hybridret.fields import filter_fields


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Gives, and forgets, what was warned of fields."""
    caplog.set_level(logging.WARNING, "hybridret.fields")

    def taken() -> list[str]:
        messages = [record.getMessage() for record in caplog.records if record.name == "hybridret.fields"]
        caplog.clear()
        return messages

    return taken


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ({}, []),
        ({"a": 1, "b": {"$gt": 1}}, ["a", "b"]),
        ({"a.b": 1, "c": {"d": {"e": 1, "f": {"$ne": 2}}}}, ["a.b", "c.d.e", "c.d.f"]),
        ({"$or": [{"a": 1}, {"$and": [{"b": 2}, {"$not": {"c": 3}}]}]}, ["a", "b", "c"]),
        ({"a": {"$not": {"$gt": 1}}}, ["a"]),
        ({"a": {"$exists": False}, "b": {"$exists": True, "$gt": 1}}, ["b"]),
    ],
)
def test_the_fields_of_a_filter_are_named(filter: dict[str, Any], names: list[str]) -> None:
    assert list(filter_fields(filter)) == names


@pytest.mark.parametrize(
    ("field", "meant"),
    [("leg", "legs"), ("Legs", "legs"), ("flie", "flies"), ("name.eng", "name.en"), ("zzz", None)],
)
@pytest.mark.parametrize("operator", ["$eq", "$ne", "$nin", "$lt"])
def test_a_field_that_no_document_has_is_warned_of_once(
    retriever: HybridRetriever, warnings: Callable[[], list[str]], field: str, meant: str | None, operator: str
) -> None:
    operand: Any = [2] if operator == "$nin" else 2
    for _ in range(2):
        found = retriever.invoke("cats", k=8, filter={field: {operator: operand}})
        assert len(found) == (8 if operator in ("$ne", "$nin") else 0)
    hint = f"; did you mean {meant!r}?" if meant else ""
    assert warnings() == [f"no document has the field {field!r} of a filter{hint}"]


def test_fields_that_a_document_has_are_not_warned_of(
    retriever: HybridRetriever, warnings: Callable[[], list[str]]
) -> None:
    retriever.add_texts(["x"], [{"rare": None, "a.b": 1}])
    retriever.add_texts(["y"], [{"owners": [{"name": "ann"}], "tags": ["a"]}])
    for filter in ({"owners.name": "bob"}, {"owners.0.name": "bob"}, {"tags.1": "b"}):
        retriever.invoke("cats", filter=filter)
    for filter in ({"legs": 99}, {"name": {"en": "x"}}, {"name.en": "x"}, {"rare": 1}, {"a.b": 2}):
        retriever.invoke("cats", filter=filter)
    retriever.search(["cats"], filter={"ghost": {"$exists": True}})
    assert warnings() == []


def test_an_index_without_documents_is_not_warned_of(embeddings: Any, warnings: Callable[[], list[str]]) -> None:
    retriever = HybridRetriever.from_texts([], embedding=embeddings)
    retriever.invoke("cats", filter={"legs": 4})
    retriever.add_texts(["cats"], [{"legs": 4}])
    assert len(retriever.invoke("cats", filter={"legs": 4})) == 1
    assert warnings() == []


def test_a_bundle_is_looked_at_too(
    retriever: HybridRetriever, embeddings: Any, tmp_path: Path, warnings: Callable[[], list[str]]
) -> None:
    retriever.save(tmp_path / "b")
    loaded = HybridRetriever.load(tmp_path / "b", embeddings)
    loaded.invoke("cats", filter={"legz": 4})
    assert warnings() == ["no document has the field 'legz' of a filter; did you mean 'legs'?"]


def test_names_of_fields_come_from_all_documents(retriever: HybridRetriever) -> None:
    retriever.add_texts(["x"], [{"last": {"deep": {"x": 1}}}])
    assert retriever.index.metadata_fields() == {"legs", "flies", "name", "name.en", "last", "last.deep", "last.deep.x"}


def test_many_unknown_fields_are_looked_for_in_parts(
    retriever: HybridRetriever, warnings: Callable[[], list[str]]
) -> None:
    filter = {"$or": [{f"field{number}": 1} for number in range(20)]}
    counts = [len(warnings()) for _ in range(3) if retriever.invoke("cats", filter=filter) == []]
    assert counts == [16, 4, 0]
