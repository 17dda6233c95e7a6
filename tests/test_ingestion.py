"""Documents on their way in: those without a text are kept and never found, long ones are spoken of once."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hybridret import generation, ingestion
from hybridret.check import check_bundle
from hybridret.config import Config
from hybridret.data.clean import has_text
from hybridret.dense import EmbeddingsEncoder, TransformerEncoder
from hybridret.errors import InputError
from hybridret.hybrid import HybridIndex
from hybridret.types import RETRIEVERS, Document

CONFIG = Config(docid_levels=2, docid_codes=4)
BLANK = ["", " \t\r\n", "\u3000\u00a0\u2028", "\u200b\u200d\ufeff", "\u00ad", "\0\x1b"]
SEEN = ["!", "- --", "猫", "\u0301", "\ufffd", "a\u200b", "0"]
TEXTS = {"pump": "The pump weighs 12 kg", "valve": "Open the valve by hand", "dot": "..."}
QUERIES = ["pump", "INV-YYYY-NNNN", "RPO", "...", "what is there for lunch"]


class Strict:
    """Embeddings of a service that refuses a text without anything in it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def embed_documents(self, texts: list[str]) -> Any:
        assert all(text.strip() for text in texts)
        return self.inner.embed_documents(texts)

    def embed_query(self, text: str) -> Any:
        return self.inner.embed_query(text)


def given() -> list[Document]:
    blank = [Document(f"blank{at}", text, {"n": at}) for at, text in enumerate(BLANK)]
    return [*blank[:2], *(Document(doc_id, text, {"n": -1}) for doc_id, text in TEXTS.items()), *blank[2:]]


def assert_never_found(index: HybridIndex) -> None:
    for names in (RETRIEVERS, *([name] for name in RETRIEVERS)):
        for filter in (None, {"n": {"$gte": -1}}, {"n": {"$exists": True}}):
            for diversity in (0.0, 0.5):
                for hits in index.search(QUERIES, 99, filter, names, diversity=diversity):
                    assert {hit.doc_id for hit in hits} == set(TEXTS)
        assert index.search(QUERIES, 99, {"n": {"$gte": 0}}, names) == [[] for _ in QUERIES]
    assert index.get(["blank1", "blank3"]) == [given()[1], given()[6]]
    assert index.info()["documents_without_text"] == len(BLANK)
    assert len(index) == len(given())


@pytest.mark.parametrize("text", BLANK)
def test_nothing_to_be_seen_is_no_text(text: str) -> None:
    assert not has_text(text)


@pytest.mark.parametrize("text", SEEN)
def test_whatever_can_be_seen_is_a_text(text: str) -> None:
    assert has_text(text)


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("first", [0, 1, 4])
def test_documents_without_a_text_are_kept_and_never_found(
    embeddings: Any, tmp_path: Path, on_disk: bool, first: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "b" if on_disk else None
    index = HybridIndex.build(given()[:first], EmbeddingsEncoder(Strict(embeddings)), CONFIG, path)
    with caplog.at_level(logging.WARNING, "hybridret"):
        index.add(given()[first:])
    n_blank = sum(
        not document.text.strip("\0\x1b\u200b\u200d\ufeff\u00ad \t\r\n\u3000\u00a0\u2028")
        for document in given()[first:]
    )
    assert f"{n_blank} of {len(given()) - first} documents have no text, such as 'blank" in caplog.text
    assert_never_found(index)
    index.compact()
    assert_never_found(index)
    index.save(tmp_path / "copy")
    assert_never_found(HybridIndex.open(tmp_path / "copy", EmbeddingsEncoder(Strict(embeddings))))
    assert check_bundle(tmp_path / "copy").faults == []
    with pytest.raises(InputError, match="'blank0' has no text"):
        index.explain("pump", "blank0")
    with pytest.raises(InputError, match="no document 'blank0' in the index that the filter matches"):
        index.explain("pump", "blank0", {"n": -1})
    index.add([Document("blank0", "The pump has a text by now", {"n": -1})], replace=True)
    index.add([Document("pump", " ", {})], replace=True)
    (hits,) = index.search(["pump"], 99)
    assert {hit.doc_id for hit in hits} == {"blank0", "valve", "dot"}


def test_bundles_of_earlier_versions_find_them_no_more(
    embeddings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier version encoded what has no text like any other."""
    with monkeypatch.context() as earlier:
        for module in (ingestion, generation):
            earlier.setattr(module, "has_text", lambda text: True)
        made = HybridIndex.build(given(), EmbeddingsEncoder(embeddings), CONFIG)
        made.save(tmp_path / "b")
        assert len(made.search(["RPO"], 99)[0]) == len(given())
        assert np.linalg.norm(made._changes.generation.dense.vectors, axis=1) == pytest.approx(1.0)
    index = HybridIndex.open(tmp_path / "b", EmbeddingsEncoder(embeddings))
    assert_never_found(index)
    index.add([Document("new", "A new one", {"n": -2})])
    index.delete(["new"])
    assert_never_found(HybridIndex.open(tmp_path / "b", EmbeddingsEncoder(embeddings)))


def test_long_documents_are_spoken_of_once_and_not_once_they_are_split(
    tiny_encoder: TransformerEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    """The tiny model's window is 64 letters; 1,400 letters make two chunks, which are too long for it as well."""
    long = Document("long", "ab cd " * 240, {})
    index = HybridIndex.build([], tiny_encoder, CONFIG)
    with caplog.at_level(logging.WARNING, "hybridret"):
        index.add([Document("short", "a b", {})])
        assert caplog.text == ""
        index.add([long, Document("other", "c d", {})])
        assert len(caplog.records) == 1
        cut = int(tiny_encoder.count_cut_tokens([long.text])[0])
        assert "1 of 2 documents are longer than the model's window of 64 tokens, such as 'long': " in caplog.text
        assert f"do not see the {cut} tokens beyond it" in caplog.text
        assert "chunk=True (--chunk on the command line)" in caplog.text
        index.add([long._replace(doc_id="longer")])
        assert len(caplog.records) == 1
        chunked = HybridIndex.build([long], tiny_encoder, CONFIG, chunk=True)
        assert "2 of 2 documents are longer" in caplog.records[-1].getMessage()
        assert caplog.records[-1].getMessage().endswith("split them into smaller parts")
    assert chunked.ids() == {"long#0", "long#1"}
