"""LangChain's ``index()`` with a record manager keeps a retriever in step with its sources."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.vectorstores import InMemoryVectorStore

from hybridret import HybridRetriever
from hybridret.check import check_bundle
from hybridret.errors import InputError
from hybridret.types import RETRIEVERS


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


@pytest.mark.parametrize("is_async", [False, True], ids=["index", "aindex"])
@pytest.mark.parametrize("cleanup", [None, "incremental", "full", "scoped_full"])
async def test_many_runs_leave_what_they_leave_in_langchains_own_store(
    target: HybridRetriever, make_embeddings: Callable[..., Any], cleanup: Any, is_async: bool
) -> None:
    chance = random.Random(f"{cleanup}")
    store, (mine, theirs) = InMemoryVectorStore(make_embeddings()), (manager(), manager())
    seen: Counter[str] = Counter()
    for _ in range(12):
        sources = chance.sample(["cats", "dogs", "fish"], chance.randint(1, 3))
        documents = [
            Document(
                page_content=f"{source} {chance.randint(1, 6)}", metadata={"source": source, "n": chance.randint(1, 2)}
            )
            for source in sources
            for _ in range(chance.randint(0, 4))
        ]
        options: dict[str, Any] = {
            "cleanup": cleanup,
            "source_id_key": "source",
            "key_encoder": "sha256",
            "batch_size": chance.choice([1, 2, 100]),
            "cleanup_batch_size": chance.choice([1, 1000]),
            "force_update": chance.random() < 0.5,
        }
        results = []
        for records, destination in ((mine, target), (theirs, store)):
            if is_async:
                results.append(await aindex(documents, records, destination, **options))
            else:
                results.append(index(documents, records, destination, **options))
        counted, expected = results
        assert counted == expected
        seen.update(counted)
        held = {entry["id"]: (entry["text"], entry["metadata"]) for entry in store.store.values()}
        for name in RETRIEVERS:
            assert {hit.doc_id for hit in target.search(["cats 1"], 100, retrievers=[name])[0]} == set(held)
        assert {document.id: (document.page_content, document.metadata) for document in target.get(list(held))} == held
    assert min(seen[key] for key in ("num_added", "num_updated", "num_skipped")) > 0
    assert (seen["num_deleted"] > 0) == (cleanup is not None)


@pytest.mark.parametrize("cleanup", ["incremental", "full", "scoped_full"])
def test_a_run_that_fails_is_made_good_by_the_next(target: HybridRetriever, cleanup: Any) -> None:
    records = manager()
    options: dict[str, Any] = {"cleanup": cleanup, "source_id_key": "source", "key_encoder": "sha256"}
    index([*CATS, *DOGS], records, target, **options)
    long = Document(page_content="dogs run", metadata={"source": "dogs", "deep": json.loads("[" * 200 + "]" * 200)})
    with pytest.raises(InputError, match="deeper"):
        index([CATS[0], long], records, target, **options)
    assert texts_of(target) == ["cats purr", "cats sleep", "dogs bark"]
    changed = index([CATS[0], *page("dogs", "dogs run")], records, target, **options)
    assert changed == {"num_added": 1, "num_updated": 0, "num_skipped": 1, "num_deleted": 2}
    assert texts_of(target) == ["cats purr", "dogs run"]
