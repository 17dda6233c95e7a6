"""What makers that ask a model share: documents in batches, replies from the cache, numbering."""

from __future__ import annotations

import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from finetune.cleaning.normal import content_hash
from finetune.queries.base import Draft, is_new
from finetune.queries.replies import Replies
from finetune.types import Question
from hybridret.errors import HybridretError
from hybridret.types import Document, Progress

_LOG = logging.getLogger(__name__)
_FIRST_LOOK = 20


class ReplyError(HybridretError):
    """A model's replies are no questions; the message shows one."""


class ModelMaker(ABC):
    """Makes questions by asking a model about documents; subclasses say what to ask, whom, and how to read the reply.

    Documents take turns in batches, in an order drawn from the seed. A batch is asked for as a whole, and its replies
    are kept by what was asked, so a killed run goes on with the same questions.

    Args:
        replies: Where replies are kept.
        batch_size: Documents in a batch.
        rounds: How often each document is asked about.
    """

    name: str

    def __init__(self, replies: Replies | None = None, batch_size: int = 8, rounds: int = 8) -> None:
        self._replies = replies or Replies(None)
        self._batch_size, self._rounds = batch_size, rounds

    @abstractmethod
    def prompt(self, document: Document, turn: int, source: random.Random) -> str:
        """What to ask about a document in a turn, from 0; empty: nothing."""

    @abstractmethod
    def ask(self, prompts: list[str], seed: int) -> list[str]:
        """Asks the model, one reply a prompt."""

    @abstractmethod
    def read(self, reply: str) -> Sequence[Draft]:
        """The questions in a reply; none where it holds none."""

    @property
    @abstractmethod
    def model_name(self) -> str:
        """What replies depend on besides prompts and seed."""

    def __call__(
        self, documents: Sequence[Document], n: int, seed: int, progress: Progress | None = None
    ) -> Iterator[Question]:
        """Makes up to ``n`` questions; no two have the same words.

        Raises:
            ReplyError: None of the first 20 replies holds a question.
        """
        made, asked, read, seen = 0, 0, 0, set[str]()
        for document, reply in self._all_replies(documents, seed) if n > 0 else ():
            asked += 1
            drafts = self.read(reply)
            read += bool(drafts)
            if not read and asked >= _FIRST_LOOK:
                raise ReplyError(
                    f"none of the first {asked} replies of {self.model_name} is a question: {reply[:200]!r}"
                )
            for draft in drafts:
                if not is_new(draft, seen):
                    continue
                made += 1
                yield Question(f"{self.name}-{made}", draft.text, (document.doc_id,), (), draft.answer, self.name)
                if progress is not None:
                    progress(f"making {self.name}", made, n)
                if made >= n:
                    return
        if read < asked:
            _LOG.warning("%d of %d replies of %s hold no question", asked - read, asked, self.model_name)

    def _all_replies(self, documents: Sequence[Document], seed: int) -> Iterator[tuple[Document, str]]:
        order = list(documents)
        random.Random(f"{seed}/{self.name}").shuffle(order)  # noqa: S311
        for turn in range(self._rounds):
            asked = [
                (document, prompt)
                for document in order
                if (prompt := self.prompt(document, turn, self._source(seed, turn, document)))
            ]
            for start in range(0, len(asked), self._batch_size):
                batch = asked[start : start + self._batch_size]
                replies = self._reply([prompt for _, prompt in batch], turn, seed)
                yield from zip((document for document, _ in batch), replies, strict=True)

    def _source(self, seed: int, turn: int, document: Document) -> random.Random:
        return random.Random(f"{seed}/{self.name}/{turn}/{document.doc_id}")  # noqa: S311

    def _reply(self, prompts: list[str], turn: int, seed: int) -> list[str]:
        key = content_hash(self.model_name, str(seed), str(turn), *prompts)
        known = self._replies.get(key)
        if known is None:
            known = self.ask(prompts, int(key[:15], 16))
            self._replies.put(key, known)
        return known
