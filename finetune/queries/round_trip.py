"""Keeping only questions that lead back to their document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from finetune.types import Question
from hybridret.errors import InputError
from hybridret.types import Progress

Search = Callable[[list[str], int], Sequence[Sequence[str]]]
"""Takes queries and a number k; gives the ids of each query's k best documents, best first."""

_BATCH = 128


def round_trip(
    questions: Sequence[Question], search: Search, k: int, progress: Progress | None = None
) -> list[Question]:
    """Keeps a question only if retrieval finds one of its positives among the k best documents.

    Round-trip consistency as a filter of made questions: Alberti et al., "Synthetic QA corpora generation with
    roundtrip consistency", 2019; Dai et al., "Promptagator", 2022.

    Args:
        questions: Made questions.
        search: The retrieval; chunks and left-out copies must be given the ids that the questions name.
        k: How far to look.
        progress: Told how far the work is.

    Returns:
        The questions that lead back, in their order.

    Raises:
        InputError: k is below 1, or the search does not answer each query.
    """
    if k < 1:
        raise InputError(f"the round trip must look at one document at least, not {k}")
    kept: list[Question] = []
    for start in range(0, len(questions), _BATCH):
        batch = questions[start : start + _BATCH]
        found = search([question.text for question in batch], k)
        if len(found) != len(batch):
            raise InputError(f"the search of the round trip gave {len(found)} answers to {len(batch)} queries")
        kept += _leading_back(batch, found, k)
        if progress is not None:
            progress("round trip", start + len(batch), len(questions))
    return kept


def _leading_back(batch: Sequence[Question], found: Sequence[Sequence[str]], k: int) -> Iterator[Question]:
    for question, names in zip(batch, found, strict=True):
        if set(question.positives) & set(names[:k]):
            yield question
