"""Picking the best rows from an array of scores."""

from __future__ import annotations

import numpy as np

from hybridret.types import FloatArray, IntArray, Run, ScoreArray


def top_k(scores: ScoreArray, k: int, ties: IntArray, rows: IntArray | None = None) -> Run:
    """Picks the k highest scores; equal ones in the order of ``ties``, also where the cut runs through them.

    Args:
        scores: *Shape:* (n,), float64; an excluded entry is -inf.
        k: How many to pick; fewer come back where fewer are not excluded.
        ties: *Shape:* (n_rows,), int64, each row's place among equals (the order of document ids).
        rows: *Shape:* (n,), int64, the row of each score; by default its position.

    Returns:
        The picked rows, best first.
    """
    if k < len(scores):
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        picked = np.flatnonzero(scores >= threshold)
    else:
        picked = np.arange(len(scores))
    picked = picked[scores[picked] > -np.inf]
    found = picked if rows is None else rows[picked]
    order = np.lexsort((ties[found], -scores[picked]))[:k]
    return Run(found[order].astype(np.int64), scores[picked[order]])


def diversify(scores: ScoreArray, vectors: FloatArray, k: int, diversity: float) -> list[int]:
    """Picks hits one by one, weighing each one's score against its likeness to those picked before.

    Maximal marginal relevance: the next is the one with the highest ``(1 - diversity) * score - diversity * likeness``,
    scores brought to [0, 1] and likeness being the highest cosine (Carbonell and Goldstein, SIGIR 1998, section 2).

    Args:
        scores: *Shape:* (n,), float64, descending.
        vectors: *Shape:* (n, dimension), float32, unit length.
        k: How many to pick.
        diversity: From 0 to 1.

    Returns:
        Positions of the picked ones in the order picked.
    """
    low, high = (scores.min(), scores.max()) if len(scores) else (0.0, 0.0)
    relevance = (scores - low) / (high - low or 1.0)
    likeness, picked = np.zeros(len(scores)), list[int]()
    while len(picked) < min(k, len(scores)):
        value = (1 - diversity) * relevance - diversity * likeness
        value[picked] = -np.inf
        picked.append(int(np.argmax(value)))
        cosines = vectors @ vectors[picked[-1]]
        likeness = np.maximum(likeness, cosines) if len(picked) > 1 else cosines.astype(np.float64)
    return picked
