"""In which order docid training sees its texts, and how often, by what is known of their documents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finetune.generative.rows import Row
from hybridret.types import FloatArray, IntArray

STAGES = 3


def asked_for(questions: Sequence[Row], n_documents: int) -> IntArray:
    """How many questions each document has. *Shape:* (n_documents,), int64."""
    counts = np.zeros(n_documents, dtype=np.int64)
    for row in questions:
        counts[row.documents] += 1
    return counts


def important_first(sentences: Sequence[Row], questions: Sequence[Row], n_documents: int) -> IntArray:
    """Sentences by how many questions their document has, most first: progressive memorisation.

    *Shape:* (n_sentences,), int64, positions.
    """
    counts = asked_for(questions, n_documents)
    return np.argsort([-counts[row.documents].max() for row in sentences], kind="stable")


def tail_weights(questions: Sequence[Row], n_documents: int, exponent: float) -> FloatArray:
    """How much a question counts: ``n ** -exponent`` where its document has n questions, so that rare ones keep up.

    An exponent of 1 has every document asked for equally often. *Shape:* (n_questions,), float64, with a sum of 1.
    """
    counts = asked_for(questions, n_documents)
    weights = np.array([float(counts[row.documents].min()) ** -exponent for row in questions])
    normalised: FloatArray = weights / weights.sum()
    return normalised


def staged(order: IntArray, wanted: int, seed: int) -> IntArray:
    """Shuffled passes over the first third of an order, then over the first two, then over all of it.

    Args:
        order: *Shape:* (n,), int64, what comes first.
        wanted: How many to take in all; each stage gives a third.
        seed: Seed of the shuffling.

    Returns:
        *Shape:* (wanted,), int64.
    """
    ends = [max(1, len(order) * stage // STAGES) for stage in range(1, STAGES + 1)]
    sizes = [wanted * stage // STAGES - wanted * (stage - 1) // STAGES for stage in range(1, STAGES + 1)]
    parts = [order[passes(end, size, seed + at)] for at, (end, size) in enumerate(zip(ends, sizes, strict=True))]
    return np.concatenate(parts)


def passes(n: int, wanted: int, seed: int) -> IntArray:
    """Shuffled passes over n things. *Shape:* (wanted,), int64; none where n is 0."""
    generator = np.random.default_rng(seed)
    n_passes = -(-wanted // n) if n else 0
    return np.concatenate([np.zeros(0, dtype=np.int64), *(generator.permutation(n) for _ in range(n_passes))])[:wanted]


def weighted(weights: FloatArray, wanted: int, seed: int) -> IntArray:
    """Draws by weight, each as often as its share says, give or take one (systematic sampling), then shuffled.

    Args:
        weights: *Shape:* (n,), float64, from 0 up, with a sum of 1.
        wanted: How many to draw.
        seed: Seed of the draw.

    Returns:
        *Shape:* (wanted,), int64.
    """
    generator = np.random.default_rng(seed)
    edges = np.cumsum(weights) * wanted
    edges[-1] = wanted
    drawn = np.searchsorted(edges, np.arange(wanted) + generator.random(), side="right")
    return generator.permutation(np.minimum(drawn, len(weights) - 1)).astype(np.int64)


def redrawn(plan: IntArray, n_questions: int, rates: FloatArray, alpha: float, seed: int) -> IntArray:
    """A plan whose texts are drawn anew, of the same kinds in the same places, by ``exp(-alpha * rate)``.

    Args:
        plan: *Shape:* (n_steps, batch_size), int64, rows; questions are those below ``n_questions``.
        n_questions: How many questions there are.
        rates: *Shape:* (n_rows,), float64, how well each row's document is known, from 0 to 1.
        alpha: How much that counts.
        seed: Seed of the draw.

    Returns:
        *Shape:* that of the plan.
    """
    made = plan.copy()
    for kind, (first, end) in enumerate(((0, n_questions), (n_questions, len(rates)))):
        places = (plan >= first) & (plan < end)
        if places.any():
            weights = np.exp(-alpha * rates[first:end])
            made[places] = first + weighted(weights / weights.sum(), int(places.sum()), seed + kind)
    return made
