"""How well a corpus is known while it is learned, at no cost: from the batches themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from finetune.generative.rows import Row
from hybridret.types import BoolArray, IntArray, ScoreArray

_NEW = 0.3


class Memorisation:
    """The running memorisation rate: how often a document's docid is the likeliest for a text of it, by document.

    A moving average over the batches that the document occurs in, of which the newest counts .3; questions and
    sentences apart.

    Args:
        rows: Texts and their documents, questions first.
        n_questions: How many of them are questions.
        n_documents: Documents in the corpus.
    """

    def __init__(self, rows: Sequence[Row], n_questions: int, n_documents: int) -> None:
        self.n_questions = n_questions
        self.rates: ScoreArray = np.zeros((2, n_documents))
        self.seen: BoolArray = np.zeros((2, n_documents), dtype=np.bool_)
        self.curve: list[tuple[int, float, float]] = []
        self._firsts = np.array([int(row.documents[0]) for row in rows], dtype=np.int64)

    def update(self, rows: IntArray, documents: IntArray, hits: BoolArray) -> None:
        """Takes a batch in.

        Args:
            rows: *Shape:* (n_texts,), int64.
            documents: *Shape:* (n_texts,), int64, the document that each text stood for.
            hits: *Shape:* (n_texts,), whether one of its documents had the likeliest docid.
        """
        for row, document, hit in zip(rows.tolist(), documents.tolist(), hits.tolist(), strict=True):
            kind = int(row >= self.n_questions)
            old = self.rates[kind, document] if self.seen[kind, document] else float(hit)
            self.rates[kind, document] = (1 - _NEW) * old + _NEW * hit
            self.seen[kind, document] = True

    def means(self) -> tuple[float, float]:
        """The mean rate over the documents seen, by questions and by sentences; 0 where there were none."""
        questions, sentences = (
            float(rates[seen].mean()) if seen.any() else 0.0 for rates, seen in zip(self.rates, self.seen, strict=True)
        )
        return questions, sentences

    def lowest(self) -> float:
        """The lower one of both mean rates, of those kinds that there are texts of."""
        return min(
            (mean for mean, seen in zip(self.means(), self.seen, strict=True) if seen.any()),
            default=0.0,
        )

    def mark(self, step: int) -> None:
        """Adds a point to the curve: step, rate by questions, rate by sentences."""
        self.curve.append((step, *self.means()))

    def of_rows(self) -> ScoreArray:
        """The rate of each row's document, by texts of its kind; 0 while unseen. *Shape:* (n_rows,), float64."""
        kinds = (np.arange(len(self._firsts)) >= self.n_questions).astype(np.int64)
        rates: ScoreArray = self.rates[kinds, self._firsts]
        return rates

    def save(self, path: Path) -> None:
        """Writes what it knows, as ``.npz``."""
        curve = np.array(self.curve, dtype=np.float64).reshape(-1, 3)
        np.savez(path, rates=self.rates, seen=self.seen, curve=curve)

    def load(self, path: Path) -> None:
        """Reads what ``save`` wrote."""
        with np.load(path) as stored:
            self.rates, self.seen = stored["rates"], stored["seen"]
            self.curve = [(int(step), own, told) for step, own, told in stored["curve"].tolist()]
