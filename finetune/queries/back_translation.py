"""Other makers' questions in other words, by translating them there and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from finetune.cleaning.normal import content_hash, normal_form
from finetune.queries.generation import LocalModel
from finetune.queries.replies import Replies
from finetune.queries.text import as_query
from finetune.types import QueryMaker, Question
from hybridret.types import Document, Progress

_WIDER = 4


class BackTranslationMaker:
    """Translates questions into another language and back; those that come back changed are kept.

    Sennrich, Haddow and Birch, "Improving neural machine translation models with monolingual data", 2016, for training
    data; here the round gives paraphrases.

    Args:
        base: Makes the questions to reword.
        there: Translates into the other language.
        back: Translates back.
        replies: Where translations are kept.
        batch_size: Questions translated at once.
    """

    name = "back_translation"

    def __init__(
        self,
        base: QueryMaker,
        there: LocalModel,
        back: LocalModel,
        replies: Replies | None = None,
        batch_size: int = 8,
    ) -> None:
        self._base, self._there, self._back = base, there, back
        self._replies, self._batch_size = replies or Replies(None), batch_size

    def __call__(
        self, documents: Sequence[Document], n: int, seed: int, progress: Progress | None = None
    ) -> Iterator[Question]:
        """Makes up to ``n`` questions; no two have the same words, and none those of the question it came from."""
        source, made, seen = self._base(documents, _WIDER * n, seed), 0, set[str]()
        while made < n and (batch := list(islice(source, self._batch_size))):
            for question, text in zip(batch, self._around([question.text for question in batch]), strict=True):
                form = normal_form(text)
                if made >= n or not form or form in seen or form == normal_form(question.text):
                    continue
                seen.add(form)
                made += 1
                yield question._replace(query_id=f"{self.name}-{made}", text=text, source=self.name)
                if progress is not None:
                    progress(f"making {self.name}", made, n)

    def _around(self, texts: list[str]) -> list[str]:
        key = content_hash(self._there.name, self._back.name, *texts)
        known = self._replies.get(key)
        if known is None:
            known = self._back(self._there(texts, 0), 0)
            self._replies.put(key, known)
        return [as_query(text) for text in known]
