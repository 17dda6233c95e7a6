"""Random changes against a plain dict: the same documents, and the scores of an index built afresh."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rank_bm25
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hybridret.bm25 import Tokenizer
from hybridret.check import check_bundle
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder
from hybridret.hybrid import HybridIndex
from hybridret.types import RETRIEVERS, Document

WORDS = ["pump", "valve", "water", "steam", "boiler", "gauge", "the", "read_csv", "猫が好き", ""]
IDS = st.sampled_from([f"d{number}" for number in range(14)])
TEXTS = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
QUERY = "pump steam the boiler"
FILTERS: list[tuple[dict[str, Any], Any]] = [
    ({"n": 1}, lambda m: m.get("n") == 1),
    ({"n": {"$gte": 2}}, lambda m: m.get("n", -1) >= 2),
    ({"$or": [{"n": 0}, {"kind": {"$in": ["a"]}}]}, lambda m: m.get("n") == 0 or m.get("kind") == "a"),
    ({"kind": {"$ne": "a"}}, lambda m: m.get("kind") != "a"),
    ({"$not": {"n": {"$exists": True}}}, lambda m: "n" not in m),
]
METADATA = st.fixed_dictionaries({}, optional={"n": st.integers(0, 3), "kind": st.sampled_from("ab")})


class WordVectors:
    """One random vector a word, summed."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        total = np.zeros(12)
        for word in [*text.split(), "[end]"]:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
            total += np.random.default_rng(seed).normal(size=12)
        vector: list[float] = total.tolist()
        return vector


class LivingIndex(RuleBasedStateMachine):
    """A bundle, another handle on it, and the dict that they must equal."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.model: dict[str, Document] = {}
        self.is_compact = True
        self.encoder = EmbeddingsEncoder(WordVectors())

    @initialize()
    def start(self) -> None:
        HybridIndex.build([], self.encoder, Config(docid_levels=3, docid_codes=4), self.folder / "b")
        self.index = HybridIndex.open(self.folder / "b", self.encoder)
        self.other = HybridIndex.open(self.folder / "b", self.encoder)

    @rule(new=st.lists(st.tuples(IDS, TEXTS, METADATA), max_size=5, unique_by=lambda item: item[0]))
    def upsert(self, new: list[tuple[str, str, dict[str, Any]]]) -> None:
        self.index.add([Document(*item) for item in new], replace=True)
        for item in new:
            self.is_compact &= item[0] not in self.model
            self.model.pop(item[0], None)
            self.model[item[0]] = Document(*item)

    @rule(new=st.lists(st.tuples(IDS, TEXTS, METADATA), min_size=1, max_size=3, unique_by=lambda item: item[0]))
    def add(self, new: list[tuple[str, str, dict[str, Any]]]) -> None:
        fresh = [Document(*item) for item in new if item[0] not in self.model]
        self.other.add(fresh)
        self.model |= {document.doc_id: document for document in fresh}

    @rule(doc_ids=st.lists(IDS, max_size=4))
    def delete(self, doc_ids: list[str]) -> None:
        deleted = self.index.delete(doc_ids)
        assert deleted == [doc_id for doc_id in dict.fromkeys(doc_ids) if doc_id in self.model]
        for doc_id in deleted:
            del self.model[doc_id]
        self.is_compact &= not deleted

    @rule()
    def compact(self) -> None:
        self.other.compact()
        self.is_compact = True

    @rule()
    def reload(self) -> None:
        self.index = HybridIndex.open(self.folder / "b", self.encoder)

    @rule()
    def save_elsewhere_and_back(self) -> None:
        self.index.save(self.folder / "c")
        shutil.rmtree(self.folder / "moved", ignore_errors=True)
        HybridIndex.open(self.folder / "c", self.encoder).save(self.folder / "b")

    @rule(case=st.sampled_from(FILTERS), k=st.integers(1, 20))
    def filtered(self, case: tuple[dict[str, Any], Any], k: int) -> None:
        filter, matches = case
        expected = {doc_id for doc_id, document in self.model.items() if matches(document.metadata)}
        for name in RETRIEVERS:
            found = [hit.doc_id for hit in self.index.search([QUERY], k, filter, [name])[0]]
            assert len(found) == len(set(found)) == min(k, len(expected))
            assert set(found) <= expected

    @precondition(lambda self: self.model)
    @rule()
    def beams_equal_exhaustive_scores(self) -> None:
        exhaustive = self.other.search([QUERY], 100, retrievers=["docid"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hybridret.generative.retriever.EXHAUSTIVE_UP_TO", -1)
            searched = self.other.search([QUERY], 100, retrievers=["docid"])
        assert [hit.doc_id for hit in searched[0]] == [hit.doc_id for hit in exhaustive[0]]
        for one, other in zip(searched[0], exhaustive[0], strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-4)

    @invariant()
    def both_handles_equal_the_dict(self) -> None:
        for handle in (self.index, self.other):
            assert handle.ids() == set(self.model)
            assert handle.get(list(self.model)) == list(self.model.values())
            for name in RETRIEVERS:
                assert {hit.doc_id for hit in handle.search([QUERY], 100, retrievers=[name])[0]} == set(self.model)

    @invariant()
    def scores_are_those_of_a_fresh_build(self) -> None:
        if not self.model:
            return
        scores = {
            name: {hit.doc_id: hit.score for hit in self.index.search([QUERY], 100, retrievers=[name])[0]}
            for name in ("bm25", "dense")
        }
        tokenizer = Tokenizer("english")
        terms = [tokenizer(document.text) for document in self.model.values()]
        if any(terms):
            fresh = rank_bm25.BM25Okapi(terms).get_scores(tokenizer(QUERY)).tolist()
            mine = [scores["bm25"][doc_id] for doc_id in self.model]
            np.testing.assert_allclose(mine, fresh, atol=0 if self.is_compact else 1e-12, rtol=0)
        query = self.encoder.encode_queries([QUERY])[0]
        cosines = self.encoder.encode_documents([document.text for document in self.model.values()]) @ query
        np.testing.assert_allclose([scores["dense"][doc_id] for doc_id in self.model], cosines, atol=1e-5)

    def teardown(self) -> None:
        if (self.folder / "b").exists():
            assert check_bundle(self.folder / "b").faults == []
        shutil.rmtree(self.folder)


TestLivingIndex = pytest.mark.slow(LivingIndex.TestCase)
TestLivingIndex.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
