"""Random changes, saves and searches of an index against a dict of documents."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import rank_bm25
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hybridret import generation
from hybridret.bm25 import Tokenizer
from hybridret.check import check_bundle
from hybridret.config import Config
from hybridret.data.chunk import chunk_documents
from hybridret.dense import EmbeddingsEncoder
from hybridret.errors import InputError
from hybridret.generative import retriever
from hybridret.hybrid import HybridIndex
from hybridret.types import RETRIEVERS, Document

pytestmark = pytest.mark.slow

ALL = 1000
SCALE = 20.0
CONFIG = Config(docid_levels=3, docid_codes=4)
WORDS = ["cat", "cats", "dog", "the", "bark", "read_csv", "honey", "honey", "sea", "猫犬", "!", "x1", "Bees", "night"]
QUERIES = ["cat", "dog honey honey", "unknown", "the", "read_csv 猫犬 sea", "bees bark night x1"]
IDS = [f"d{number:02}" for number in range(40)] + ["猫", "a'b\"c", "../x", "x y", "guide#0"]
ABSENT = ["", "nobody", "a\0b"]
SPLIT = ["guide", "d03", "猫"]
"""Ids under which long documents come, too; ``d03`` and ``猫`` are also ids of short ones. ``guide#0`` is one."""


class Asked(NamedTuple):
    """A filter, and what it means in Python."""

    filter: dict[str, Any]
    meets: Callable[[dict[str, Any]], bool]


def either(one: Asked, other: Asked) -> Asked:
    return Asked({"$or": [one.filter, other.filter]}, lambda data: one.meets(data) or other.meets(data))


def both(one: Asked, other: Asked) -> Asked:
    return Asked({"$and": [one.filter, other.filter]}, lambda data: one.meets(data) and other.meets(data))


def neither(one: Asked) -> Asked:
    return Asked({"$not": one.filter}, lambda data: not one.meets(data))


def deep(data: dict[str, Any]) -> Any:
    return data.get("deep", {}).get("x")


NAMES = ["ann", "bob", "猫", "'); DROP TABLE documents; --"]
numbers = st.integers(0, 3)
simple_filters = st.one_of(
    numbers.map(lambda n: Asked({"group": n}, lambda data: data.get("group") == n)),
    numbers.map(lambda n: Asked({"group": {"$eq": n}}, lambda data: data.get("group") == n)),
    numbers.map(lambda n: Asked({"group": {"$ne": n}}, lambda data: data.get("group") != n)),
    numbers.map(lambda n: Asked({"group": {"$gte": n}}, lambda data: "group" in data and data["group"] >= n)),
    numbers.map(lambda n: Asked({"group": {"$lt": n}}, lambda data: "group" in data and data["group"] < n)),
    st.lists(numbers).map(lambda some: Asked({"group": {"$in": some}}, lambda data: data.get("group") in some)),
    st.lists(numbers).map(lambda some: Asked({"group": {"$nin": some}}, lambda data: data.get("group") not in some)),
    st.sampled_from([None, *NAMES]).map(lambda name: Asked({"name": name}, lambda data: data.get("name") == name)),
    st.booleans().map(lambda there: Asked({"name": {"$exists": there}}, lambda data: ("name" in data) == there)),
    st.sampled_from([0.5, 1, "1"]).map(lambda value: Asked({"deep": {"x": value}}, lambda data: deep(data) == value)),
    st.sampled_from([0.5, 1, "1"]).map(lambda value: Asked({"deep.x": value}, lambda data: deep(data) == value)),
    st.just(Asked({}, lambda data: True)),
)
filters = st.recursive(
    simple_filters,
    lambda inner: st.one_of(st.builds(either, inner, inner), st.builds(both, inner, inner), st.builds(neither, inner)),
    max_leaves=3,
)
OFTEN_ASKED = Asked({"group": {"$in": [0, 1, 3]}}, lambda data: data.get("group") in (0, 1, 3))
"""Its rows are kept between searches, and must follow each change."""
texts = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)
metadatas = st.fixed_dictionaries(
    {},
    optional={
        "group": numbers,
        "name": st.sampled_from([None, *NAMES]),
        "deep": st.fixed_dictionaries({"x": st.sampled_from([0.5, 1, "1"])}),
    },
)
contents = st.tuples(texts, metadatas)
handles = st.integers(0, 1)


def first_documents(n: int) -> list[Document]:
    chance = random.Random(n)
    return [
        Document(doc_id, " ".join(chance.choices(WORDS, k=chance.randrange(9))), {"group": chance.randrange(4)})
        for doc_id in chance.sample(IDS, n)
    ]


class IndexMachine(RuleBasedStateMachine):
    """An index in memory or two open handles of one bundle, against ``documents`` in the order of their insertion.

    Attributes:
        prunes: Whether docids are found by few beams, so that the best may be missed.
        seen: How often what happened, so that no test is vacuous.
    """

    def __init__(self, folder: Path, embeddings: Any, prunes: bool, seen: Counter[str]) -> None:
        super().__init__()
        self.encoder = EmbeddingsEncoder(embeddings)
        self.tokenizer = Tokenizer()
        self.prunes, self.seen = prunes, seen
        self.paths = (folder / str(number) for number in count())
        self.path: Path | None = None
        self.open: list[HybridIndex] = []
        self.documents: dict[str, Document] = {}
        self.vectors: dict[str, Any] = {}
        self.n_checked = 0

    def family(self, doc_id: str) -> list[str]:
        """The ids of a document and of its chunks."""
        return [each for each, held in self.documents.items() if each == doc_id or held.parent == doc_id]

    @initialize(n=st.sampled_from([0, 1, 25, 35]), on_disk=st.sampled_from([True, True, False]))
    def begin(self, n: int, on_disk: bool) -> None:
        documents = first_documents(n)
        self.path = next(self.paths) if on_disk else None
        self.open = [HybridIndex.build(documents, self.encoder, CONFIG, self.path)]
        if self.path is not None:
            self.open.append(HybridIndex.open(self.path, self.encoder))
        self.documents = {document.doc_id: document for document in documents}

    @rule(data=st.data(), written=st.lists(contents, min_size=1, max_size=4), by=handles)
    def add(self, data: st.DataObject, written: list[tuple[str, Any]], by: int) -> None:
        free = [doc_id for doc_id in IDS if not self.family(doc_id)]
        if not free:
            return
        ids = data.draw(st.lists(st.sampled_from(free), unique=True, max_size=4, min_size=1))
        self._put(ids, written, by, replace=False)

    @rule(
        ids=st.lists(st.sampled_from(IDS), unique=True, max_size=4),
        written=st.lists(contents, min_size=1, max_size=4),
        by=handles,
    )
    def upsert(self, ids: list[str], written: list[tuple[str, Any]], by: int) -> None:
        self._put(ids, written, by, replace=True)

    @precondition(lambda self: self.documents)
    @rule(data=st.data(), free=st.sampled_from(IDS), by=handles)
    def add_one_that_is_there(self, data: st.DataObject, free: str, by: int) -> None:
        taken = data.draw(st.sampled_from(sorted(self.documents)))
        batch = [Document(doc_id, "cats", {}) for doc_id in dict.fromkeys([free, taken])]
        with pytest.raises(InputError, match="is in the index already"):
            self._handle(by).add(batch)

    @rule(doc_id=st.sampled_from(SPLIT), n_words=st.sampled_from([3, 250, 600]), replace=st.booleans(), by=handles)
    def put_what_may_be_split(self, doc_id: str, n_words: int, replace: bool, by: int) -> None:
        """The oracle goes by a scan over all documents."""
        given = Document(doc_id, " ".join(random.Random(n_words).choices(WORDS, k=n_words)), {"group": n_words % 4})
        expected, family = list(chunk_documents([given])), self.family(doc_id)
        taken = [each.doc_id for each in expected if each.doc_id in self.documents and each.doc_id not in family]
        if taken or (family and not replace):
            with pytest.raises(InputError, match=r"that of another document|is in the index already"):
                self._handle(by).add([given], replace=replace, chunk=True)
            return
        assert self._handle(by).add([given], replace=replace, chunk=True) == [doc_id]
        for each in family:
            del self.documents[each]
        self.documents |= {each.doc_id: Document(*each) for each in expected}
        self.seen["split"] += len(expected) > 1
        self.seen["another version"] += bool(family)
        self._changed(True, by)

    @rule(ids=st.lists(st.sampled_from([*IDS, *SPLIT, *ABSENT]), max_size=9), by=handles)
    def delete(self, ids: list[str], by: int) -> None:
        there = {doc_id: family for doc_id in ids if (family := self.family(doc_id))}
        assert self._handle(by).delete(ids) == list(there)
        for each in {each for family in there.values() for each in family}:
            del self.documents[each]
        self._changed(bool(there), by)

    @rule(by=handles)
    def compact(self, by: int) -> None:
        self._handle(by).compact()

    @precondition(lambda self: self.path is not None)
    @rule(which=handles)
    def reopen(self, which: int) -> None:
        assert self.path is not None
        self.open[which] = HybridIndex.open(self.path, self.encoder)

    @rule(by=handles)
    def save_and_go_on_there(self, by: int) -> None:
        path = next(self.paths)
        self._handle(by).save(path)
        self._close()
        self.path = path
        self.open = [HybridIndex.open(path, self.encoder) for _ in range(2)]

    @precondition(lambda self: self.path is not None)
    @rule(by=handles)
    def be_replaced_by_a_copy(self, by: int) -> None:
        assert self.path is not None
        copy = next(self.paths)
        self._handle(by).save(copy)
        HybridIndex.open(copy, self.encoder).save(self.path)
        shutil.rmtree(copy)

    @rule(asked=st.lists(filters, min_size=2, max_size=5), query=st.sampled_from(QUERIES), k=st.integers(1, 12))
    def search(self, asked: list[Asked], query: str, k: int) -> None:
        for one in [*asked, OFTEN_ASKED]:
            self._search(one, query, k)

    @invariant()
    def agrees(self) -> None:
        self.seen["checked"] += 1
        self.n_checked += 1
        query = QUERIES[self.n_checked % len(QUERIES)]
        self._search(OFTEN_ASKED, query, 1 + self.n_checked % 9)
        for index in self.open:
            assert index.ids() == set(self.documents)
            assert len(index) == len(self.documents)
            assert index.get([*ABSENT, *self.documents]) == list(self.documents.values())
            for doc_id in SPLIT:
                assert index.get([doc_id]) == [self.documents[each] for each in self.family(doc_id)]
            scores = {}
            for name in RETRIEVERS:
                hits = index.search([query], ALL, retrievers=[name])[0]
                scores[name] = {hit.doc_id: hit.score for hit in hits}
                assert [hit.doc_id for hit in hits] == sorted(
                    self.searchable, key=lambda doc_id: by_score((doc_id, scores[name][doc_id]))
                )
            self._check_bm25(query, scores["bm25"])
            self._check_dense(query, scores["dense"])
            self._check_docid(index, query, scores["docid"])

    @property
    def searchable(self) -> list[str]:
        """The ids of the documents with a text."""
        return [doc_id for doc_id, document in self.documents.items() if document.text]

    def teardown(self) -> None:
        self._close()

    def _close(self) -> None:
        self.open = []
        if self.path is not None:
            assert check_bundle(self.path) == (len(self.documents), [], [])
            shutil.rmtree(self.path)

    def _handle(self, by: int) -> HybridIndex:
        return self.open[by % len(self.open)]

    def _put(self, ids: Sequence[str], written: Iterable[tuple[str, Any]], by: int, replace: bool) -> None:
        added = [Document(doc_id, *content) for doc_id, content in zip(ids, written, strict=False)]
        assert self._handle(by).add(added, replace=replace) == [document.doc_id for document in added]
        for document in added:
            for each in self.family(document.doc_id):
                del self.documents[each]
            self.documents[document.doc_id] = document
        self._changed(bool(added), by)

    def _search(self, asked: Asked, query: str, k: int) -> None:
        matching = {doc_id for doc_id in self.searchable if asked.meets(self.documents[doc_id].metadata)}
        self.seen["filtered"] += 0 < len(matching) < len(self.documents)
        for index in self.open:
            for name in RETRIEVERS:
                all_hits = index.search([query], ALL, retrievers=[name])[0]
                scores = {hit.doc_id: hit.score for hit in all_hits}
                hits = index.search([query], k, asked.filter, [name])[0]
                found = [(hit.doc_id, hit.score) for hit in hits]
                assert len({doc_id for doc_id, _ in found} & matching) == len(found) == min(k, len(matching))
                ranked = sorted(((doc_id, scores[doc_id]) for doc_id in matching), key=by_score)
                if name == "docid" and self.prunes:
                    assert found == sorted(((doc_id, scores[doc_id]) for doc_id, _ in found), key=by_score)
                    self.seen["pruned"] += found != ranked[:k]
                else:
                    assert found == ranked[:k]
            hits = index.search([query], k, asked.filter)[0]
            assert len({hit.doc_id for hit in hits} & matching) == len(hits) == min(k, len(matching))

    def _changed(self, is_changed: bool, by: int) -> None:
        if is_changed:
            state = self._handle(by)._changes.generation
            self.seen["compacted"] += state.epoch > state.number

    def _check_bm25(self, query: str, scores: dict[str, float]) -> None:
        corpus = [self.tokenizer.document_terms(document.text) for document in self.documents.values()]
        wanted = np.zeros(len(corpus))
        if any(corpus):
            wanted = rank_bm25.BM25Plus(corpus, delta=0).get_scores(self.tokenizer(query))
        found = np.array([scores[doc_id] for doc_id in self.searchable])
        wanted = wanted[[bool(document.text) for document in self.documents.values()]]
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)

    def _check_dense(self, query: str, scores: dict[str, float]) -> None:
        asked = self._vector(query)
        for doc_id in self.searchable:
            text = self.documents[doc_id].text
            assert scores[doc_id] == pytest.approx(float(self._vector(text) @ asked), abs=1e-5)

    def _check_docid(self, index: HybridIndex, query: str, scores: dict[str, float]) -> None:
        state = index._changes.generation
        if state.docid is None:
            return
        self.seen["delta"] += len(state.docid.tries) > 1
        logits = SCALE * (state.docid.quantizer.codebooks.astype(np.float64) @ self._vector(query))
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        docids = set()
        for row, (doc_id, is_alive) in enumerate(zip(state.ids, state.alive, strict=True)):
            if is_alive:
                codes = state.docid.codes[row]
                wanted = log_probs[np.arange(len(codes)), codes].sum()
                if self.documents[doc_id].text:
                    assert scores[doc_id] == pytest.approx(wanted, abs=1e-4)
                docids.add((*codes.tolist(), int(state.docid.suffixes[row])))
        assert len(docids) == len(self.documents)

    def _vector(self, text: str) -> Any:
        if text not in self.vectors:
            self.vectors[text] = self.encoder.encode_documents([text])[0]
        return self.vectors[text]


def by_score(hit: tuple[str, float]) -> tuple[float, str]:
    return -hit[1], hit[0]


def run(make: Callable[[], IndexMachine], examples: int) -> None:
    run_state_machine_as_test(
        make,
        settings=settings(
            max_examples=examples,
            stateful_step_count=16,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_an_index_is_a_dict_of_documents_with_the_scores_of_a_fresh_build(embeddings: Any, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    run(lambda: IndexMachine(tmp_path, embeddings, prunes=False, seen=seen), examples=30)
    assert seen["checked"] > 300
    assert seen["filtered"] > 20
    assert min(seen["split"], seen["another version"]) > 3


def test_beams_over_a_base_and_a_delta_find_what_an_exhaustive_search_finds(
    embeddings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codebooks are kept for long and rows are compacted early, so that there are deltas and new epochs."""
    monkeypatch.setattr(retriever, "EXHAUSTIVE_UP_TO", 0)
    monkeypatch.setattr(retriever, "N_BEAMS", 1)
    monkeypatch.setattr(generation, "_REFIT_SHARE", 3.0)
    monkeypatch.setattr(generation, "_COMPACT_FROM", 8)
    seen: Counter[str] = Counter()
    run(lambda: IndexMachine(tmp_path, embeddings, prunes=True, seen=seen), examples=40)
    assert seen["delta"] > 50
    assert min(seen["compacted"], seen["filtered"], seen["pruned"], seen["split"], seen["another version"]) > 0
