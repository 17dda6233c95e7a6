"""What makers of questions share: order, numbering, and one hook."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from finetune.cleaning.normal import normal_form, words
from finetune.types import Question
from hybridret.types import Document, Progress

_LONGEST_QUERY = 64


class Draft(NamedTuple):
    """A question to be, about the document it was made from.

    Attributes:
        text: The query.
        positive_text: The document without what became the query; None: the document as it is.
        answer: What the query asks for.
    """

    text: str
    positive_text: str | None = None
    answer: str | None = None


Drafts = Callable[[Document, random.Random], Iterator[Draft]]


class DocumentMaker(ABC):
    """Makes questions document by document; subclasses write ``prepare``.

    Documents take turns in an order drawn from the seed: every one gives its first question before any gives its
    second. What a document gives depends on it, the collection and the seed alone, so the first questions of a larger
    number are those of a smaller one.
    """

    name: str

    @abstractmethod
    def prepare(self, documents: Sequence[Document]) -> Drafts:
        """Learns what it must of a collection.

        Returns:
            Gives the drafts of one document, from a source of random numbers of its own.
        """

    def __call__(
        self, documents: Sequence[Document], n: int, seed: int, progress: Progress | None = None
    ) -> Iterator[Question]:
        """Makes up to ``n`` questions; no two have the same words."""
        drafts_of, made, seen = self.prepare(documents), 0, set[str]()
        waiting = [(document, drafts_of(document, self._source(seed, document))) for document in documents]
        random.Random(f"{seed}/{self.name}").shuffle(waiting)  # noqa: S311
        while waiting and made < n:
            still = []
            for document, drafts in waiting:
                if made >= n:
                    return
                draft = next((draft for draft in drafts if is_new(draft, seen)), None)
                if draft is None:
                    continue
                still.append((document, drafts))
                made += 1
                yield Question(
                    f"{self.name}-{made}",
                    draft.text,
                    (document.doc_id,),
                    answer=draft.answer,
                    source=self.name,
                    positive_text=draft.positive_text,
                )
                if progress is not None:
                    progress(f"making {self.name}", made, n)
            waiting = still

    def _source(self, seed: int, document: Document) -> random.Random:
        return random.Random(f"{seed}/{self.name}/{document.doc_id}/{document.text}")  # noqa: S311


def is_new(draft: Draft, seen: set[str]) -> bool:
    """Whether a draft has words, no more than 64, that were not seen before; they are seen from now on."""
    form = normal_form(draft.text)
    if not form or form in seen or len(words(draft.text)) > _LONGEST_QUERY:
        return False
    seen.add(form)
    return True
