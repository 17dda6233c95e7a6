"""The LangChain face of the package: a retriever and document index in one."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.indexing import UpsertResponse
from langchain_core.indexing.base import DeleteResponse, DocumentIndex
from langchain_core.retrievers import LangSmithRetrieverParams
from langchain_core.runnables import RunnableConfig, run_in_executor
from langchain_core.runnables.config import get_config_list
from pydantic import Field, field_validator, model_validator

from hybridret.config import Config
from hybridret.data.chunk import chunk_documents
from hybridret.data.clean import clean_documents
from hybridret.dense import TransformerEncoder, make_encoder
from hybridret.errors import InputError
from hybridret.fusion import check_weights
from hybridret.guard import Budget
from hybridret.hybrid import HybridIndex
from hybridret.reranking import check_reranker, reranked
from hybridret.store.database import LOCK_SECONDS
from hybridret.types import RETRIEVERS, Document, Hit, Progress
from hybridret.understanding import Understanding, Understood, covered, turns

_ENCODER_SETTINGS = ("task", "query_prompt", "document_prompt")
_PER_CALL = ("k", "filter", "weights", "min_score", "diversity", "time_budget", "allow_partial_results")
_UNDERSTANDING, _FIRST_STAGE = 0.5, 0.7
"""Which share of a time budget may be over when queries are understood, and of what is left, when a reranker begins."""


class HybridRetriever(DocumentIndex):
    """Retrieves documents by dense vectors, BM25 and decoded docids, fused.

    Make one with ``from_texts``, ``from_documents`` or ``load``. A document's metadata comes back as a copy with two
    more entries: ``score``, and ``hybridret``: per retriever its rank and score.

    Example:
        >>> retriever = HybridRetriever.from_texts(["cats purr", "dogs bark"], ids=["cat", "dog"])
        >>> [document.id for document in retriever.invoke("which animal purrs?", k=1)]
        ['cat']
    """

    index: HybridIndex = Field(exclude=True, repr=False)
    """The pipeline underneath."""
    k: int = Field(default=4, ge=1)
    """How many documents an answer has."""
    filter: dict[str, Any] | None = None
    """Field to value: only documents whose metadata match are found."""
    weights: dict[str, float] | None = None
    """Weights of dense, bm25 and docid in a sum of their scores, instead of the index's fusion."""
    min_score: float | None = None
    """Documents whose score, a probability of relevance, is below it are left out; see ``threshold``."""
    allow_partial_results: bool = True
    """Whether the other retrievers answer where one fails or is late; if not, that is a ``RetrievalError``."""
    diversity: float = Field(default=0.0, ge=0.0, le=1.0)
    """Maximal marginal relevance: from 0, by score alone, to 1, by unlikeness to the documents before alone."""

    time_budget: float | None = Field(default=None, gt=0.0)
    """Seconds after which retrievers, reranker or language model that have not answered are left out of an answer."""

    reranker: Any = Field(default=None, exclude=True, repr=False)
    """A second stage: a ``CrossEncoder``, a LangChain document compressor or a function of a query and texts."""
    rerank_top: int = Field(default=50, ge=1)
    """How many documents the second stage sees."""

    split_queries: bool = False
    """Whether a query that asks for several things is split, each part answered, and the answers merged."""
    n_variants: int = Field(default=0, ge=0)
    """How many other wordings of a query ``llm`` gives, to be averaged with it."""
    llm: Any = Field(default=None, exclude=True, repr=False)
    """A function of a prompt or a chat model: splits queries, words them otherwise, puts conversations into them."""

    @field_validator("llm")
    @classmethod
    def _check_llm(cls, llm: Any) -> Any:
        if llm is not None and not (callable(llm) or hasattr(llm, "invoke")):
            raise InputError(
                f"llm must be a function of a prompt or a LangChain chat model, not a {type(llm).__name__}"
            )
        return llm

    @model_validator(mode="after")
    def _check_understanding(self) -> HybridRetriever:
        Understanding(self.split_queries, self.n_variants, self.llm)
        return self

    @field_validator("reranker")
    @classmethod
    def _check_reranker(cls, reranker: Any) -> Any:
        check_reranker(reranker)
        return reranker

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, weights: dict[str, float] | None) -> dict[str, float] | None:
        check_weights(weights or {}, RETRIEVERS)
        return weights

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        metadatas: Iterable[dict[str, Any]] | None = None,
        ids: Iterable[str] | None = None,
        *,
        path: str | Path | None = None,
        embedding_model: Any = None,
        chunk: bool = False,
        fit: bool | None = None,
        progress: Progress | None = None,
        **config: Any,
    ) -> HybridRetriever:
        """Indexes texts.

        Args:
            texts: The texts, read once; may be none, for documents to come.
            metadatas: One dict a text.
            ids: One id a text; by default random ones.
            path: Folder of the bundle to write and open in place, replacing one that lies there; None: in memory.
            embedding_model: A folder, a hub id, a ``SentenceTransformer`` or a LangChain ``Embeddings``.
            chunk: Whether texts longer than about 1,000 characters are split.
            fit: Whether the fusion is fitted to them, which encodes some 200 of them again; see ``HybridIndex.fit``.
                None: where the model runs here and is no LangChain ``Embeddings``.
            progress: Told how far the work is.
            **config: Fields of the retriever (``k``, ``filter``, ``weights`` ...), of ``hybridret.config.Config``, and
                ``task``, ``query_prompt`` and ``document_prompt`` of the encoder.

        Returns:
            The retriever.

        Raises:
            InputError: A text, id or setting is at fault, or the numbers of texts, metadatas and ids differ.
            ModelError: The embedding model cannot be loaded.
        """
        if isinstance(texts, str):
            raise InputError("texts must be a list of strings, not one string")
        listed = list(texts)
        given = [{}] * len(listed) if metadatas is None else list(metadatas)
        named = [None] * len(listed) if ids is None else list(ids)
        if not len(listed) == len(given) == len(named):
            raise InputError(f"there are {len(listed)} texts, {len(given)} metadatas and {len(named)} ids")
        documents = [
            Document(_new_id() if doc_id is None else doc_id, text, dict(metadata or {}))
            for doc_id, text, metadata in zip(named, listed, given, strict=True)
        ]
        encoder_settings = {name: config.pop(name) for name in _ENCODER_SETTINGS if name in config}
        names = {item.name for item in fields(Config)} - {"weights"}
        index_settings = {name: config.pop(name) for name in names & set(config)}
        if config.get("weights") is not None:
            index_settings = {"fusion": "calibrated", **index_settings, "weights": config["weights"]}
        cls._check_settings(config)
        encoder, settings = make_encoder(embedding_model, **encoder_settings), Config(**index_settings)
        retriever = cls(index=HybridIndex.build([], encoder, settings), **config)
        retriever.index = HybridIndex.build(
            chunk_documents(clean_documents(documents)) if chunk else documents,
            encoder,
            settings,
            None if path is None else Path(path),
            progress,
            isinstance(encoder, TransformerEncoder) if fit is None else fit,
        )
        return retriever

    @classmethod
    def from_documents(
        cls, documents: Iterable[LangChainDocument], *, path: str | Path | None = None, **config: Any
    ) -> HybridRetriever:
        """Indexes LangChain documents; those without an id get a random one.

        Args:
            documents: The documents, read once.
            path: As in ``from_texts``.
            **config: As in ``from_texts``.

        Returns:
            The retriever.

        Raises:
            InputError, ModelError: As in ``from_texts``.
        """
        listed = _documents(documents)
        ids, texts, metadatas = zip(*listed, strict=True) if listed else ([], [], [])
        return cls.from_texts(texts, metadatas, ids, path=path, **config)

    @classmethod
    def load(
        cls, path: str | Path, *, embedding_model: Any = None, lock_timeout: float = LOCK_SECONDS, **settings: Any
    ) -> HybridRetriever:
        """Opens a bundle in place: a change is durable when its call returns.

        Args:
            path: The bundle's folder.
            embedding_model: The model, where the bundle was built with LangChain ``Embeddings``, which it cannot hold.
            lock_timeout: Seconds that a change waits for another process's change.
            **settings: Fields of the retriever.

        Returns:
            The retriever.

        Raises:
            BundleError: There is no bundle, or it is damaged or of a newer schema.
            InputError: The model is not the one that the bundle was made with.
        """
        cls._check_settings(settings)
        encoder = None if embedding_model is None else make_encoder(embedding_model)
        return cls(index=HybridIndex.open(Path(path), encoder, lock_timeout), **settings)

    @classmethod
    def _check_settings(cls, settings: Mapping[str, Any]) -> None:
        if unknown := set(settings) - set(cls.model_fields):
            raise InputError(f"unknown setting {sorted(unknown)[0]!r}")

    def save(self, path: str | Path) -> None:
        """Writes the index as a bundle; see ``HybridIndex.save``."""
        self.index.save(Path(path))

    def refresh(self) -> None:
        """Takes up what other processes have committed; every query does so by itself."""
        self.index.refresh()

    def search(
        self,
        queries: Sequence[str],
        k: int = 10,
        filter: Mapping[str, Any] | None = None,
        retrievers: Sequence[str] = RETRIEVERS,
    ) -> list[list[Hit]]:
        """Finds hits without their documents; see ``HybridIndex.search``."""
        return self.index.search(
            queries,
            k,
            self.filter if filter is None else filter,
            retrievers,
            self.weights,
            self.diversity,
            self.time_budget,
        )

    def fit(self, questions: Mapping[str, Mapping[str, int]] | None = None) -> dict[str, Any]:
        """Learns how far to trust each retriever on this corpus; see ``HybridIndex.fit``."""
        return self.index.fit(questions)

    def threshold(self, let_through: float = 0.1, *, missed: float | None = None) -> float:
        """A ``min_score`` that off-topic questions seldom reach, after ``fit``; see ``HybridIndex.threshold``.

        Raises:
            InputError: Nothing was fitted, or to too few questions.
        """
        return self.index.threshold(let_through, missed=missed)

    def explain(self, query: str, doc_id: str) -> dict[str, Any]:
        """Says why a document is where it is for a query; see ``HybridIndex.explain``."""
        return self.index.explain(query, doc_id, self.filter, weights=self.weights)

    def add_documents(self, documents: Iterable[LangChainDocument], ids: Sequence[str] | None = None) -> list[str]:
        """Adds documents.

        Args:
            documents: The documents, read once.
            ids: One id a document, instead of the documents' own; those without get a random one.

        Returns:
            The ids.

        Raises:
            InputError: An id is in the index already, or a document is at fault; nothing was added.
        """
        return self.index.add(_documents(documents, ids))

    def upsert(self, items: Sequence[LangChainDocument], /, **kwargs: Any) -> UpsertResponse:
        """Adds documents, replacing those whose ids are present."""
        return UpsertResponse(succeeded=self.index.add(_documents(items), replace=True), failed=[])

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> DeleteResponse:
        """Deletes documents; ids that are not present are passed over.

        Raises:
            InputError: No ids were given.
        """
        if ids is None:
            raise InputError("delete needs the ids of the documents to delete")
        deleted = self.index.delete(ids)
        return DeleteResponse(num_deleted=len(deleted), succeeded=deleted, num_failed=0, failed=[])

    def get(self, ids: Sequence[str], /, **kwargs: Any) -> list[LangChainDocument]:
        """The documents of the ids that are present, in the order asked."""
        return [
            LangChainDocument(id=document.doc_id, page_content=document.text, metadata=document.metadata)
            for document in self.index.get(ids)
        ]

    def batch(
        self,
        inputs: list[str],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[list[LangChainDocument]]:
        """Answers queries, encoding them in one pass; each is traced as a run of its own.

        Where that fails they are answered one by one, so that an error is that of its query.
        """
        try:
            answers = self._answer(inputs, **kwargs)
        except Exception:
            return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)
        configs = get_config_list(config, len(inputs))
        return [
            self.invoke(text, one, answer=answer, **kwargs)
            for text, one, answer in zip(inputs, configs, answers, strict=True)
        ]

    async def abatch(
        self,
        inputs: list[str],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[list[LangChainDocument]]:
        """Answers queries like ``batch``, off the event loop."""
        try:
            answers = await run_in_executor(None, self._answer, inputs, **kwargs)
        except Exception:
            return await super().abatch(inputs, config, return_exceptions=return_exceptions, **kwargs)
        configs = get_config_list(config, len(inputs))
        return [
            await self.ainvoke(text, one, answer=answer, **kwargs)
            for text, one, answer in zip(inputs, configs, answers, strict=True)
        ]

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        answer: list[LangChainDocument] | None = None,
        **kwargs: Any,
    ) -> list[LangChainDocument]:
        return self._answer([query], **kwargs)[0] if answer is None else answer

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[LangChainDocument]:
        return await run_in_executor(
            None, self._get_relevant_documents, query, run_manager=run_manager.get_sync(), **kwargs
        )

    def _answer(
        self, queries: Sequence[str], history: Sequence[Any] = (), **kwargs: Any
    ) -> list[list[LangChainDocument]]:
        """Answers queries; keyword arguments stand in for the fields of their names.

        Args:
            queries: What is asked.
            history: The conversation before, oldest first; see ``hybridret.understanding.turns``.
            **kwargs: See ``_PER_CALL``.
        """
        kwargs.pop("verbose", None)
        if unknown := set(kwargs) - set(_PER_CALL):
            known = ", ".join([*_PER_CALL, "history"])
            raise InputError(f"unknown argument {sorted(unknown)[0]!r}; known are {known}")
        asked = {name: getattr(self, name) if kwargs.get(name) is None else kwargs[name] for name in _PER_CALL}
        said = turns(history or ())
        if not (self.split_queries or self.n_variants or said):
            return self._first_and_second(queries, **asked)
        understand, budget = Understanding(self.split_queries, self.n_variants, self.llm), Budget(asked["time_budget"])
        thinking = budget.until(_UNDERSTANDING)
        understood = [understand(query, said, thinking) for query in queries]
        asked["time_budget"] = budget.until(1.0).seconds
        variants = [each for one in understood for each in one.variants]
        found = self._first_and_second(
            [text for one in understood for text in one.queries], **asked, variants=variants if any(variants) else None
        )
        answers = iter(found)
        return [_merged(one, [next(answers) for _ in one.queries], asked["k"]) for one in understood]

    def _first_and_second(self, queries: Sequence[str], *, k: int, **asked: Any) -> list[list[LangChainDocument]]:
        """Answers queries as they are, by the retrievers and the reranker."""
        wide, budget = k, Budget(asked["time_budget"])
        if self.reranker is not None:
            wide, asked["time_budget"] = max(k, self.rerank_top), budget.until(_FIRST_STAGE).seconds
        answers = [
            [_answered(document, hit) for hit, document in found]
            for found in self.index.retrieve(queries, wide, **asked)
        ]
        if self.reranker is None:
            return answers
        return [
            reranked(query, found, self.reranker, k, budget.left(1.0))
            for query, found in zip(queries, answers, strict=True)
        ]

    def _get_ls_params(self, **kwargs: Any) -> LangSmithRetrieverParams:
        params = super()._get_ls_params(**kwargs)
        model = self.index.model_name
        provider, _, foreign = model.rpartition(":")
        return {
            **params,
            "ls_vector_store_provider": "faiss",
            "ls_embedding_provider": provider or "sentence-transformers",
            "ls_embedding_model": foreign,
        }


def _answered(document: Document, hit: Hit) -> LangChainDocument:
    details: dict[str, dict[str, Any]] = {
        name: {"rank": detail.rank, "score": detail.score, **({"is_floor": True} if detail.is_floor else {})}
        for name, detail in hit.details.items()
    }
    details |= {name: {"rank": None, "score": None, "failed": why} for name, why in hit.failed.items()}
    metadata = {**document.metadata, "score": hit.score, "hybridret": details}
    return LangChainDocument(id=document.doc_id, page_content=document.text, metadata=metadata)


def _merged(understood: Understood, answers: list[list[LangChainDocument]], k: int) -> list[LangChainDocument]:
    """The answers to what a query was understood as; each document says which parts of it found it."""
    found_by: dict[str | None, list[str]] = {}
    for query, found in zip(understood.queries, answers, strict=True):
        for document in found:
            found_by.setdefault(document.id, []).append(query)
    facts: dict[str, Any] = {} if understood.failed is None else {"failed": understood.failed}
    merged = []
    for document in covered(answers, k, lambda found: found.id, lambda found: float(found.metadata["score"])):
        details = {**document.metadata["hybridret"], "understanding": {"queries": found_by[document.id], **facts}}
        merged.append(document.model_copy(update={"metadata": {**document.metadata, "hybridret": details}}))
    return merged


def _documents(documents: Iterable[LangChainDocument], ids: Sequence[str] | None = None) -> list[Document]:
    listed = list(documents)
    named = [document.id for document in listed] if ids is None else list(ids)
    if len(named) != len(listed):
        raise InputError(f"there are {len(listed)} documents and {len(named)} ids")
    return [
        Document(_new_id() if doc_id is None else doc_id, document.page_content, dict(document.metadata))
        for doc_id, document in zip(named, listed, strict=True)
    ]


def _new_id() -> str:
    return str(uuid.uuid4())
