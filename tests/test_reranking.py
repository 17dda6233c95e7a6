"""The second stage: by a cross-encoder, a compressor or a function, and without it where it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from langchain_core.documents import BaseDocumentCompressor, Document

from hybridret import HybridRetriever
from tests.conftest import TEXTS


@pytest.fixture
def retriever(embeddings: Any) -> HybridRetriever:
    return HybridRetriever.from_texts(
        TEXTS.values(), ids=TEXTS.keys(), embedding_model=embeddings, k=3, with_scores=True
    )


def shortest(query: str, texts: Sequence[str]) -> list[float]:
    return [-len(text) for text in texts]


class LastTwo(BaseDocumentCompressor):
    def compress_documents(self, documents: Sequence[Document], query: str, callbacks: Any = None) -> list[Document]:
        return list(documents)[-2:]


def test_a_function_puts_the_first_stages_documents_in_another_order(retriever: HybridRetriever) -> None:
    first = retriever.invoke("who sleeps all day", k=5)
    second = retriever.model_copy(update={"reranker": shortest, "rerank_top": 5}).invoke("who sleeps all day", k=3)
    expected = sorted(first, key=lambda document: len(document.page_content))[:3]
    assert [document.id for document in second] == [document.id for document in expected]
    for rank, document in enumerate(second, 1):
        facts = document.metadata["hybridret"]["reranker"]
        assert facts == {"rank": rank, "score": -len(document.page_content)}
        (same,) = [each for each in first if each.id == document.id]
        before = {"rank": first.index(same) + 1, "score": same.metadata["hybridret"]["score"]}
        assert document.metadata["hybridret"]["first_stage"] == before
        assert document.metadata["hybridret"]["score"] == facts["score"]


def test_a_cross_encoder_scores_as_it_predicts(retriever: HybridRetriever, tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import AutoConfig, AutoTokenizer, BertForSequenceClassification

    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(tiny_model)
    config.num_labels = 1
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path)
    model = CrossEncoder(str(tmp_path), device="cpu")
    found = retriever.model_copy(update={"reranker": model}).invoke("honey", k=8)
    scores = model.predict([("honey", document.page_content) for document in found])
    assert [document.metadata["hybridret"]["reranker"]["score"] for document in found] == pytest.approx(scores.tolist())
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_a_compressor_may_leave_documents_out(retriever: HybridRetriever) -> None:
    first = retriever.invoke("birds", k=6)
    found = retriever.model_copy(update={"reranker": LastTwo(), "rerank_top": 6}).invoke("birds", k=3)
    assert [document.id for document in found] == [document.id for document in first[-2:]]


FAULTS: dict[str, Callable[..., Any]] = {
    "raises": lambda query, texts: 1 / 0,
    "too few": lambda query, texts: [1.0],
    "no numbers": lambda query, texts: [float("nan")] * len(texts),
    "words": lambda query, texts: ["much"] * len(texts),
    "nothing": lambda query, texts: None,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_reranker_leaves_the_first_stage_and_is_said(retriever: HybridRetriever, fault: str) -> None:
    first = retriever.invoke("fish", k=3)
    found = retriever.model_copy(update={"reranker": FAULTS[fault]}).invoke("fish", k=3)
    assert [document.id for document in found] == [document.id for document in first]
    assert all(document.metadata["hybridret"]["reranker"]["failed"] for document in found)


async def test_batches_and_coroutines_are_reranked_too(retriever: HybridRetriever) -> None:
    second = HybridRetriever(index=retriever.index, k=2, reranker=shortest)
    alone = [second.invoke(query) for query in ("cats", "dogs")]
    assert second.batch(["cats", "dogs"]) == alone == await second.abatch(["cats", "dogs"])


def test_what_cannot_rerank_is_refused(retriever: HybridRetriever) -> None:
    with pytest.raises(ValueError, match="not a int"):
        HybridRetriever(index=retriever.index, reranker=5)


def test_nothing_found_is_nothing_reranked(retriever: HybridRetriever) -> None:
    assert HybridRetriever(index=retriever.index, reranker=shortest, filter={"no": 1}).invoke("cats") == []


def test_a_hanging_reranker_leaves_the_first_stage_in_time(retriever: HybridRetriever) -> None:
    released, budget = Event(), 2.0
    slow = retriever.model_copy(update={"reranker": lambda query, texts: released.wait(), "time_budget": budget})
    start = time.monotonic()
    found = slow.batch(["fish", "birds"], k=3)
    assert time.monotonic() - start < 1.2 * budget
    released.set()
    for query, documents in zip(["fish", "birds"], found, strict=True):
        assert [document.id for document in documents] == [document.id for document in retriever.invoke(query, k=3)]
        facts = documents[0].metadata["hybridret"]
        assert facts["reranker"]["failed"] == "TimeoutError: its time was over"
        assert not any("failed" in facts[name] for name in ("dense", "bm25", "docid"))


def test_a_reranker_with_time_enough_does_as_ever(retriever: HybridRetriever) -> None:
    second = retriever.model_copy(update={"reranker": shortest})
    assert second.model_copy(update={"time_budget": 60.0}).invoke("fish") == second.invoke("fish")
