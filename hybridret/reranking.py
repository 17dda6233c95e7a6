"""A second stage over the best documents of the first: any cross-encoder, LangChain compressor or function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from langchain_core.documents import Document

from hybridret.answers import Answer, QueryFacts, facts_of, without_facts
from hybridret.errors import InputError
from hybridret.guard import ask

_NAME, _PART, _FIRST_STAGE = "reranker", "the reranker", "first_stage"
_RELEVANCE = "relevance_score"
"""Where LangChain's compressors that score put their scores."""


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


def reranked(query: str, answers: list[Answer], reranker: Any, k: int, seconds: float | None = None) -> list[Answer]:
    """Puts documents in another order; in the one they have, and saying why, where that fails.

    Args:
        query: What was asked.
        answers: The first stage's best, best first.
        reranker: What has ``predict`` of pairs of query and text, as a ``CrossEncoder``; or ``compress_documents``, as
            a LangChain compressor, which may leave documents out; or a function of the query and the texts that gives
            a score for each.
        k: How many to return.
        seconds: How long that may take; None: as long as it does.

    Returns:
        The best ones. The facts ``score`` and ``reranker`` are the second stage's: a compressor's score is what it puts
        into the metadata as ``relevance_score``, None where it puts none there. ``first_stage`` has the rank and score
        before. Where the reranker fails, ``reranker`` says why, and all else is the first stage's.
    """
    if not answers:
        return []

    def ordered() -> list[Answer]:
        if hasattr(reranker, "compress_documents"):
            first = {answer.facts.doc_id: (rank, answer) for rank, answer in enumerate(answers, 1)}
            compressed = list(reranker.compress_documents([answer.with_facts() for answer in answers], query))
            if strangers := {str(document.id) for document in compressed} - {"None", *first}:
                raise ValueError(f"it gave document {min(strangers)!r}, which it was not given")
            return [_compressed(document, rank, first) for rank, document in enumerate(compressed[:k], 1)]
        scores = _scores(reranker, query, [answer.document.page_content for answer in answers])
        order = np.argsort(-scores, kind="stable")[:k].tolist()
        return [
            answers[at]._replace(facts=_facts(answers[at], at + 1, rank, float(scores[at])))
            for rank, at in enumerate(order, 1)
        ]

    asked = ask({_PART: ordered}, seconds, reranker, raised=())
    if _PART in asked.results:
        return asked.results[_PART]
    failure = {"rank": None, "score": None, "failed": asked.failures[_PART]}
    return [answer._replace(facts=answer.facts.told(**{_NAME: failure})) for answer in answers[:k]]


def _facts(answer: Answer, first_rank: int, rank: int, score: float | None) -> QueryFacts:
    first = {"rank": first_rank, "score": answer.first_score}
    return answer.facts.told(score=score, **{_FIRST_STAGE: first, _NAME: {"rank": rank, "score": score}})


def _compressed(document: Document, rank: int, first: Mapping[str, tuple[int, Answer]]) -> Answer:
    """What a compressor made of a document, as a plain one with the id that the compressor may have dropped."""
    facts, metadata = facts_of(document.metadata), without_facts(document.metadata)
    first_rank, answer = first.get(str(document.id) if facts is None else facts.doc_id, (0, None))
    stored = {} if answer is None else answer.document.metadata
    score = metadata.get(_RELEVANCE)
    if not isinstance(score, int | float | np.number) or (_RELEVANCE in stored and stored[_RELEVANCE] == score):
        score = None
    else:
        score = float(score)
        metadata = {name: value for name, value in metadata.items() if name != _RELEVANCE}
        metadata |= {_RELEVANCE: stored[_RELEVANCE]} if _RELEVANCE in stored else {}
    doc_id = document.id
    if answer is not None and doc_id is None and document.page_content == answer.document.page_content:
        doc_id = answer.document.id
    plain = Document(id=doc_id, page_content=document.page_content, metadata=metadata)
    if answer is None:
        new = QueryFacts.of(str(doc_id or ""), {"score": score, _NAME: {"rank": rank, "score": score}})
        return Answer(plain, new, 0.0)
    return Answer(plain, _facts(answer, first_rank, rank, score), answer.first_score)


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
