"""Scores on disk: each pair is asked for once, within a budget."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from finetune.cleaning.normal import content_hash
from finetune.types import Teacher
from hybridret.errors import HybridretError
from hybridret.types import Progress

_LOG = logging.getLogger(__name__)
_QUESTIONS_AT_ONCE = 16


class CachedTeacher:
    """A teacher whose scores are kept in an SQLite file by content, and that asks for so many passages at most.

    A question's passages are asked for together or not at all. Scores are written after every 16 questions, so a killed
    run goes on where it was.

    Args:
        teacher: Who is asked for what is not there yet.
        path: The file; it is made where it does not exist.
        budget: Passages to ask for at most in this object's life; 0 sets no limit.
        progress: Told how far the work is.

    Attributes:
        asked: Passages asked for so far.
        unscored: Passages that the budget left without a score.
    """

    def __init__(self, teacher: Teacher, path: Path, budget: int = 0, progress: Progress | None = None) -> None:
        self.name = teacher.name
        self._teacher, self._path, self._budget, self._progress = teacher, path, budget, progress
        self.asked, self.unscored = 0, 0

    def score(
        self, questions: Sequence[str], passages: Sequence[Sequence[str]], answers: Sequence[str | None]
    ) -> list[list[float]]:
        """Scores each question's passages; not-a-number where the budget did not reach, which is logged.

        Raises:
            HybridretError: The file is no cache of scores; whatever the teacher raises, scores so far being kept.
        """
        keys = [
            [content_hash(self.name, question, passage, "" if answer is None else f"+{answer}") for passage in own]
            for question, own, answer in zip(questions, passages, answers, strict=True)
        ]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        before = self.unscored
        try:
            with closing(sqlite3.connect(self._path)) as file:
                file.execute("CREATE TABLE IF NOT EXISTS scores (key TEXT PRIMARY KEY, score REAL NOT NULL)")
                known = _read(file, [key for own in keys for key in own])
                for start in range(0, len(questions), _QUESTIONS_AT_ONCE):
                    chosen = range(start, min(start + _QUESTIONS_AT_ONCE, len(questions)))
                    self._ask(chosen, questions, passages, answers, keys, known, file)
                    if self._progress is not None:
                        self._progress("asking the teacher", chosen.stop, len(questions))
        except sqlite3.Error as error:
            raise HybridretError(f"{self._path} cannot be used as a cache of scores: {error}") from error
        if self.unscored > before:
            _LOG.warning(
                "the teacher's budget of %d passages is spent: %d passages have no score",
                self._budget,
                self.unscored - before,
            )
        return [[known.get(key, math.nan) for key in own] for own in keys]

    def _ask(
        self,
        chosen: range,
        questions: Sequence[str],
        passages: Sequence[Sequence[str]],
        answers: Sequence[str | None],
        keys: list[list[str]],
        known: dict[str, float],
        file: sqlite3.Connection,
    ) -> None:
        """Asks for what some questions lack, and writes it."""
        wanted: list[tuple[int, list[int]]] = []
        for place in chosen:
            first = {key: at for at, key in reversed(list(enumerate(keys[place]))) if key not in known}
            missing = sorted(first.values())
            if not missing:
                continue
            if self._budget and self.asked + len(missing) > self._budget:
                self.unscored += len(missing)
                continue
            self.asked += len(missing)
            wanted.append((place, missing))
        if not wanted:
            return
        scores = self._teacher.score(
            [questions[place] for place, _ in wanted],
            [[passages[place][at] for at in missing] for place, missing in wanted],
            [answers[place] for place, _ in wanted],
        )
        new = {
            keys[place][at]: score
            for (place, missing), own in zip(wanted, scores, strict=True)
            for at, score in zip(missing, own, strict=True)
        }
        if wrong := [score for score in new.values() if not math.isfinite(score)]:
            raise HybridretError(f"the teacher {self.name} gave {wrong[0]} as a score")
        with file:
            file.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?)", new.items())
        known.update(new)


def _read(file: sqlite3.Connection, keys: Sequence[str]) -> dict[str, float]:
    known: dict[str, float] = {}
    for start in range(0, len(keys), 500):
        part = keys[start : start + 500]
        marks = ",".join("?" * len(part))
        known.update(file.execute(f"SELECT key, score FROM scores WHERE key IN ({marks})", part))
    return known
