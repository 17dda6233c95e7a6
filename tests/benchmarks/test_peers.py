"""Peers: what they answer against a slow oracle, and what is said of one that cannot run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rank_bm25 import BM25Okapi

from benchmarks import dsi, peers
from benchmarks.collection import Collection
from benchmarks.peers import NOT_RUN, PEERS, Peer, generation, measured_peer
from benchmarks.subject import Subject
from hybridret.bm25 import BM25Okapi as DropIn
from hybridret.bm25 import Tokenizer
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder
from hybridret.errors import MissingExtraError
from hybridret.hybrid import HybridIndex
from hybridret.types import Document


@pytest.fixture
def subject(collection: Collection, embeddings: Any, tmp_path: Path) -> Subject:
    index = HybridIndex.build(collection.documents, EmbeddingsEncoder(embeddings), Config(docid_levels=3))
    return Subject(collection, index, tmp_path)


def test_rank_bm25_gives_what_the_drop_in_class_gives(subject: Subject) -> None:
    texts = list(subject.collection.dataset.queries.values())
    answers = peers.rank_bm25(subject).search(texts, 8)
    ids = [document.doc_id for document in subject.collection.documents]
    ours = DropIn([document.text for document in subject.collection.documents], Tokenizer("english"))
    for text, answer in zip(texts, answers, strict=True):
        scores = dict(zip(ids, ours.get_scores(Tokenizer("english")(text)), strict=True))
        assert answer == pytest.approx({doc_id: scores[doc_id] for doc_id in answer})
        assert min(answer.values()) == pytest.approx(sorted(scores.values())[-8:][0])


def test_semantic_search_gives_what_dense_gives(subject: Subject) -> None:
    subject.index.delete(["dog"])
    (answer,) = peers.semantic_search(subject).search(["who makes honey"], 7)
    ours = {hit.doc_id: hit.score for hit in subject.index.search(["who makes honey"], 7, retrievers=["dense"])[0]}
    assert answer == pytest.approx(ours, abs=1e-6)
    assert "dog" not in answer


def test_the_ensemble_sums_reciprocal_ranks(subject: Subject) -> None:
    pytest.importorskip("langchain_classic")
    pytest.importorskip("langchain_community")
    text = "who makes honey"
    (answer,) = peers.ensemble(subject).search([text], 8)
    documents, tokenize = subject.collection.documents, Tokenizer("english")
    scores = BM25Okapi([tokenize(document.text) for document in documents]).get_scores(tokenize(text))
    words = [documents[at].doc_id for at in np.argsort(scores)[::-1]]
    meanings = [hit.doc_id for hit in subject.index.search([text], 8, retrievers=["dense"])[0]]
    sums = {name: 0.5 / (61 + words.index(name)) + 0.5 / (61 + meanings.index(name)) for name in words}
    assert [sums[name] for name in answer] == pytest.approx(sorted(sums.values(), reverse=True))


def test_bm25s_finds_the_word(subject: Subject) -> None:
    pytest.importorskip("bm25s")
    one, none = peers.bm25s(subject).search(["who purrs", "zebra"], 100)
    assert next(iter(one)) == "cat"
    assert len(one) == 8
    assert set(none.values()) == {0.0}


def test_a_dsi_style_model_learns_its_documents(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"VOCABULARY": 200, "WIDTH": 32, "LAYERS": 1, "DECODER_LAYERS": 1, "RATE": 1e-2}.items():
        monkeypatch.setattr(dsi, name, value)
    system = dsi.Dsi(subject, seconds=float("inf"), most_steps=80)
    assert system.steps == 80
    documents = subject.collection.documents
    answers = system([document.text for document in documents], 8)
    assert all(set(answer) == {document.doc_id for document in documents} for answer in answers)
    found = [next(iter(answer)) == document.doc_id for answer, document in zip(answers, documents, strict=True)]
    assert sum(found) > len(documents) / 2


def test_every_peer_is_measured_or_says_why_not(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "DSI_SECONDS", 0.1)
    for name, make in PEERS.items():
        found = measured_peer(make, subject, 2)
        if NOT_RUN in found:
            assert "pip install" in found[NOT_RUN], name
            continue
        assert found["version"]
        assert set(found["run"]) == set(subject.collection.dataset.queries)
        assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]


def test_a_peer_that_is_missing_or_fails_is_not_run(subject: Subject) -> None:
    def missing(_: Subject) -> Peer:
        raise MissingExtraError("x is not installed; run: pip install 'hybridret[peers]'")

    def failing(_: Subject) -> Peer:
        return Peer("1", lambda texts, k: [{}[text] for text in texts])

    told = measured_peer(missing, subject, 2)
    assert told == {NOT_RUN: "MissingExtraError: x is not installed; run: pip install 'hybridret[peers]'"}
    assert set(measured_peer(failing, subject, 2)) == {NOT_RUN}


def test_generation_is_timed_over_the_collection_s_own_docids(
    collection: Collection, embeddings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [Document(f"d{at}", f"word{at} and word{at * 7}", {}) for at in range(60)]
    index = HybridIndex.build(documents, EmbeddingsEncoder(embeddings), Config(docid_levels=9, docid_codes=15))
    codes = index._changes.generation.docid.codes
    seen: list[Any] = []

    def timed(model: Any, trie: Any, allowed: Any) -> dict[str, float]:
        seen.extend([trie, allowed])
        return {"generate/ours": 3.0}

    monkeypatch.setattr(peers, "timed_decoding", timed)
    monkeypatch.setattr(peers, "make_backbone", lambda vocabulary: None)
    found = generation(Subject(collection, index, tmp_path))
    assert found["generate/ours"] == 3.0
    assert found["docids"] == seen[0].n_leaves == len(np.unique(codes[:, :8], axis=0))


def test_generation_says_what_it_needs(subject: Subject) -> None:
    assert "at least 8 levels" in generation(subject)[NOT_RUN]
