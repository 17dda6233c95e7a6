"""A second stage over the best documents of the first: any cross-encoder, LangChain compressor or function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from langchain_core.documents import Document

from hybridret.errors import InputError
from hybridret.guard import ask

_NAME, _PART = "reranker", "the reranker"


def check_reranker(reranker: Any) -> None:
    """Checks that documents can be put in order by it.

    Raises:
        InputError: It is no cross-encoder, no compressor and no function.
    """
    if reranker is not None and not any(
        hasattr(reranker, name) for name in ("predict", "compress_documents", "__call__")
    ):
        raise InputError(
            "a reranker must be a CrossEncoder, a LangChain document compressor or a function of a query and texts, "
            f"not a {type(reranker).__name__}"
        )


def reranked(
    query: str, documents: list[Document], reranker: Any, k: int, seconds: float | None = None
) -> list[Document]:
    """Puts documents in another order; in the one they have, and saying why, where that fails.

    Args:
        query: What was asked.
        documents: The first stage's best, best first.
        reranker: What has ``predict`` of pairs of query and text, as a ``CrossEncoder``; or ``compress_documents``, as
            a LangChain compressor, which may leave documents out; or a function of the query and the texts that gives
            a score for each.
        k: How many to return.
        seconds: How long that may take; None: as long as it does.

    Returns:
        The best ones. ``metadata["hybridret"]["reranker"]`` has rank and score, or ``failed``.
    """
    if not documents:
        return []

    def ordered() -> list[Document]:
        if hasattr(reranker, "compress_documents"):
            kept = list(reranker.compress_documents(documents, query))
            if strangers := {document.id for document in kept} - {None, *(document.id for document in documents)}:
                raise ValueError(f"it gave document {min(map(str, strangers))!r}, which it was not given")
            return [_told(document, {"rank": rank, "score": None}) for rank, document in enumerate(kept[:k], 1)]
        scores = _scores(reranker, query, [document.page_content for document in documents])
        order = np.argsort(-scores, kind="stable")[:k].tolist()
        return [_told(documents[at], {"rank": rank, "score": float(scores[at])}) for rank, at in enumerate(order, 1)]

    asked = ask({_PART: ordered}, seconds, reranker, raised=())
    if _PART in asked.results:
        return asked.results[_PART]
    facts = {"rank": None, "score": None, "failed": asked.failures[_PART]}
    return [_told(document, facts) for document in documents[:k]]


def _scores(reranker: Any, query: str, texts: Sequence[str]) -> Any:
    """One number a text.

    Raises:
        ValueError: There are not as many, or they are no numbers.
    """
    predict: Callable[..., Any] | None = getattr(reranker, "predict", None)
    given = reranker(query, texts) if predict is None else predict([(query, text) for text in texts])
    scores = np.asarray(given, dtype=np.float64)
    if scores.shape != (len(texts),) or not np.isfinite(scores).all():
        raise ValueError(f"it gave no number for each of {len(texts)} texts")
    return scores


def _told(document: Document, facts: dict[str, Any]) -> Document:
    details = {**document.metadata.get("hybridret", {}), _NAME: facts}
    return document.model_copy(update={"metadata": {**document.metadata, "hybridret": details}})
