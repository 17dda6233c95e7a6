"""Bundles whose postings are of an earlier version of the tokenizer: they open, answer right, and are renewed."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from langchain_core.documents import Document as LangChainDocument

from hybridret import HybridRetriever
from hybridret.bm25 import TOKENIZER_VERSION
from hybridret.bm25.postings import Postings
from hybridret.check import check_bundle, repair_bundle
from hybridret.store import Bundle, DocumentStore, State
from hybridret.store.bundle import write_arrays
from tests.conftest import StubEmbeddings

TEXTS = {
    "llm": "LLMs are large",
    "numpy": "arrays of NumPy",
    "hindi": "पानी का पंप",
    "pump": "the pump weighs 12 kg",
    "gone": "LLM of yesterday",
}
RIGHT = {"llm": ["llm"], "numpy": ["numpy"], "पानी": ["hindi"], "पान": [], "pump": ["pump"]}


def answers(retriever: HybridRetriever) -> dict[str, list[str]]:
    found = retriever.search(list(RIGHT), k=9, retrievers=["bm25"])
    return {query: [hit.doc_id for hit in hits if hit.score > 0] for query, hits in zip(RIGHT, found, strict=True)}


def scores(retriever: HybridRetriever) -> list[dict[str, float]]:
    return [{hit.doc_id: hit.score for hit in hits} for hits in retriever.search(list(RIGHT), k=9, retrievers=["bm25"])]


def old_terms(text: str) -> Sequence[str]:
    """Terms that no present query gives."""
    return [f"old-{word}" for word in text.split()]


@pytest.fixture
def old_bundle(tmp_path: Path, embeddings: StubEmbeddings) -> Path:
    """A bundle as an earlier version left it: other postings, and a state that names no version of the tokenizer."""
    path = tmp_path / "old"
    retriever = HybridRetriever.from_texts(list(TEXTS.values()), embedding_model=embeddings, ids=list(TEXTS), fit=False)
    retriever.delete(["gone"])
    retriever.save(path)
    bundle = Bundle(path)
    store = DocumentStore.open(bundle.database)
    state = State.from_json(store.state, "it")
    rows = [*TEXTS.values()]
    file = write_arrays(path, "bm25", 99, Postings(1.5, 0.75).appended(map(old_terms, rows)).arrays(), len(rows))
    bundle.remove([each.name for each in state.files["bm25"]])
    value = replace(state, files={**state.files, "bm25": [file]}).as_json()
    del value["tokenizer"]
    with store.transaction():
        store.state = value
    store.close()
    repair_bundle(path)  # the seal
    return path


def state_of(path: Path) -> State:
    store = DocumentStore.open(Bundle(path).database)
    try:
        return State.from_json(store.state, str(path))
    finally:
        store.close()


def test_an_old_bundle_answers_as_a_new_one_and_says_so_in_one_line(
    old_bundle: Path, embeddings: StubEmbeddings, caplog: pytest.LogCaptureFixture
) -> None:
    assert state_of(old_bundle).tokenizer == 1
    with caplog.at_level(logging.WARNING, logger="hybridret"):
        opened = HybridRetriever.load(old_bundle, embedding_model=embeddings)
    assert answers(opened) == RIGHT
    living = {name: text for name, text in TEXTS.items() if name != "gone"}
    fresh = HybridRetriever.from_texts(list(living.values()), embedding_model=embeddings, ids=list(living), fit=False)
    assert scores(opened) == scores(fresh)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert str(old_bundle) in told[0]
    assert "postings of 4 documents" in told[0]
    assert state_of(old_bundle).tokenizer == 1
    assert check_bundle(old_bundle).faults == []


@pytest.mark.parametrize("change", ["add", "delete", "compact", "save"])
def test_the_next_change_writes_the_new_postings(
    old_bundle: Path, embeddings: StubEmbeddings, tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    opened, path = HybridRetriever.load(old_bundle, embedding_model=embeddings), old_bundle
    if change == "add":
        opened.add_documents([LangChainDocument(page_content="GPUs are fast")], ids=["gpu"])
    elif change == "delete":
        opened.delete(["pump"])
    elif change == "compact":
        opened.index.compact()
    else:
        path = tmp_path / "copy"
        opened.save(path)
    caplog.clear()
    again = HybridRetriever.load(path, embedding_model=embeddings)
    assert caplog.records == []
    assert state_of(path).tokenizer == TOKENIZER_VERSION
    assert answers(again) == RIGHT | ({"pump": []} if change == "delete" else {})
    assert scores(again) == scores(opened)
    assert check_bundle(path).faults == []
    assert "old-pump" not in {word for file in state_of(path).files["bm25"] for word in _words(path, file.name)}


def _words(path: Path, name: str) -> list[str]:
    bundle = Bundle(path)
    (file,) = [file for file in state_of(path).files["bm25"] if file.name == name]
    return bundle.read(file)["words"].tobytes().decode().split("\n")


def test_a_reader_takes_up_what_a_writer_renewed(old_bundle: Path, embeddings: StubEmbeddings) -> None:
    reader = HybridRetriever.load(old_bundle, embedding_model=embeddings)
    writer = HybridRetriever.load(old_bundle, embedding_model=embeddings)
    assert answers(reader) == RIGHT
    writer.add_documents([LangChainDocument(page_content="GPUs are fast")], ids=["gpu"])
    assert [hit.doc_id for hit in reader.search(["gpu"], k=1, retrievers=["bm25"])[0]] == ["gpu"]
    assert scores(reader) == scores(writer)


def test_damaged_old_postings_are_no_matter_and_repair_renews_them(
    old_bundle: Path, embeddings: StubEmbeddings, tmp_path: Path
) -> None:
    (file,) = state_of(old_bundle).files["bm25"]
    with (old_bundle / file.name).open("r+b") as handle:
        handle.seek(file.bytes - 1)
        handle.write(b"\xff")
    assert answers(HybridRetriever.load(old_bundle, embedding_model=embeddings)) == RIGHT
    shutil.copytree(old_bundle, tmp_path / "copy")
    assert [fault.part for fault in check_bundle(tmp_path / "copy").faults] == ["bm25"]
    assert repair_bundle(tmp_path / "copy") == ["bm25"]
    assert state_of(tmp_path / "copy").tokenizer == TOKENIZER_VERSION
    assert answers(HybridRetriever.load(tmp_path / "copy", embedding_model=embeddings)) == RIGHT


def test_scores_of_grown_and_shrunk_indexes_are_those_of_a_fresh_one(embeddings: StubEmbeddings) -> None:
    """No mean over the collection is in the weights, so that not a bit depends on the order of changes."""
    grown = HybridRetriever.from_texts(["LLM of yesterday"], embedding_model=embeddings, ids=["gone"], fit=False)
    for name, text in TEXTS.items():
        if name != "gone":
            grown.add_documents([LangChainDocument(page_content=text)], ids=[name])
    grown.delete(["gone"])
    living = {name: text for name, text in TEXTS.items() if name != "gone"}
    fresh = HybridRetriever.from_texts(list(living.values()), embedding_model=embeddings, ids=list(living), fit=False)
    assert scores(grown) == scores(fresh)
    assert np.isfinite([score for each in scores(grown) for score in each.values()]).all()
