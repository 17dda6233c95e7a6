"""HybridVectorStore: the same index as LangChain's vector stores are used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from types import TracebackType
from typing import Any

from langchain_core.documents import Document as LangChainDocument
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from typing_extensions import Self

from hybridret.answers import Answer
from hybridret.errors import InputError
from hybridret.hybrid import HybridIndex
from hybridret.langchain.documents import records_of_documents, records_of_texts
from hybridret.langchain.retriever import HybridRetriever
from hybridret.langchain.settings import NOT_GIVEN, NotGiven, check_names, check_number, given


class HybridVectorStore(VectorStore):
    """A vector store whose ``similarity_search`` is hybrid; by vectors it is dense.

    What its methods are not told is the retriever's: filter, weights, reranker and so on; ``k`` is 4, as ever in vector
    stores. Adding a document whose id is present replaces that one.

    Args:
        retriever: What answers.

    Example:
        >>> store = HybridVectorStore.from_texts(["cats purr", "dogs bark"], ids=["cat", "dog"])
        >>> [document.id for document in store.similarity_search("which animal purrs?", k=1)]
        ['cat']
    """

    def __init__(self, retriever: HybridRetriever) -> None:
        if not isinstance(retriever, HybridRetriever):
            raise InputError(f"HybridVectorStore takes a HybridRetriever, not a {type(retriever).__name__}")
        self.retriever = retriever

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        embedding: Any = None,
        metadatas: Iterable[Mapping[str, Any]] | None = None,
        *,
        ids: Iterable[str | None] | None = None,
        **config: Any,
    ) -> Self:
        """Indexes texts.

        Args:
            texts: The texts, read once.
            embedding: As in ``HybridRetriever.from_texts``; None: the default model.
            metadatas: One dict a text.
            ids: One id a text; by default random ones.
            **config: The other arguments of ``HybridRetriever.from_texts``.
        """
        return cls(HybridRetriever.from_texts(texts, metadatas, ids, embedding=embedding, **config))

    @classmethod
    def from_documents(cls, documents: Iterable[LangChainDocument], embedding: Any = None, **config: Any) -> Self:
        """Indexes LangChain documents; see ``HybridRetriever.from_documents``."""
        return cls(HybridRetriever.from_documents(documents, embedding, **config))

    @classmethod
    def load(cls, path: str | Path, embedding: Any = None, **settings: Any) -> Self:
        """Opens a bundle in place; see ``HybridRetriever.load``."""
        return cls(HybridRetriever.load(path, embedding, **settings))

    def save(self, path: str | Path) -> None:
        """Writes the index as a bundle; see ``HybridIndex.save``."""
        self.retriever.save(path)

    def close(self) -> None:
        """Closes the database; see ``HybridIndex.close``."""
        self.retriever.close()

    def __len__(self) -> int:
        return len(self.retriever)

    def __bool__(self) -> bool:
        """True also where there is no document."""
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def embeddings(self) -> Embeddings:
        """The encoder of the index; it is loaded when it is first asked."""
        return _EncoderEmbeddings(self.retriever.index)

    def add_documents(self, documents: Iterable[LangChainDocument], **kwargs: Any) -> list[str]:
        """Adds documents, replacing those whose ids are present.

        Args:
            documents: The documents, read once.
            **kwargs: ``ids``: one a document, instead of the documents' own; ``chunk``: whether texts longer than about
                1,000 characters are split; ``batch_size`` is taken, and means nothing here.

        Returns:
            The ids.

        Raises:
            InputError: A document is at fault; nothing was added.
        """
        check_names("argument", kwargs, ["ids", "chunk", "batch_size"])
        records = records_of_documents(documents, kwargs.get("ids"), chunk=kwargs.get("chunk", False))
        return self.retriever.index.add(records, replace=True)

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: Iterable[Mapping[str, Any]] | None = None,
        *,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Adds texts; see ``add_documents``."""
        check_names("argument", kwargs, ["chunk", "batch_size"], others=["ids"])
        records = records_of_texts(texts, metadatas, ids, chunk=kwargs.get("chunk", False))
        return self.retriever.index.add(records, replace=True)

    def delete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> bool:
        """Deletes documents; ids that are not present are passed over.

        Raises:
            InputError: No ids were given.
        """
        self.retriever.delete(ids, **kwargs)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[LangChainDocument]:
        """The documents of the ids that are present, in the order asked."""
        return self.retriever.get(ids)

    def similarity_search(
        self, query: str, k: int = 4, filter: Mapping[str, Any] | NotGiven | None = NOT_GIVEN, **kwargs: Any
    ) -> list[LangChainDocument]:
        """Finds the best documents by all retrievers.

        Args:
            query: What is asked.
            k: How many documents.
            filter: Field to value or to operators.
            **kwargs: The other arguments of ``HybridRetriever.invoke``.
        """
        (answers,) = self.retriever.answers([query], k=k, **given(filter=filter), **kwargs)
        return [answer.document for answer in answers]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Mapping[str, Any] | NotGiven | None = NOT_GIVEN, **kwargs: Any
    ) -> list[tuple[LangChainDocument, float]]:
        """Finds the best documents as ``similarity_search`` does, each with its score: higher is better.

        Raises:
            InputError: The reranker puts documents in order without scores.
        """
        (answers,) = self.retriever.answers([query], k=k, **given(filter=filter), **kwargs)
        return [(answer.document, _score(answer)) for answer in answers]

    def similarity_search_by_vector(
        self,
        embedding: Sequence[float],
        k: int = 4,
        filter: Mapping[str, Any] | NotGiven | None = NOT_GIVEN,
        **kwargs: Any,
    ) -> list[LangChainDocument]:
        """Finds the documents whose vectors are nearest to one that the embedding model gave."""
        answers = self.retriever.answers_by_vector(embedding, k=k, **given(filter=filter), **kwargs)
        return [answer.document for answer in answers]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Mapping[str, Any] | NotGiven | None = NOT_GIVEN,
        **kwargs: Any,
    ) -> list[LangChainDocument]:
        """Finds documents that are good and unlike each other.

        Args:
            query: What is asked.
            k: How many documents.
            fetch_k: Among how many of the best ones to choose.
            lambda_mult: From 1, by score alone, to 0, by unlikeness alone.
            filter: Field to value or to operators.
            **kwargs: The other arguments of ``HybridRetriever.invoke``.
        """
        diversity = _diversity(lambda_mult, fetch_k)
        (answers,) = self.retriever.answers(
            [query], k=k, fetch_k=fetch_k, diversity=diversity, **given(filter=filter), **kwargs
        )
        return [answer.document for answer in answers]

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: Sequence[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Mapping[str, Any] | NotGiven | None = NOT_GIVEN,
        **kwargs: Any,
    ) -> list[LangChainDocument]:
        """Finds documents that are near a vector and unlike each other; see ``max_marginal_relevance_search``."""
        diversity = _diversity(lambda_mult, fetch_k)
        answers = self.retriever.answers_by_vector(
            embedding, k=k, fetch_k=fetch_k, diversity=diversity, **given(filter=filter), **kwargs
        )
        return [answer.document for answer in answers]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda score: score


class _EncoderEmbeddings(Embeddings):
    """An index's encoder as LangChain knows models."""

    def __init__(self, index: HybridIndex) -> None:
        self._index = index

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._index.encoder.encode_documents(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        vector: list[float] = self._index.encoder.encode_queries([text])[0].tolist()
        return vector


def _diversity(lambda_mult: float, fetch_k: int) -> float:
    """The retriever's ``diversity``.

    Raises:
        InputError: An argument is out of its range.
    """
    check_number("lambda_mult", lambda_mult)
    if not 0 <= lambda_mult <= 1:
        raise InputError(f"lambda_mult must be from 0 to 1, not {lambda_mult!r}")
    if not isinstance(fetch_k, Integral) or isinstance(fetch_k, bool) or fetch_k < 1:
        raise InputError(f"fetch_k must be a whole number from 1 up, not {fetch_k!r}")
    return 1 - lambda_mult


def _score(answer: Answer) -> float:
    if answer.score is None:
        raise InputError("the reranker puts documents in order without scores; ask for documents without scores")
    return answer.score
