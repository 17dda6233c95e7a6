"""Questions on disk: made once, appended one by one, so that a killed run goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from finetune.cleaning.normal import content_hash
from finetune.types import QueryMaker, Question
from hybridret.errors import InputError
from hybridret.types import Document, Progress

_END = {"complete": True}


class CachedMaker:
    """A maker whose questions are kept in a file.

    The file is named by a hash of the maker's name and settings, the documents, the number and the seed. A run that
    was killed leaves whole lines; the next one reads them, lets the maker go over what it had made, and appends the
    rest. Makers that ask a model keep its replies in a cache of their own, so going over costs little.

    Args:
        maker: What makes the questions; it must make the same ones each time.
        folder: Where the file lies.
        settings: Whatever else the questions depend on, as a text.
    """

    def __init__(self, maker: QueryMaker, folder: Path, settings: str = "") -> None:
        self.name = maker.name
        self._maker, self._folder, self._settings = maker, folder, settings

    def path(self, documents: Sequence[Document], n: int, seed: int) -> Path:
        """The file of these questions."""
        texts = (part for document in documents for part in (document.doc_id, document.text, repr(document.metadata)))
        key = content_hash(self.name, self._settings, str(n), str(seed), *texts)
        return self._folder / f"questions-{self.name}-{key[:16]}.jsonl"

    def __call__(
        self, documents: Sequence[Document], n: int, seed: int, progress: Progress | None = None
    ) -> Iterator[Question]:
        """Reads what is there, then makes and appends the rest."""
        path = self.path(documents, n, seed)
        made, is_complete = _read(path)
        yield from made
        if is_complete:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            for question in islice(self._maker(documents, n, seed, progress), len(made), None):
                _append(file, question._asdict())
                yield question
            _append(file, _END)


def _append(file: Any, record: dict[str, Any]) -> None:
    file.write(json.dumps(record, ensure_ascii=False) + "\n")
    file.flush()


def _read(path: Path) -> tuple[list[Question], bool]:
    """Questions of a file and whether it is complete; a last line that was not finished is cut off."""
    if not path.is_file():
        return [], False
    questions: list[Question] = []
    whole = 0
    content = path.read_bytes()
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            os.truncate(path, whole)
            break
        try:
            record = json.loads(line)
            if record == _END:
                return questions, True
            questions.append(_question(record))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}:{len(questions) + 1}: no question; remove the file to make it anew") from error
        whole += len(line)
    return questions, False


def _question(record: dict[str, Any]) -> Question:
    question = Question(**record)
    return question._replace(positives=tuple(question.positives), negatives=tuple(question.negatives))
