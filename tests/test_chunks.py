"""A document and the chunks that it was split into: what is done to it is done to all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.continual.update import _missing
from hybridret.check import check_bundle
from hybridret.cli import _without_poison
from hybridret.config import Config
from hybridret.data.chunk import chunk_documents
from hybridret.data.poison import Suspect, quarantined, with_their_chunks
from hybridret.data.readers import read_corpus
from hybridret.dense import EmbeddingsEncoder
from hybridret.errors import InputError
from hybridret.hybrid import HybridIndex
from hybridret.store import DocumentStore
from hybridret.types import RETRIEVERS, Chunk, Document

CONFIG = Config(docid_levels=2, docid_codes=4)
OTHERS = [
    Document("manual#0", "an own text whose id looks like a chunk's", {}),
    Document("manual#x", "one more", {"parent": "manual"}),
    Document("manual 2", "the second manual", {}),
    Document("manua", "hardly a manual", {"parent": "manual", "chunk": 0}),
]
SENTENCES = {"whole": 3, "few": 40, "many": 120}


def manual(version: str, n_sentences: int) -> Document:
    """A document of so many sentences, each naming its version."""
    text = " ".join(f"Sentence {number} of version {version} is about the valve." for number in range(n_sentences))
    return Document("guide", text, {"year": 2020})


@pytest.fixture(params=["in memory", "on disk"])
def index(request: pytest.FixtureRequest, embeddings: Any, tmp_path: Path) -> HybridIndex:
    path = tmp_path / "bundle" if request.param == "on disk" else None
    return HybridIndex.build(OTHERS, EmbeddingsEncoder(embeddings), CONFIG, path)


def found_ids(index: HybridIndex, query: str = "sentence valve version") -> set[str]:
    """What each retriever finds, which has to be the same."""
    (found,) = {
        frozenset(hit.doc_id for hit in index.search([query], 999, retrievers=[name])[0]) for name in RETRIEVERS
    }
    return set(found)


@pytest.mark.parametrize("after", SENTENCES)
@pytest.mark.parametrize("before", SENTENCES)
def test_a_new_version_takes_the_place_of_all_chunks_of_the_old_one(
    index: HybridIndex, before: str, after: str
) -> None:
    others = {document.doc_id for document in OTHERS}
    assert index.add([manual("old", SENTENCES[before])], chunk=True) == ["guide"]
    new = manual("new", SENTENCES[after])
    assert index.add([new], replace=True, chunk=True) == ["guide"]
    expected = list(chunk_documents([new]))
    assert (len(expected) > 1) == (after != "whole")
    assert found_ids(index) == index.ids() == others | {document.doc_id for document in expected}
    assert index.get(["guide"]) == expected
    assert all("old" not in document.text for document in index.get(sorted(index.ids())))
    assert index.delete(["guide", "nothing"]) == ["guide"]
    assert found_ids(index) == index.ids() == others
    assert index.get(["guide"]) == index.delete(["guide"]) == []


@pytest.mark.parametrize("size", ["few", "many"])
def test_chunks_come_in_order_and_none_twice_and_one_alone_may_go(index: HybridIndex, size: str) -> None:
    split = list(chunk_documents([manual("1", SENTENCES[size])]))
    index.add([*reversed(split)])
    assert index.get(["guide", "guide#1", "manua", "guide"]) == [*split, OTHERS[3]]
    assert index.get(["guide#1", "guide"]) == [split[1], split[0], *split[2:]]
    assert index.delete(["guide#1"]) == ["guide#1"]
    assert index.get(["guide"]) == [split[0], *split[2:]]


def test_a_document_that_is_there_as_chunks_is_not_added_again(index: HybridIndex) -> None:
    index.add([manual("1", SENTENCES["few"])], chunk=True)
    n_chunks, ids = len(index.get(["guide"])), index.ids()
    for again in ([manual("2", 3)], list(chunk_documents([manual("2", SENTENCES["many"])]))):
        with pytest.raises(InputError, match=f"'guide' is in the index already, as {n_chunks} chunks; use upsert"):
            index.add(again)
    assert index.ids() == ids


@pytest.mark.parametrize("replace", [False, True])
def test_a_chunk_does_not_take_an_id_that_is_another_documents(index: HybridIndex, replace: bool) -> None:
    kept = index.get(sorted(index.ids()))
    long = manual("1", SENTENCES["few"])._replace(doc_id="manual")
    with pytest.raises(InputError, match="'manual#0', is that of another document in the index"):
        index.add([long], replace=replace, chunk=True)
    assert index.get(sorted(index.ids())) == kept
    with pytest.raises(InputError, match="'guide#0' is given twice"):
        index.add([manual("1", SENTENCES["few"]), Document("guide#0", "x", {})], replace=replace, chunk=True)


def test_an_edited_chunk_takes_its_own_place_alone_and_stays_one(index: HybridIndex) -> None:
    index.add([manual("1", SENTENCES["few"])], chunk=True)
    first, second, *rest = index.get(["guide"])
    edited = Document(second.doc_id, "Sentence of another version.", second.metadata)
    index.add([edited], replace=True)
    assert index.get(["guide"]) == [first, edited, *rest]
    index.add([Document(first.doc_id, "No chunk any more.", {})], replace=True)
    assert index.get(["guide"]) == [edited, *rest]
    index.delete(["guide"])
    assert index.ids() == {first.doc_id, *(document.doc_id for document in OTHERS)}


def test_chunks_that_an_earlier_version_wrote_are_known_by_id_and_metadata(embeddings: Any, tmp_path: Path) -> None:
    written = [Document(*chunk) for chunk in chunk_documents([manual("1", SENTENCES["many"])])]
    HybridIndex.build([*OTHERS, *written], EmbeddingsEncoder(embeddings), CONFIG, tmp_path / "b")
    opened = HybridIndex.open(tmp_path / "b", EmbeddingsEncoder(embeddings))
    assert opened.get(["guide"]) == written
    opened.add([manual("2", 3)], replace=True)
    assert found_ids(opened) == {"guide", *(document.doc_id for document in OTHERS)}
    assert check_bundle(tmp_path / "b").faults == []


def test_a_field_of_the_user_is_not_written_over() -> None:
    for field in ("parent", "chunk"):
        (short,) = chunk_documents([Document("a", "short", {field: "x"})])
        assert short.metadata == {field: "x"}
        long = manual("1", SENTENCES["few"])._replace(metadata={field: "x"})
        with pytest.raises(InputError, match=f"'guide' is too long for one chunk, and its metadata field '{field}'"):
            list(chunk_documents([long]))


ids = st.text(st.sampled_from("ab#$\"'%_\0猫 "), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ids, st.integers(0, 12), st.booleans()), max_size=12), st.lists(ids, max_size=4))
def test_chunks_are_those_that_a_scan_of_all_documents_finds(
    written: list[tuple[str, int, bool]], more: list[str]
) -> None:
    documents = {
        f"{parent}#{number}": Document(
            f"{parent}#{number}", "t", {"parent": parent, "chunk": number} if is_chunk else {"chunk": number}
        )
        for parent, number, is_chunk in written
    }
    store = DocumentStore.in_memory()
    store.insert(0, list(documents.values()), np.zeros(len(documents), dtype=np.int64))
    asked = [*more, *(parent for parent, _, _ in written)]
    expected = {
        parent: sorted(
            (
                (document.metadata["chunk"], key, document)
                for key, document in enumerate(documents.values())
                if document.metadata.get("parent") == parent
            ),
            key=lambda each: each[0],
        )
        for parent in asked
    }
    assert store.chunks_of(asked) == {
        parent: [(key, document) for _, key, document in found] for parent, found in expected.items() if found
    }


def test_a_folder_is_read_again_after_its_files_shrank_and_grew(
    index: HybridIndex, tmp_path: Path, write_jsonl: Callable[..., Path]
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for size in ("many", "few", "whole", "many"):
        (folder / "a.md").write_text(f"# Pumps\n\n{manual(size, SENTENCES[size]).text}")
        index.add(read_corpus(str(folder)), replace=True)
        assert {json.dumps(each.text) for each in index.get(["a.md"])} == {
            json.dumps(each.text) for each in read_corpus(str(folder))
        }
        assert len(index) == len(OTHERS) + len(read_corpus(str(folder)))


def test_where_a_chunk_is_held_all_of_its_document_waits_and_comes_back_together(
    index: HybridIndex, tmp_path: Path
) -> None:
    index.add([manual("old", SENTENCES["many"])], chunk=True)
    old = index.get(["guide"])
    coming = [*chunk_documents([manual("new", SENTENCES["few"])]), Document("sound", "a sound text", {})]
    held = with_their_chunks([Suspect(coming[1], ["it stuffs words"])], coming)
    assert [suspect.document for suspect in held] == coming[:-1]
    assert held[1].reasons == ["it stuffs words"]
    with quarantined(tmp_path / "held.jsonl", held):
        index.add(coming[-1:], replace=True)
    assert index.get(["guide"]) == old
    taken_back = read_corpus(str(tmp_path / "held.jsonl"))
    index.add(taken_back, replace=True)
    assert [each.text for each in index.get(["guide"])] == [each.text for each in coming[:-1]]
    assert all(isinstance(document, Chunk) for document in taken_back)


def test_the_command_line_holds_a_whole_document_for_one_chunk(tmp_path: Path) -> None:
    hidden = "pump valve " + "\u200b" * 40 + "buy now"
    texts = [f"Paragraph {number}. The pump of hall {number} was checked and found sound. " * 8 for number in range(6)]
    bad = Document("guide", "\n\n".join([*texts[:3], hidden * 3, *texts[3:]]), {})
    documents = [
        *chunk_documents([bad]),
        *(Document(f"d{number}", f"Hall {number} is closed on Mondays for the crew.", {}) for number in range(60)),
    ]
    with _without_poison(documents, [], tmp_path / "held.jsonl") as kept:
        assert {document.doc_id for document in kept} == {f"d{number}" for number in range(60)}
    assert {each.doc_id for each in read_corpus(str(tmp_path / "held.jsonl"))} == {
        document.doc_id for document in documents if isinstance(document, Chunk)
    }


def test_training_that_goes_on_takes_no_document_whose_chunks_the_bundle_has(index: HybridIndex) -> None:
    old, new = (list(chunk_documents([manual(size, SENTENCES[size])])) for size in ("many", "few"))
    assert _missing(index, [*old, Document("other", "x", {})], resume=False) == [*old, Document("other", "x", {})]
    index.add(old)
    shortened, other = old[:-1], Document("other", "x", {})
    for coming, resume in (
        (new, False),
        (new, True),
        ([manual("new", 3)], True),
        (shortened, False),
        (shortened, True),
    ):
        with pytest.raises(InputError, match=r"1 of 2 new documents have ids that the bundle has already.*'guide'"):
            _missing(index, [*coming, other], resume)
    assert _missing(index, [*old, other], resume=True) == [other]
