"""What a query says of a document, beside the document: in its metadata only on request, or where a part failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from langchain_core.documents import Document

ENTRY = "hybridret"
"""The entry of the metadata that holds them; with underscores before it where a document has one of that name."""


class QueryFacts(dict[str, Any]):
    """What one query says of one document: ``score``, and by retriever and by later stage its rank and score.

    The type tells this entry from the document's own metadata, so that an answer may be stored again without it.

    Attributes:
        doc_id: The document's id.
    """

    doc_id: str = ""

    @classmethod
    def of(cls, doc_id: str, facts: Mapping[str, Any]) -> QueryFacts:
        """Facts on a document."""
        made = cls(facts)
        made.doc_id = doc_id
        return made

    def told(self, **facts: Any) -> QueryFacts:
        """These facts and more."""
        return self.of(self.doc_id, {**self, **facts})


class Answer(NamedTuple):
    """A document that was found.

    Attributes:
        document: The document as it is stored.
        facts: What the query says of it.
        first_score: The score of the first stage.
    """

    document: Document
    facts: QueryFacts
    first_score: float

    @property
    def score(self) -> float | None:
        """The score of the last stage that gave one; None where a reranker put documents in order without scores."""
        score: float | None = self.facts["score"]
        return score

    def with_facts(self) -> Document:
        """The document with the facts in its metadata, where they take no other entry's place."""
        return self._with_entry(self.facts)

    def with_failures(self) -> Document:
        """The document as it is stored; where parts were left out with why, which is alike for all queries."""
        failures = {
            name: {"failed": fact["failed"]}
            for name, fact in self.facts.items()
            if isinstance(fact, dict) and "failed" in fact
        }
        return self._with_entry(QueryFacts.of(self.facts.doc_id, failures)) if failures else self.document

    def _with_entry(self, facts: QueryFacts) -> Document:
        name = ENTRY
        while name in self.document.metadata:
            name = f"_{name}"
        return self.document.model_copy(update={"metadata": {**self.document.metadata, name: facts}})


def facts_of(metadata: Mapping[str, Any]) -> QueryFacts | None:
    """The facts among a document's metadata; None where there are none."""
    return next((value for value in metadata.values() if isinstance(value, QueryFacts)), None)


def without_facts(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A document's own metadata."""
    return {name: value for name, value in metadata.items() if not isinstance(value, QueryFacts)}
