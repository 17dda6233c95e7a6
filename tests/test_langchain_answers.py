"""Answers equal stored documents; what a query says of them is asked for, and never takes a field's place."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document

from hybridret import HybridRetriever, HybridVectorStore
from hybridret.answers import QueryFacts
from hybridret.types import RETRIEVERS
from tests.conftest import TEXTS, StubEmbeddings

WORDS = sorted({word for text in TEXTS.values() for word in text.lower().split()})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["score", "hybridret", "_hybridret", "relevance_score", "chunk", "x"])
FAILURE = {"reranker": {"failed": "ZeroDivisionError: division by zero"}}


def broken(query: str, texts: Any) -> Any:
    return 1 / 0


STAGES: list[dict[str, Any]] = [
    {},
    {"split_queries": True},
    {"reranker": lambda query, texts: [-len(text) for text in texts]},
    {"reranker": broken},
    {"diversity": 0.5},
    {"weights": {"bm25": 1.0}},
]


@pytest.fixture(scope="module", params=range(len(STAGES)))
def stage(request: pytest.FixtureRequest) -> dict[str, Any]:
    return STAGES[request.param]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(NAMES, VALUES), min_size=3, max_size=8), st.lists(st.sampled_from(WORDS), min_size=1))
def test_answers_equal_what_is_stored_and_may_be_stored_again(
    stage: dict[str, Any], metadatas: list[dict[str, Any]], words: list[str]
) -> None:
    texts = list(TEXTS.values())[: len(metadatas)]
    ids = list(TEXTS)[: len(metadatas)]
    retriever = HybridRetriever.from_texts(
        texts, metadatas, ids, embedding=StubEmbeddings(), docid_levels=2, k=8, **stage
    )
    stored = {document.id: document for document in retriever.get(ids)}
    assert [document.metadata for document in stored.values()] == metadatas
    plain = retriever.invoke(" ".join(words))
    scored = retriever.invoke(" ".join(words), with_scores=True)
    assert len(plain) == len(metadatas)
    flags = {"hybridret", "_hybridret", "__hybridret"}
    for document in plain:
        flagged = [name for name, value in document.metadata.items() if isinstance(value, QueryFacts)]
        assert len(flagged) == ("reranker" in stage and stage["reranker"] is broken)
        assert set(flagged) <= flags - set(stored[document.id].metadata)
        assert all(document.metadata[name] == FAILURE for name in flagged)
        own = {name: value for name, value in document.metadata.items() if name not in flagged}
        assert document.model_copy(update={"metadata": own}) == stored[document.id]
    assert [document.id for document in scored] == [document.id for document in plain]
    for document in scored:
        facts = {name: value for name, value in document.metadata.items() if isinstance(value, QueryFacts)}
        (name,) = facts
        assert name.lstrip("_") == "hybridret"
        assert name not in stored[document.id].metadata
        assert {**document.metadata, **facts} == {**stored[document.id].metadata, **facts}
        assert {"score", *RETRIEVERS} <= set(facts[name])
        json.dumps(document.metadata)
    copies = [copy.deepcopy(scored), pickle.loads(pickle.dumps(scored)), [each.model_copy() for each in scored]]
    for again in (plain, scored, *copies):
        retriever.upsert(again)
        assert {document.id: document for document in retriever.get(ids)} == stored


def test_the_score_is_of_the_last_stage_that_scored(retriever: HybridRetriever) -> None:
    def by_length(query: str, texts: Any) -> list[float]:
        return [-float(len(text)) for text in texts]

    first = {hit.doc_id: (rank, hit.score) for rank, hit in enumerate(retriever.search(["cats sleep"], 8)[0], 1)}
    second = retriever.model_copy(update={"reranker": by_length, "with_scores": True})
    for rank, document in enumerate(second.invoke("cats sleep", k=8), 1):
        facts, length = document.metadata["hybridret"], len(document.page_content)
        assert facts["score"] == -length
        assert facts["reranker"] == {"rank": rank, "score": -length}
        assert (facts["first_stage"]["rank"], facts["first_stage"]["score"]) == first[str(document.id)]
    failing = second.model_copy(update={"reranker": lambda query, texts: 1 / 0})
    for document in failing.invoke("cats sleep", k=8):
        assert document.metadata["hybridret"]["score"] == first[str(document.id)][1]
        assert "first_stage" not in document.metadata["hybridret"]


def test_a_least_score_is_of_the_first_stage(retriever: HybridRetriever) -> None:
    hits = retriever.search(["cats sleep all day"], 8)[0]
    bound = hits[2].score
    second = retriever.model_copy(update={"reranker": lambda query, texts: [float(len(text)) for text in texts]})
    found = second.invoke("cats sleep all day", min_score=bound, k=8)
    assert {document.id for document in found} == {hit.doc_id for hit in hits if hit.score >= bound}
    assert [len(document.page_content) for document in found] == sorted(
        (len(document.page_content) for document in found), reverse=True
    )


def test_diversity_chooses_among_what_the_reranker_put_in_order(embeddings: Any) -> None:
    """Two copies of the document that the reranker likes most, one that it likes a little less, one not at all."""
    texts = ["bees make honey", "bees make honey", "owls hunt mice", "fish swim"]
    liking = dict(zip(texts[1:], (1.0, 0.9, 0.0), strict=True))
    retriever = HybridRetriever.from_texts(
        texts,
        ids=["a", "b", "c", "d"],
        embedding=embeddings,
        reranker=lambda query, asked: [liking[text] for text in asked],
    )
    assert [document.id for document in retriever.invoke("bees honey", k=2)] in (["a", "b"], ["b", "a"])
    first, second = retriever.invoke("bees honey", k=2, diversity=0.5)
    assert first.page_content == "bees make honey"
    assert second.id == "c"
    # .5 * 0.9 - .5 * cosine beats .5 * 1 - .5 * 1 wherever the cosine is below 0.9
    vectors = retriever.index.vectors_of(["a", "c"])
    assert float(vectors["a"] @ vectors["c"]) < 0.9


def test_an_answer_that_went_through_json_is_a_document_like_any_other(retriever: HybridRetriever) -> None:
    (scored,) = retriever.invoke("cats", k=1, with_scores=True)
    revived = Document.model_validate_json(scored.model_dump_json())
    assert revived.metadata == scored.metadata
    retriever.upsert([revived])
    assert retriever.get([str(scored.id)])[0].metadata == scored.metadata
    (again,) = retriever.invoke("cats", k=1, with_scores=True)
    assert again.metadata["hybridret"] == scored.metadata["hybridret"]
    assert set(again.metadata["_hybridret"]) >= {"score", *RETRIEVERS}


@pytest.mark.parametrize("name", ["score", "hybridret"])
def test_own_fields_are_filtered_by_as_any(embeddings: Any, name: str) -> None:
    store = HybridVectorStore.from_texts(["one", "two"], embeddings, [{name: 4.5}, {name: 1}], ids=["a", "b"])
    assert [document.id for document in store.similarity_search("two", filter={name: {"$gt": 2}})] == ["a"]
