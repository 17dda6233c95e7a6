"""Questions by a model that was trained to turn passages into queries."""

from __future__ import annotations

import random
from collections.abc import Sequence

from finetune.queries.base import Draft
from finetune.queries.batches import ModelMaker
from finetune.queries.generation import LocalModel
from finetune.queries.replies import Replies
from finetune.queries.text import as_query
from hybridret.types import Document


class Seq2SeqMaker(ModelMaker):
    """Samples queries from a sequence-to-sequence model that reads the document.

    Nogueira and Lin, "From doc2query to docTTTTTquery", 2019: the passage is the whole input, queries are sampled.

    Args:
        model: The model.
        prefix: Text before the document, for models that want one.
        replies: Where replies are kept.
        batch_size: Documents read at once.
    """

    name = "seq2seq"

    def __init__(
        self, model: LocalModel, prefix: str = "", replies: Replies | None = None, batch_size: int = 8
    ) -> None:
        super().__init__(replies, batch_size)
        self._model, self._prefix = model, prefix

    @property
    def model_name(self) -> str:
        """The model with its settings."""
        return self._model.name

    def prompt(self, document: Document, turn: int, source: random.Random) -> str:
        """The document."""
        return self._prefix + document.text if document.text.strip() else ""

    def ask(self, prompts: list[str], seed: int) -> list[str]:
        """Samples a query each."""
        return self._model(prompts, seed)

    def read(self, reply: str) -> Sequence[Draft]:
        """The reply is the query."""
        query = as_query(reply)
        return [Draft(query)] if query else []
