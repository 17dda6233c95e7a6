"""HybridRetriever: what it may be told, and its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import LangSmithRetrieverParams
from langchain_core.runnables import RunnableConfig, run_in_executor
from langchain_core.runnables.config import get_config_list
from pydantic import Field, field_validator, model_validator

from hybridret.answers import Answer
from hybridret.errors import InputError
from hybridret.fusion import check_weights
from hybridret.langchain.answering import Answering
from hybridret.langchain.document_index import HybridDocumentIndex
from hybridret.langchain.settings import NOT_GIVEN, NotGiven, Settings, check_names, given, python_numbers
from hybridret.reranking import check_reranker
from hybridret.types import RETRIEVERS, Hit
from hybridret.understanding import Understanding, turns

_PER_CALL = Settings._fields


class HybridRetriever(HybridDocumentIndex):
    """Retrieves documents by dense vectors, BM25 and decoded docids, fused.

    Make one with ``from_texts``, ``from_documents`` or ``load``. Answers are the documents as they are stored, whatever
    the query: what joins several answers can tell that two documents are one. ``with_scores`` adds what the query says
    of them; without it ``metadata["hybridret"]`` is there only where a retriever, reranker or language model was left
    out, and says why.

    The fields ``k`` to ``with_scores`` may be given in a call, too; None in a call is the field's default, so that
    ``invoke(query, filter=None)`` looks at all documents. So a filter of the constructor keeps nothing from those who
    choose the arguments of calls.

    Example:
        >>> retriever = HybridRetriever.from_texts(["cats purr", "dogs bark"], ids=["cat", "dog"])
        >>> [document.id for document in retriever.invoke("which animal purrs?", k=1)]
        ['cat']
    """

    k: int = Field(default=4, ge=1)
    """How many documents an answer has."""
    filter: dict[str, Any] | None = None
    """Field to value: only documents whose metadata match are found."""
    weights: dict[str, float] | None = None
    """Weights of dense, bm25 and docid in a sum of their scores, instead of the index's fusion."""
    min_score: float | None = None
    """Documents whose score is below it before any reranking are left out; see ``threshold``."""
    diversity: float = Field(default=0.0, ge=0.0, le=1.0)
    """Maximal marginal relevance: from 0, by score alone, to 1, by unlikeness to the documents before alone. With a
    reranker it chooses among the documents that this has put in order, by its scores."""
    time_budget: float | None = Field(default=None, gt=0.0)
    """Seconds after which retrievers, reranker or language model that have not answered are left out of an answer."""
    allow_partial_results: bool = True
    """Whether the other retrievers answer where one fails or is late; if not, that is a ``RetrievalError``."""
    with_scores: bool = False
    """Whether the metadata of answers get the entry ``hybridret``: ``score``, and the rank and score of each retriever
    and stage, or why it was left out. A document that has an entry of this name keeps it; the new one is then called
    ``_hybridret``. Storing such an answer leaves the entry out."""
    search_kwargs: dict[str, Any] = Field(default_factory=dict)
    """The fields from ``k`` on by name, as vector stores' retrievers take them; these go before the fields."""

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

    @model_validator(mode="before")
    @classmethod
    def _check_given(cls, settings: Any) -> Any:
        if not isinstance(settings, Mapping):
            return settings
        cls._check_settings(settings)
        return {name: python_numbers(value) if name in _PER_CALL else value for name, value in settings.items()}

    @field_validator("search_kwargs")
    @classmethod
    def _check_search_kwargs(cls, settings: dict[str, Any]) -> dict[str, Any]:
        check_names("entry of search_kwargs", settings, _PER_CALL)
        return settings

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

    def search(
        self,
        queries: Sequence[str],
        k: int | NotGiven | None = NOT_GIVEN,
        filter: Mapping[str, Any] | NotGiven | None = NOT_GIVEN,
        retrievers: Sequence[str] = RETRIEVERS,
        **settings: Any,
    ) -> list[list[Hit]]:
        """Finds hits without their documents, before any reranking; see ``HybridIndex.search``.

        Args:
            queries: What is asked.
            k: How many hits a query; as in calls of ``invoke``, what is not given is this retriever's own.
            filter: Field to value.
            retrievers: Which take part. The scores of a single one are its own, and ``min_score`` does not apply.
            **settings: ``weights``, ``min_score``, ``diversity``, ``time_budget`` and ``allow_partial_results``.
        """
        used = self._settings({**given(k=k, filter=filter), **settings})
        return self.index.search(
            queries,
            used.k,
            used.filter,
            retrievers,
            used.weights,
            used.diversity,
            used.time_budget,
            min_score=used.min_score if len(retrievers) > 1 else None,
            allow_partial_results=used.allow_partial_results,
        )

    def explain(
        self,
        query: str,
        doc_id: str,
        filter: Mapping[str, Any] | NotGiven | None = NOT_GIVEN,
        weights: Mapping[str, float] | NotGiven | None = NOT_GIVEN,
    ) -> dict[str, Any]:
        """Says why a document is where it is for a query; see ``HybridIndex.explain``."""
        used = self._settings(given(filter=filter, weights=weights))
        return self.index.explain(query, doc_id, used.filter, weights=used.weights)

    def batch(
        self,
        inputs: list[str],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        histories: Sequence[Sequence[Any]] | None = None,
        **kwargs: Any,
    ) -> list[list[LangChainDocument]]:
        """Answers queries, encoding them in one pass; each is traced as a run of its own.

        Where that fails they are answered one by one, so that an error is that of its query.

        Args:
            inputs: The queries.
            config: One for all, or one a query.
            return_exceptions: Whether an error takes the place of its query's answer.
            histories: One conversation a query; ``history`` is one for all.
            **kwargs: As in ``invoke``.
        """
        said = _conversations(inputs, histories, kwargs)
        try:
            answers: Sequence[Any] = self._answer(inputs, said, kwargs)
        except Exception:
            answers = [None] * len(inputs)
        results: list[Any] = []
        for query, one, history, answer in zip(inputs, _configs(config, inputs), said, answers, strict=True):
            try:
                results.append(self.invoke(query, one, **{**kwargs, "history": history, "answer": answer}))
            except Exception as error:
                if not return_exceptions:
                    raise
                results.append(error)
        return results

    async def abatch(
        self,
        inputs: list[str],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        histories: Sequence[Sequence[Any]] | None = None,
        **kwargs: Any,
    ) -> list[list[LangChainDocument]]:
        """Answers queries like ``batch``, off the event loop."""
        said = _conversations(inputs, histories, kwargs)
        try:
            answers: Sequence[Any] = await run_in_executor(None, self._answer, inputs, said, kwargs)
        except Exception:
            answers = [None] * len(inputs)
        results: list[Any] = []
        for query, one, history, answer in zip(inputs, _configs(config, inputs), said, answers, strict=True):
            try:
                results.append(await self.ainvoke(query, one, **{**kwargs, "history": history, "answer": answer}))
            except Exception as error:
                if not return_exceptions:
                    raise
                results.append(error)
        return results

    def answers(self, queries: Sequence[str], *, fetch_k: int | None = None, **arguments: Any) -> list[list[Answer]]:
        """Answers queries by documents and what each query says of them.

        Args:
            queries: What is asked.
            fetch_k: Among how many of the best documents ``diversity`` chooses; see ``Answering``.
            **arguments: As in ``invoke``.
        """
        said = _conversations(queries, None, arguments)
        used = self._settings(arguments)
        return self._answering()(queries, used, [turns(history or ()) for history in said], fetch_k)

    def answers_by_vector(
        self, vector: Sequence[float], *, fetch_k: int | None = None, **arguments: Any
    ) -> list[Answer]:
        """Answers by the documents whose vectors are nearest to a given one.

        Args:
            vector: As the embedding model gives it. *Shape:* (dimension,).
            fetch_k: Among how many ``diversity`` chooses; None: among ``k``.
            **arguments: As in ``invoke``; ``min_score`` is of cosines, ``weights`` and ``time_budget`` mean nothing.
        """
        own = {"min_score": None, **arguments}
        return self._answering().by_vector(vector, self._settings(own), fetch_k)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        history: Sequence[Any] | None = None,
        answer: list[LangChainDocument] | None = None,
        **kwargs: Any,
    ) -> list[LangChainDocument]:
        return self._answer([query], [history], kwargs)[0] if answer is None else answer

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[LangChainDocument]:
        return await run_in_executor(
            None, self._get_relevant_documents, query, run_manager=run_manager.get_sync(), **kwargs
        )

    def _answer(
        self, queries: Sequence[str], histories: Sequence[Sequence[Any] | None], arguments: Mapping[str, Any]
    ) -> list[list[LangChainDocument]]:
        """Answers queries, each after its conversation; arguments stand in for the fields of their names."""
        answers = self._answering()(queries, self._settings(arguments), [turns(history or ()) for history in histories])
        return [[answer.document for answer in hits] for hits in answers]

    def _answering(self) -> Answering:
        understanding = Understanding(self.split_queries, self.n_variants, self.llm)
        return Answering(self.index, understanding, self.reranker, self.rerank_top)

    def _settings(self, arguments: Mapping[str, Any]) -> Settings:
        """What a call says, else ``search_kwargs``, else the fields; None is a field's default.

        Raises:
            InputError: An argument is unknown, or one that the index does not check is out of its range.
        """
        names = [name for name in arguments if name != "verbose"]
        check_names("argument", names, _PER_CALL, others=["history"])
        said = {name: getattr(self, name) for name in _PER_CALL} | self.search_kwargs
        said |= {name: python_numbers(arguments[name]) for name in names}
        fields = type(self).model_fields
        return Settings(
            **{name: fields[name].get_default() if value is None else value for name, value in said.items()}
        ).checked()

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


def _configs(config: RunnableConfig | list[RunnableConfig] | None, inputs: Sequence[str]) -> list[RunnableConfig]:
    return get_config_list(config, len(inputs)) if inputs else []


def _conversations(
    inputs: Sequence[str], histories: Sequence[Sequence[Any]] | None, arguments: dict[str, Any]
) -> list[Sequence[Any] | None]:
    """The conversation before each query of a batch; takes ``history`` out of the arguments.

    Raises:
        InputError: There is another number of them, or there is one for all as well.
    """
    history = arguments.pop("history", None)
    if histories is None:
        return [history] * len(inputs)
    if history is not None:
        raise InputError("history is one conversation for all queries, histories one for each; give one of them")
    if isinstance(histories, str) or len(histories) != len(inputs):
        raise InputError(f"histories must hold one conversation for each of the {len(inputs)} queries")
    return list(histories)
