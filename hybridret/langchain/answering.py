"""From queries to documents: understanding, the index, the reranker, and what is alike left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridret.answers import Answer, QueryFacts
from hybridret.guard import Budget
from hybridret.hybrid import HybridIndex
from hybridret.langchain.documents import langchain_document
from hybridret.langchain.settings import Settings
from hybridret.ranking import diversify
from hybridret.reranking import reranked
from hybridret.types import Document, Hit
from hybridret.understanding import Turn, Understanding, Understood, covered

_UNDERSTANDING, _FIRST_STAGE = 0.5, 0.7
"""Which share of a time budget may be over when queries are understood, and of what is left, when a reranker begins."""


@dataclass(frozen=True)
class Answering:
    """How an index answers queries.

    Attributes:
        index: The index.
        understanding: How queries are understood.
        reranker: The second stage; None: there is none.
        rerank_top: How many documents it sees.
    """

    index: HybridIndex
    understanding: Understanding
    reranker: Any = None
    rerank_top: int = 50

    def __call__(
        self,
        queries: Sequence[str],
        settings: Settings,
        histories: Sequence[Sequence[Turn]] | None = None,
        fetch_k: int | None = None,
    ) -> list[list[Answer]]:
        """Answers queries.

        Args:
            queries: What is asked.
            settings: How; with ``with_scores`` the documents' metadata have the facts, else why parts were left out.
            histories: The conversation before each query; None: there was none.
            fetch_k: Among how many of the best documents ``diversity`` chooses; None: as many as the fusion looks at,
                or the reranker.
        """
        said: Sequence[Sequence[Turn]] = [()] * len(queries) if histories is None else histories
        by_option = bool(self.understanding.split or self.understanding.n_variants)
        if not (by_option or any(said)):
            return [_shown(hits, settings) for hits in self._stages(queries, settings, fetch_k)]
        budget = Budget(settings.time_budget)
        thinking = budget.until(_UNDERSTANDING)
        understood = [self.understanding(query, turns, thinking) for query, turns in zip(queries, said, strict=True)]
        rest = settings._replace(time_budget=budget.until(1.0).seconds)
        variants = [wordings for one in understood for wordings in one.variants]
        parts = [text for one in understood for text in one.queries]
        answers = iter(self._stages(parts, rest, fetch_k, variants if any(variants) else None))
        found = [[next(answers) for _ in one.queries] for one in understood]
        return [
            _shown(_merged(one, hits, settings.k) if by_option or turns else hits[0], settings)
            for one, hits, turns in zip(understood, found, said, strict=True)
        ]

    def by_vector(self, vector: Sequence[float], settings: Settings, fetch_k: int | None = None) -> list[Answer]:
        """The documents whose vectors are nearest to a given one; scores are cosines."""
        wide = settings.k if fetch_k is None else max(settings.k, fetch_k)
        hits = self.index.retrieve_by_vectors([vector], wide, settings.filter)[0]
        return _shown(self._diverse(_answers(hits, settings.min_score), settings), settings)

    def _stages(
        self,
        queries: Sequence[str],
        settings: Settings,
        fetch_k: int | None,
        variants: Sequence[Sequence[str]] | None = None,
    ) -> list[list[Answer]]:
        """Answers queries as they are, by the retrievers and the reranker."""
        k, diversity, wide, budget = settings.k, settings.diversity, settings.k, Budget(settings.time_budget)
        seconds = settings.time_budget
        if self.reranker is not None:
            wide, diversity, seconds = max(k, self.rerank_top), 0.0, budget.until(_FIRST_STAGE).seconds
        if fetch_k is not None:
            wide, diversity = max(wide, fetch_k), 0.0
        found = self.index.retrieve(
            queries,
            wide,
            settings.filter,
            weights=settings.weights,
            diversity=diversity,
            time_budget=seconds,
            variants=variants,
            min_score=settings.min_score,
            allow_partial_results=settings.allow_partial_results,
        )
        answers = [_answers(hits, None) for hits in found]
        if self.reranker is not None:
            n_left = wide if settings.diversity else k
            answers = [
                reranked(query, hits, self.reranker, n_left, budget.left(1.0))
                for query, hits in zip(queries, answers, strict=True)
            ]
        if self.reranker is not None or fetch_k is not None:
            answers = [self._diverse(hits, settings) for hits in answers]
        return answers

    def _diverse(self, answers: list[Answer], settings: Settings) -> list[Answer]:
        """The best answers, chosen by score, or by place where there are no scores, and by unlikeness."""
        if not settings.diversity or not answers:
            return answers[: settings.k]
        scores: list[float] = [answer.score for answer in answers if answer.score is not None]
        if len(scores) < len(answers) or scores != sorted(scores, reverse=True):
            scores = list(range(len(answers), 0, -1))
        known = self.index.vectors_of([answer.facts.doc_id for answer in answers])
        blank = np.zeros(self.index.dimension, dtype=np.float32)
        vectors = np.stack([known.get(answer.facts.doc_id, blank) for answer in answers])
        picked = diversify(np.asarray(scores, dtype=np.float64), vectors, settings.k, settings.diversity)
        return [answers[at] for at in picked]


def _shown(answers: list[Answer], settings: Settings) -> list[Answer]:
    return [
        answer._replace(document=answer.with_facts() if settings.with_scores else answer.with_failures())
        for answer in answers
    ]


def _answers(hits: Sequence[tuple[Hit, Document]], min_score: float | None) -> list[Answer]:
    return [
        Answer(langchain_document(document), _facts(hit), hit.score)
        for hit, document in hits
        if min_score is None or hit.score >= min_score
    ]


def _facts(hit: Hit) -> QueryFacts:
    details: dict[str, Any] = {
        name: {"rank": detail.rank, "score": detail.score, **({"is_floor": True} if detail.is_floor else {})}
        for name, detail in hit.details.items()
    }
    details |= {name: {"rank": None, "score": None, "failed": why} for name, why in hit.failed.items()}
    return QueryFacts.of(hit.doc_id, {"score": hit.score, **details})


def _merged(understood: Understood, answers: list[list[Answer]], k: int) -> list[Answer]:
    """The answers to what a query was understood as; each document says which parts of it found it."""

    def key(answer: Answer) -> tuple[str, str]:
        return answer.facts.doc_id, answer.document.page_content

    found_by: dict[tuple[str, str], list[str]] = {}
    for query, hits in zip(understood.queries, answers, strict=True):
        for answer in hits:
            found_by.setdefault(key(answer), []).append(query)
    failure: dict[str, Any] = {} if understood.failed is None else {"failed": understood.failed}
    return [
        answer._replace(facts=answer.facts.told(understanding={"queries": found_by[key(answer)], **failure}))
        for answer in covered(answers, k, key, lambda answer: answer.first_score)
    ]
