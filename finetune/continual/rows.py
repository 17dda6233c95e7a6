"""What is learned from when documents come: texts about new documents, and old ones in between."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from finetune.generative.rows import Row, passes, with_labels
from hybridret.types import BoolArray, IntArray


class Material(NamedTuple):
    """Texts to learn from, each with its documents.

    Attributes:
        new_questions: About new documents.
        new_sentences: Of new documents.
        old_questions: About old documents, to be replayed.
        old_sentences: Of old documents, to be replayed.
    """

    new_questions: list[Row]
    new_sentences: list[Row]
    old_questions: list[Row]
    old_sentences: list[Row]

    @property
    def rows(self) -> list[Row]:
        """All texts, in the order of the fields."""
        return [row for rows in self for row in rows]

    @property
    def first_old(self) -> int:
        """The first row about an old document."""
        return len(self.new_questions) + len(self.new_sentences)


def replayed(material: Material, steps: int, batch_size: int, replay: float, sentences: float, seed: int) -> IntArray:
    """The rows of each step: each kind shuffled, pass after pass, the kinds mixed evenly.

    Of all rows ``replay`` are about old documents, and ``sentences`` of either are sentences, both to within half a
    row; a step's number differs by at most one from another's. So an 80/20 mix is one of rows, in every batch, while
    old documents are rehearsed as in DSI++ (Mehta et al., EMNLP 2023, whose generative memory asks them questions made
    anew) and CLEVER (Chen et al., CIKM 2023, which joins rehearsal and EWC).

    Args:
        material: The texts.
        steps: Steps of the run.
        batch_size: Texts of a step.
        replay: Share of old documents; 0 where there is no text about any.
        sentences: Share of sentences; where there are none, or no questions, all are of the other kind.
        seed: Seed of the order.

    Returns:
        *Shape:* (steps, batch_size), int64, positions in ``material.rows``.
    """
    starts = np.cumsum([0, *map(len, material)])
    is_old = spread(steps * batch_size, replay if len(material.rows) > material.first_old else 0.0)
    plan = np.zeros(len(is_old), dtype=np.int64)
    for at, chosen in ((0, ~is_old), (2, is_old)):
        n_asked, n_told = len(material[at]), len(material[at + 1])
        share = sentences if n_asked and n_told else float(n_told > 0)
        is_told = spread(int(chosen.sum()), share)
        part = np.zeros(len(is_told), dtype=np.int64)
        labelled = np.array([row.is_labelled for row in material[at]], dtype=np.bool_)
        part[~is_told] = starts[at] + with_labels(labelled, int((~is_told).sum()), seed + at)
        part[is_told] = starts[at + 1] + passes(n_told, int(is_told.sum()), seed + at + 1)
        plan[chosen] = part
    return plan.reshape(steps, batch_size)


def spread(n: int, share: float) -> BoolArray:
    """``round(n * share)`` of n places, evenly spaced. *Shape:* (n,)."""
    reached = np.floor(np.arange(n + 1) * share + 0.5)
    marked: BoolArray = np.diff(reached) > 0
    return marked
