"""The documents of a LangChain retriever: where they come from, how they change, and where they lie."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

from langchain_core.documents import Document as LangChainDocument
from langchain_core.indexing import UpsertResponse
from langchain_core.indexing.base import DeleteResponse, DocumentIndex
from langchain_core.runnables import run_in_executor
from pydantic import Field
from typing_extensions import Self

from hybridret.config import Config
from hybridret.dense import TransformerEncoder, make_encoder
from hybridret.errors import InputError
from hybridret.fit import LEAST_QUESTIONS
from hybridret.fit_cost import texts_of_fit
from hybridret.hybrid import HybridIndex
from hybridret.langchain.documents import expanded, langchain_document, records_of_documents, records_of_texts
from hybridret.langchain.settings import check_names
from hybridret.store.database import LOCK_SECONDS
from hybridret.types import Document, Encoder, Progress

_ENCODER_SETTINGS = ("task", "query_prompt", "document_prompt")
_ARGUMENTS = ("metadatas", "ids", "path", "embedding", "chunk", "fit", "fit_texts", "progress")
_log = logging.getLogger(__name__)


class HybridDocumentIndex(DocumentIndex):
    """What ``HybridRetriever`` does with documents, beside finding them. It is a context manager that closes itself."""

    index: HybridIndex = Field(exclude=True, repr=False)
    """The pipeline underneath."""

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        metadatas: Iterable[Mapping[str, Any]] | None = None,
        ids: Iterable[str | None] | None = None,
        *,
        path: str | Path | None = None,
        embedding: Any = None,
        embedding_model: Any = None,
        chunk: bool = False,
        fit: bool | None = None,
        fit_texts: int | None = None,
        progress: Progress | None = None,
        **config: Any,
    ) -> Self:
        """Indexes texts.

        Args:
            texts: The texts, read once; may be none, for documents to come.
            metadatas: One dict a text; dates, UUIDs and paths become text, numpy's numbers Python's.
            ids: One id a text; by default random ones.
            path: Folder of the bundle to write and open in place, replacing one that lies there; None: in memory.
            embedding: A folder, a hub id, a ``SentenceTransformer`` or a LangChain ``Embeddings``.
            embedding_model: Another name of ``embedding``.
            chunk: Whether texts longer than about 1,000 characters are split.
            fit: Whether the fusion is fitted to them, which encodes at most 850 texts more, most often a quarter of
                that; see ``HybridIndex.fit``.
                None: where the model runs here, for the calls of a LangChain ``Embeddings`` may cost money.
            fit_texts: Fits the fusion, encoding no more than so many texts, 170 or more.
            progress: Told how far the work is.
            **config: Fields of the retriever (``k``, ``filter``, ``weights`` ...), of ``hybridret.config.Config``, and
                ``task``, ``query_prompt`` and ``document_prompt`` of the encoder.

        Returns:
            The retriever.

        Raises:
            InputError: A text, id or setting is at fault, or the numbers of texts, metadatas and ids differ.
            ModelError: The embedding model cannot be loaded.
        """
        documents = records_of_texts(texts, metadatas, ids, chunk=chunk)
        model = _model(embedding, embedding_model)
        return cls._built(documents, path, model, fit, fit_texts, progress, config)

    @classmethod
    def from_documents(
        cls,
        documents: Iterable[LangChainDocument],
        embedding: Any = None,
        *,
        ids: Iterable[str | None] | None = None,
        path: str | Path | None = None,
        embedding_model: Any = None,
        chunk: bool = False,
        fit: bool | None = None,
        fit_texts: int | None = None,
        progress: Progress | None = None,
        **config: Any,
    ) -> Self:
        """Indexes LangChain documents; those without an id get a random one. Arguments are those of ``from_texts``."""
        records = records_of_documents(documents, ids, chunk=chunk)
        model = _model(embedding, embedding_model)
        return cls._built(records, path, model, fit, fit_texts, progress, config)

    @classmethod
    async def afrom_texts(cls, texts: Iterable[str], *args: Any, **kwargs: Any) -> Self:
        """Indexes texts off the event loop; see ``from_texts``."""
        return await run_in_executor(None, functools.partial(cls.from_texts, texts, *args, **kwargs))

    @classmethod
    async def afrom_documents(cls, documents: Iterable[LangChainDocument], *args: Any, **kwargs: Any) -> Self:
        """Indexes LangChain documents off the event loop; see ``from_documents``."""
        return await run_in_executor(None, functools.partial(cls.from_documents, documents, *args, **kwargs))

    @classmethod
    def load(
        cls,
        path: str | Path,
        embedding: Any = None,
        *,
        embedding_model: Any = None,
        lock_timeout: float = LOCK_SECONDS,
        **settings: Any,
    ) -> Self:
        """Opens a bundle in place: a change is durable when its call returns.

        Args:
            path: The bundle's folder.
            embedding: The model, where the bundle was built with LangChain ``Embeddings``, which it cannot hold.
            embedding_model: Another name of ``embedding``.
            lock_timeout: Seconds that a change waits for another process's change.
            **settings: Fields of the retriever.

        Returns:
            The retriever.

        Raises:
            BundleError: There is no bundle, or it is damaged or of a newer schema.
            InputError: The model is not the one that the bundle was made with.
        """
        cls._check_settings(settings)
        model = _model(embedding, embedding_model)
        encoder = None if model is None else make_encoder(model)
        return cls(index=HybridIndex.open(expanded(path), encoder, lock_timeout), **settings)

    @classmethod
    def _built(
        cls,
        documents: list[Document],
        path: str | Path | None,
        model: Any,
        fit: bool | None,
        fit_texts: int | None,
        progress: Progress | None,
        config: dict[str, Any],
    ) -> Self:
        names = {item.name for item in fields(Config)}
        cls._check_settings(config, {*names, *_ENCODER_SETTINGS, *_ARGUMENTS})
        encoder_settings = {name: config.pop(name) for name in _ENCODER_SETTINGS if name in config}
        index_settings = {name: config.pop(name) for name in (names - {"weights"}) & set(config)}
        if config.get("weights") is not None:
            index_settings = {"fusion": "calibrated", **index_settings, "weights": config["weights"]}
        encoder, settings = make_encoder(model, **encoder_settings), Config(**index_settings)
        retriever = cls(index=HybridIndex.build([], encoder, settings), **config)
        retriever.index = HybridIndex.build(
            documents,
            encoder,
            settings,
            None if path is None else expanded(path),
            progress,
            _fits(fit, fit_texts, encoder, len(documents)),
            fit_texts,
        )
        return retriever

    @classmethod
    def _check_settings(cls, settings: Iterable[str], others: Iterable[str] = ()) -> None:
        check_names("setting", settings, {*cls.model_fields, *others})

    def __len__(self) -> int:
        return len(self.index)

    def __bool__(self) -> bool:
        """True also where there is no document: it is a retriever all the same."""
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database; see ``HybridIndex.close``."""
        self.index.close()

    def save(self, path: str | Path) -> None:
        """Writes the index as a bundle; see ``HybridIndex.save``."""
        self.index.save(expanded(path))

    def refresh(self) -> None:
        """Takes up what other processes have committed; every query does so by itself."""
        self.index.refresh()

    def info(self) -> dict[str, Any]:
        """Counts, settings and sizes of the index, as JSON can hold them."""
        return self.index.info()

    def fit(
        self, questions: Mapping[str, Mapping[str, int]] | None = None, fit_texts: int | None = None
    ) -> dict[str, Any]:
        """Learns how far to trust each retriever on this corpus; see ``HybridIndex.fit``.

        Args:
            questions: Labelled questions: text to grade by document id.
            fit_texts: How many texts may be encoded beside these, 170 or more; None: at most 850.
        """
        return self.index.fit(questions, max_texts=fit_texts)

    def threshold(self, let_through: float = 0.1, *, missed: float | None = None) -> float:
        """A ``min_score`` that off-topic questions seldom reach, after ``fit``; see ``HybridIndex.threshold``.

        Raises:
            InputError: Nothing was fitted, or to too few questions.
        """
        return self.index.threshold(let_through, missed=missed)

    def add_documents(
        self, documents: Iterable[LangChainDocument], ids: Iterable[str | None] | None = None, *, chunk: bool = False
    ) -> list[str]:
        """Adds documents.

        Args:
            documents: The documents, read once.
            ids: One id a document, instead of the documents' own; those without get a random one.
            chunk: Whether texts longer than about 1,000 characters are split.

        Returns:
            The ids.

        Raises:
            InputError: An id is in the index already, or a document is at fault; nothing was added.
        """
        return self.index.add(records_of_documents(documents, ids, chunk=chunk))

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: Iterable[Mapping[str, Any]] | None = None,
        ids: Iterable[str | None] | None = None,
        *,
        chunk: bool = False,
    ) -> list[str]:
        """Adds texts; see ``add_documents`` and ``from_texts``."""
        return self.index.add(records_of_texts(texts, metadatas, ids, chunk=chunk))

    async def aadd_documents(self, documents: Iterable[LangChainDocument], *args: Any, **kwargs: Any) -> list[str]:
        """Adds documents off the event loop; see ``add_documents``."""
        return await run_in_executor(None, functools.partial(self.add_documents, documents, *args, **kwargs))

    async def aadd_texts(self, texts: Iterable[str], *args: Any, **kwargs: Any) -> list[str]:
        """Adds texts off the event loop; see ``add_texts``."""
        return await run_in_executor(None, functools.partial(self.add_texts, texts, *args, **kwargs))

    def upsert(self, items: Sequence[LangChainDocument], /, **kwargs: Any) -> UpsertResponse:
        """Adds documents, replacing those whose ids are present.

        Args:
            items: The documents.
            **kwargs: ``chunk``, as in ``add_documents``.
        """
        check_names("argument", kwargs, ["chunk"])
        records = records_of_documents(items, chunk=kwargs.get("chunk", False))
        return UpsertResponse(succeeded=self.index.add(records, replace=True), failed=[])

    def delete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> DeleteResponse:
        """Deletes documents; ids that are not present are passed over.

        Raises:
            InputError: No ids were given.
        """
        check_names("argument", kwargs, ["ids"])
        if ids is None:
            raise InputError("delete needs the ids of the documents to delete")
        deleted = self.index.delete(ids)
        return DeleteResponse(num_deleted=len(deleted), succeeded=deleted, num_failed=0, failed=[])

    def get(self, ids: Sequence[str], /, **kwargs: Any) -> list[LangChainDocument]:
        """The documents of the ids that are present, in the order asked."""
        check_names("argument", kwargs, ["ids"])
        return [langchain_document(document) for document in self.index.get(ids)]

    def get_by_ids(self, ids: Sequence[str], /) -> list[LangChainDocument]:
        """The documents of the ids that are present, in the order asked, as vector stores call it."""
        return self.get(ids)

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[LangChainDocument]:
        """The documents of the ids that are present, off the event loop."""
        return await self.aget(ids)


def _model(embedding: Any, embedding_model: Any) -> Any:
    """The model that was given under either name."""
    if embedding is not None and embedding_model is not None:
        raise InputError("embedding and embedding_model are two names of one argument; give one")
    model = embedding_model if embedding is None else embedding
    return str(expanded(model)) if isinstance(model, str | Path) else model


def _fits(fit: bool | None, fit_texts: int | None, encoder: Encoder, n_documents: int) -> bool:
    """Whether a new index is fitted to its documents; where its user has to decide, the log says so."""
    if fit is not None:
        return fit
    if fit_texts is not None or isinstance(encoder, TransformerEncoder):
        return True
    if n_documents >= LEAST_QUESTIONS:
        _log.warning(
            "the fusion is not fitted to these %s documents, for LangChain Embeddings may cost money: fit=True encodes "
            "at most %s texts more, fit_texts=N at most N, fit=False silences this",
            f"{n_documents:,}",
            texts_of_fit(n_documents),
        )
    return False
