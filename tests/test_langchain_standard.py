"""LangChain's own suites for retrievers, document indexes and vector stores, nothing skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests
from langchain_tests.integration_tests.indexer import AsyncDocumentIndexTestSuite, DocumentIndexerTestSuite

from hybridret import HybridRetriever, HybridVectorStore


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


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorStore]:
        with HybridVectorStore.from_texts([], self.get_embeddings()) as store:
            yield store


class TestVectorStoreOnDisk(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[VectorStore]:
        with HybridVectorStore.from_texts([], self.get_embeddings(), path=tmp_path / "b") as store:
            yield store


def test_no_test_of_the_suites_is_skipped_or_expected_to_fail() -> None:
    for suite in (TestRetriever, TestDocumentIndex, TestAsyncDocumentIndex, TestVectorStore, TestVectorStoreOnDisk):
        for name in dir(suite):
            if name.startswith("test_"):
                marks = {mark.name for mark in getattr(getattr(suite, name), "pytestmark", [])}
                assert not marks & {"skip", "skipif", "xfail"}, (suite, name)
