"""Documents split as the index will hold them, and labels that follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from finetune.cleaning.labels import rename_grades
from finetune.cleaning.normal import words
from finetune.types import Question
from hybridret.data.chunk import USUAL_CHUNKING, Chunking, chunk_documents
from hybridret.types import Document

Scores = Mapping[str, Mapping[str, float]]


class SplitCorpus(NamedTuple):
    """A corpus in chunks.

    Attributes:
        documents: Documents that fit as they are, and the chunks of the others.
        questions: Questions whose positives and negatives are ids of these.
        scores: Soft labels by query id and id of these.
    """

    documents: list[Document]
    questions: list[Question]
    scores: dict[str, dict[str, float]]


def split_corpus(
    documents: Sequence[Document],
    questions: Iterable[Question],
    scores: Scores,
    chunking: Chunking | None = USUAL_CHUNKING,
) -> SplitCorpus:
    """Splits long documents into the chunks that are indexed and trained on.

    A label of a document that is split, here or before, goes to one of its chunks: the one that holds the written
    answer, else the one that shares most words with the question.

    Args:
        documents: The corpus.
        questions: Labelled questions.
        scores: Soft labels by query id and document id.
        chunking: The size of chunks, and how much neighbours share; None: documents stay as they are, and labels go to
            the chunks that are there already, as in folders of texts.

    Raises:
        InputError: A document that is split has a metadata field that its chunks need.
    """
    texts = list(documents) if chunking is None else list(chunk_documents(documents, chunking=chunking))
    chunks: dict[str, list[Document]] = {}
    for text in texts:
        if text.parent is not None:
            chunks.setdefault(text.parent, []).append(text)
    given = list(questions)
    places = {each.query_id: _places(each, chunks) for each in given}
    moved = {
        query_id: {places.get(query_id, {}).get(name, name): score for name, score in own.items()}
        for query_id, own in scores.items()
    }
    return SplitCorpus(texts, [_moved(each, places[each.query_id]) for each in given], moved)


def _places(question: Question, chunks: Mapping[str, list[Document]]) -> dict[str, str]:
    """The chunk that stands for each split document of a question's labels."""
    names = (*question.positives, *question.negatives)
    return {name: _best_chunk(chunks[name], question).doc_id for name in names if name in chunks}


def _moved(question: Question, places: Mapping[str, str]) -> Question:
    return question._replace(
        positives=tuple(places.get(name, name) for name in question.positives),
        negatives=tuple(places.get(name, name) for name in question.negatives),
        grades=rename_grades(question.grades, places),
    )


def _best_chunk(chunks: list[Document], question: Question) -> Document:
    answer = (question.answer or "").casefold()
    if answer and (holding := [chunk for chunk in chunks if answer in chunk.text.casefold()]):
        chunks = holding
    asked = set(words(f"{question.text} {question.answer or ''}"))
    return max(chunks, key=lambda chunk: len(asked.intersection(words(chunk.text))))
