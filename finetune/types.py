"""Records and protocols that the stages of a fine-tuning recipe exchange."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from hybridret.types import Document, Progress

LABELS = "labels"
"""The source of labelled questions."""
RETRIEVAL = "retrieval"
"""The task of questions that say none: its prompts are the model's."""


class Question(NamedTuple):
    """A query with what answers it, labelled or made.

    Attributes:
        query_id: Unique among a recipe's questions; made ones start with their maker's name.
        text: The query as a user would ask it, without a prompt.
        positives: Ids of documents that answer it; at least one.
        negatives: Ids of documents known not to answer it.
        answer: A written answer, where there is one.
        source: ``labels`` or the name of the maker.
        task: Batches hold questions of one task only.
        positive_text: Stands in for the first positive's text in training, for example without the sentence that became
            the query; None: the document as it is.
        grades: How well positives answer it, by id; 1 where nothing is said.
    """

    query_id: str
    text: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    answer: str | None = None
    source: str = LABELS
    task: str = RETRIEVAL
    positive_text: str | None = None
    grades: Mapping[str, int] = {}

    @property
    def graded(self) -> dict[str, int]:
        """The grade of each positive."""
        return {name: self.grades.get(name, 1) for name in self.positives}


class GivenPrompts(NamedTuple):
    """Prompts that were given for a model; None: the model's own, or its task's.

    Attributes:
        query: Text before queries.
        document: Text before documents.
    """

    query: str | None = None
    document: str | None = None


NO_SCORES: Mapping[str, Mapping[str, float]] = MappingProxyType({})
"""No soft labels were given."""


class QueryMaker(Protocol):
    """Makes questions from documents."""

    name: str

    def __call__(
        self, documents: Sequence[Document], n: int, seed: int, progress: Progress | None = None
    ) -> Iterator[Question]:
        """Makes up to ``n`` questions; the same ones for the same documents, number and seed."""


class Teacher(Protocol):
    """Gives soft labels: how well each passage answers a question."""

    name: str

    def score(
        self, questions: Sequence[str], passages: Sequence[Sequence[str]], answers: Sequence[str | None]
    ) -> list[list[float]]:
        """Scores each question's passages; higher is better. One list a question, one score a passage."""
