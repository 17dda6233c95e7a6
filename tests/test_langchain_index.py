"""LangChain's ``index()`` with a record manager keeps a retriever in step with its sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index

from hybridret import HybridRetriever
from hybridret.check import check_bundle


@pytest.fixture(params=["memory", "disk"])
def target(request: pytest.FixtureRequest, embeddings: Any, tmp_path: Path) -> Iterator[HybridRetriever]:
    path = tmp_path / "b" if request.param == "disk" else None
    yield HybridRetriever.from_texts([], path=path, embedding_model=embeddings, docid_levels=3)
    if path is not None:
        assert check_bundle(path).faults == []


def manager() -> InMemoryRecordManager:
    records = InMemoryRecordManager("animals")
    records.create_schema()
    return records


def page(source: str, *texts: str) -> list[Document]:
    return [Document(page_content=text, metadata={"source": source}) for text in texts]


def texts_of(target: HybridRetriever) -> list[str]:
    found = target.invoke("cats dogs fish", k=100)
    assert {document.id for document in found} == target.index.ids()
    return sorted(document.page_content for document in found)


CATS, DOGS = page("cats", "cats purr", "cats sleep"), page("dogs", "dogs bark")


@pytest.mark.parametrize("cleanup", [None, "incremental", "full", "scoped_full"])
def test_a_second_run_skips_what_it_knows(target: HybridRetriever, cleanup: Any) -> None:
    records = manager()
    once = index([*CATS, *DOGS], records, target, cleanup=cleanup, source_id_key="source", key_encoder="sha256")
    again = index([*CATS, *DOGS], records, target, cleanup=cleanup, source_id_key="source", key_encoder="sha256")
    assert once == {"num_added": 3, "num_updated": 0, "num_skipped": 0, "num_deleted": 0}
    assert again == {"num_added": 0, "num_updated": 0, "num_skipped": 3, "num_deleted": 0}
    assert texts_of(target) == ["cats purr", "cats sleep", "dogs bark"]


@pytest.mark.parametrize(
    ("cleanup", "left"),
    [
        (None, ["cats eat", "cats purr", "cats sleep", "dogs bark"]),
        ("incremental", ["cats eat", "cats purr", "dogs bark"]),
        ("scoped_full", ["cats eat", "cats purr", "dogs bark"]),
        ("full", ["cats eat", "cats purr"]),
    ],
)
def test_what_a_source_lost_is_removed_as_the_mode_says(target: HybridRetriever, cleanup: Any, left: list[str]) -> None:
    records = manager()
    index([*CATS, *DOGS], records, target, cleanup=cleanup, source_id_key="source", key_encoder="sha256")
    changed = index(
        page("cats", "cats purr", "cats eat"),
        records,
        target,
        cleanup=cleanup,
        source_id_key="source",
        key_encoder="sha256",
    )
    assert (changed["num_added"], changed["num_skipped"]) == (1, 1)
    assert changed["num_deleted"] == 4 - len(left)
    assert texts_of(target) == left


async def test_the_same_without_blocking(target: HybridRetriever) -> None:
    records = manager()
    options: dict[str, Any] = {"cleanup": "full", "source_id_key": "source", "key_encoder": "sha256"}
    await aindex([*CATS, *DOGS], records, target, **options)
    result = await aindex(DOGS, records, target, **options)
    assert result == {"num_added": 0, "num_updated": 0, "num_skipped": 1, "num_deleted": 2}
    assert texts_of(target) == ["dogs bark"]


def test_forced_updates_replace(target: HybridRetriever) -> None:
    records = manager()
    index(CATS, records, target, cleanup="full", source_id_key="source", key_encoder="sha256")
    result = index(
        CATS, records, target, cleanup="full", source_id_key="source", key_encoder="sha256", force_update=True
    )
    assert result["num_updated"] == 2
    assert texts_of(target) == ["cats purr", "cats sleep"]
