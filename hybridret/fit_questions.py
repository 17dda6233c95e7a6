"""Questions that the fusion is fitted to: lifted out of documents, rare terms that are looked up, and labelled ones."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hybridret.data.lifted import LIFTERS
from hybridret.errors import InputError
from hybridret.generation import Generation
from hybridret.types import Document, IntArray

_log = logging.getLogger(__name__)
N_LIFTED, N_LOOKUPS = 200, 100
_BATCH, _MOST_DRAWN = 64, 10_000
_TELLING_TERMS, _RARE = 4, 2
Documents = Callable[[Sequence[int]], Mapping[int, Document]]
"""Gives documents by key."""


class Question(NamedTuple):
    """A question to fit to.

    Attributes:
        text: The question.
        grades: Grade by row of the documents that answer it.
        rest: What is left of the one document that it was lifted out of; None: it was not lifted.
    """

    text: str
    grades: Mapping[int, int]
    rest: str | None = None


def labelled_questions(
    questions: Mapping[str, Mapping[str, int]],
    generation: Generation,
    keys_of: Callable[[Sequence[str]], Mapping[str, Sequence[int]]],
) -> list[Question]:
    """Labelled questions whose documents are rows of the index; the log says how many have none and are left out.

    Args:
        questions: Text to grade by document id; that of a document that was split is all of its chunks'.
        generation: The index's state.
        keys_of: Gives keys by document id, those of its chunks among them.

    Raises:
        InputError: A grade is no whole number, or no question is left.
    """
    made = []
    for text, grades in questions.items():
        if not all(isinstance(grade, int) for grade in grades.values()):
            raise InputError(f"the grades of question {text!r} must be whole numbers")
        keys = keys_of(list(grades))
        rows = {row: grades[doc_id] for doc_id, own in keys.items() for row in generation.rows_of(own).tolist()}
        if text.strip() and any(grade > 0 for grade in rows.values()):
            made.append(Question(text, rows))
    if questions and not made:
        raise InputError("no labelled question has a document that is in the index")
    if len(made) < len(questions):
        _log.warning(
            "%d of %d labelled questions have no relevant document in the index and are left out",
            len(questions) - len(made),
            len(questions),
        )
    return made


def lifted_questions(generation: Generation, documents: Documents, kind: str) -> list[Question]:
    """Questions lifted out of documents, in an order by chance that hangs on the seed and the documents' ids alone.

    Of documents that give the same question, as copies do, one gives it.
    """
    questions: dict[str, Question] = {}
    rows, tokenizer = draw_rows(generation, kind), generation.bm25.tokenizer
    for start in range(0, len(rows), _BATCH):
        keys = generation.keys[rows[start : start + _BATCH]].tolist()
        texts = documents(sorted(keys))
        for row, key in zip(rows[start : start + _BATCH].tolist(), keys, strict=True):
            if key not in texts:
                continue
            text = texts[key].text
            lifted = LIFTERS[kind](text, np.random.default_rng(_number(generation.config.seed, kind, text)))
            if lifted is not None and len(set(tokenizer(lifted.query))) >= _TELLING_TERMS:
                questions.setdefault(lifted.query, Question(lifted.query, {row: 1}, lifted.rest))
            if len(questions) == N_LIFTED:
                return list(questions.values())
    return list(questions.values())


def lookup_questions(generation: Generation, documents: Documents) -> list[Question]:
    """Rare terms of documents, as users look up codes and names: each asks for the documents that hold it."""
    questions: dict[str, Question] = {}
    rows = draw_rows(generation, "look-ups")
    tokenizer, postings = generation.bm25.tokenizer, generation.bm25.postings
    for start in range(0, len(rows), _BATCH):
        keys = generation.keys[rows[start : start + _BATCH]].tolist()
        texts = documents(sorted(keys))
        for document in (texts[key] for key in keys if key in texts):
            words = sorted(set(document.text.split()))
            np.random.default_rng(_number(generation.config.seed, "word", document.doc_id)).shuffle(words)
            for word in words:
                terms = tokenizer(word)
                if len(set(terms)) == 1 and postings.document_count(terms[0]) <= _RARE:
                    holding = np.flatnonzero(postings.scores(terms[:1]) > 0)
                    questions.setdefault(terms[0], Question(word, dict.fromkeys(holding.tolist(), 1)))
                    break
            if len(questions) == N_LOOKUPS:
                return list(questions.values())
    return list(questions.values())


def draw_rows(generation: Generation, purpose: str) -> IntArray:
    """Rows of documents in an order by chance, which does not hang on the order in which these were added.

    Of more than 10,000 documents, 10,000 are drawn first, by their rows.
    """
    rows, seed = np.flatnonzero(generation.alive), generation.config.seed
    if len(rows) > _MOST_DRAWN:
        rows = np.random.default_rng(seed).choice(rows, _MOST_DRAWN, replace=False)
    return np.array(sorted(rows.tolist(), key=lambda row: _number(seed, purpose, generation.ids[row])), dtype=np.int64)


def _number(seed: int, purpose: str, name: str) -> int:
    """A number that looks drawn by chance, the same in every process."""
    text = f"{seed}\n{purpose}\n{name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
