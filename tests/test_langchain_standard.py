"""LangChain's own suites for retrievers and document indexes, nothing skipped."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests
from langchain_tests.integration_tests.indexer import AsyncDocumentIndexTestSuite, DocumentIndexerTestSuite

from hybridret import HybridRetriever


def empty_index() -> HybridRetriever:
    return HybridRetriever.from_texts([], embedding_model=DeterministicFakeEmbedding(size=16))


class TestRetriever(RetrieversIntegrationTests):
    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return HybridRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        texts = [f"Animal number {number} lives in zoo {number % 3}" for number in range(10)]
        retriever = HybridRetriever.from_texts(texts, embedding_model=DeterministicFakeEmbedding(size=16))
        return {"index": retriever.index}

    @property
    def retriever_query_example(self) -> str:
        return "which animal lives in zoo 2?"


class TestDocumentIndex(DocumentIndexerTestSuite):
    @pytest.fixture
    def index(self) -> HybridRetriever:
        return empty_index()


class TestAsyncDocumentIndex(AsyncDocumentIndexTestSuite):
    @pytest.fixture
    async def index(self) -> HybridRetriever:
        return empty_index()
