"""Making questions where labels are few."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from finetune.queries import QueriesConfig, make_questions, round_trip
from finetune.types import Question
from hybridret.bm25.retriever import BM25Retriever
from hybridret.bm25.tokenizer import Tokenizer
from hybridret.errors import InputError
from hybridret.types import Document, Encoder, Progress, Queries

ENOUGH_LABELS = 300


def made_questions(
    documents: Sequence[Document],
    n_labelled: int,
    config: QueriesConfig,
    encoder: Encoder,
    seed: int,
    language: str,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> list[Question]:
    """Makes questions and filters them, unless there are enough labelled ones and no number was asked for.

    Args:
        documents: The corpus.
        n_labelled: How many labelled questions there are.
        config: Makers, mix, number and filter.
        encoder: The base model, for the filter.
        seed: Seed of everything random.
        language: Of the bm25 stemmer, for the filter.
        cache: Where made questions are kept.
        progress: Told how far the work is.

    Returns:
        The questions; none where the documents give none but there are labelled ones.

    Raises:
        InputError: The documents give none, and there are no labelled ones.
    """
    if n_labelled >= ENOUGH_LABELS and not config.count:
        return []
    try:
        made = make_questions(documents, config, seed, cache, progress)
    except InputError:
        if not n_labelled:
            raise
        return []
    if not config.round_trip:
        return made
    return round_trip(made, _Search(documents, encoder, language), config.round_trip, progress)


class _Search:
    """Dense retrieval and bm25, their hits in turns."""

    def __init__(self, documents: Sequence[Document], encoder: Encoder, language: str) -> None:
        texts = [document.text for document in documents]
        self._names = [document.doc_id for document in documents]
        self._encoder, self._vectors = encoder, encoder.encode_documents(texts)
        self._bm25 = BM25Retriever(Tokenizer(language)).appended(texts)

    def __call__(self, texts: list[str], k: int) -> list[list[str]]:
        import numpy as np

        from finetune.negatives.pool import nearest

        vectors = self._encoder.encode_queries(texts)
        ties = np.arange(len(self._names), dtype=np.int64)
        found = []
        for dense, bm25 in zip(
            nearest(vectors, self._vectors, k), self._bm25.search(Queries(texts, vectors), k, None, ties), strict=True
        ):
            turns = [row for pair in zip_longest(dense.rows.tolist(), bm25.rows.tolist()) for row in pair]
            found.append([self._names[row] for row in dict.fromkeys(turns) if row is not None][:k])
        return found
