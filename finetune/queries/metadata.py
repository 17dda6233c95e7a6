"""Questions that ask for a topic under a constraint of metadata: author, date, category."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from finetune.queries.base import DocumentMaker, Draft, Drafts
from finetune.queries.keyphrases import Keyphrases
from finetune.queries.text import as_query, split_title
from hybridret.types import Document

TEMPLATES: dict[str, tuple[str, ...]] = {
    "author": ("{topic} by {value}", "what did {value} write about {topic}", "{value} on {topic}"),
    "date": ("{topic} from {value}", "{topic} published in {value}", "what was known about {topic} in {value}"),
    "category": ("{topic} in {value}", "{value}: {topic}", "{value} about {topic}"),
}
"""English templates by kind of metadata."""

_KINDS = {
    "author": ("author", "authors", "creator", "by", "writer"),
    "date": ("date", "year", "published", "published_at", "publication_date", "created"),
    "category": ("category", "categories", "topic", "tag", "tags", "section", "genre", "type", "journal", "venue"),
}
KIND_OF_FIELD = {field: kind for kind, fields in _KINDS.items() for field in fields}
"""Kind of metadata by the name of a field."""

_PHRASES = 5
_YEAR = re.compile(r"\b(1[5-9]\d\d|20\d\d)\b")


class MetadataMaker(DocumentMaker):
    """A keyphrase or the title under a constraint that a field of the metadata gives; the document answers as it is.

    A value that does not stand in a document's text cannot be found by its text, so such values are woven in only for
    the fields that are asked for by name.

    Args:
        fields: Fields to weave in, whether their values stand in the text or not; empty: fields named like an author, a
            date or a category, where their value stands in the text.
    """

    name = "templates"

    def __init__(self, fields: Sequence[str] = ()) -> None:
        self.fields = tuple(fields)

    def prepare(self, documents: Sequence[Document]) -> Drafts:
        """Counts words."""
        keyphrases = Keyphrases([document.text for document in documents])

        def drafts(document: Document, source: random.Random) -> Iterator[Draft]:
            constraints = list(find_constraints(document, self.fields))
            if not constraints:
                return
            title, _ = split_title(document)
            topics = [phrase.text for phrase in keyphrases(document.text, _PHRASES)]
            topics += [as_query(title)] if title else []
            source.shuffle(topics)
            for topic in topics:
                kind, value = source.choice(constraints)
                if value.lower() not in topic.lower():
                    yield Draft(source.choice(TEMPLATES[kind]).format(topic=topic, value=value))

        return drafts


def find_constraints(document: Document, fields: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The constraints that a document's metadata give.

    Args:
        document: The document.
        fields: As for ``MetadataMaker``.

    Yields:
        Kind of metadata (fields of unknown names count as categories) and value; of a date, its year.
    """
    text = document.text.lower()
    for field, raw in document.metadata.items():
        kind = KIND_OF_FIELD.get(field.lower())
        if field not in fields and (fields or kind is None):
            continue
        for value in _values(raw, kind):
            if fields or value.lower() in text:
                yield kind or "category", value


def _values(raw: Any, kind: str | None) -> Iterator[str]:
    items = raw if isinstance(raw, list | tuple) else [] if isinstance(raw, Mapping) else [raw]
    for item in items:
        value = str(item).strip() if isinstance(item, str | int | float) and not isinstance(item, bool) else ""
        if kind == "date":
            year = _YEAR.search(value)
            value = year.group() if year else value
        if value:
            yield value
