"""In which order docid training sees its texts, and how often, by what is known of their documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from finetune.generative.config import DocidConfig
from finetune.generative.rows import Picks, Row, passes, with_labels
from hybridret.types import IntArray, ScoreArray

STAGES = 3


def picks_of(
    config: DocidConfig,
    questions: Sequence[Row],
    sentences: Sequence[Row],
    n_documents: int,
    difficulties: IntArray | None,
) -> Picks:
    """How the configuration has questions and sentences picked.

    Args:
        config: ``order`` and ``long_tail``.
        questions: The questions.
        sentences: The sentences.
        n_documents: Documents in the corpus.
        difficulties: *Shape:* (n_questions,), int64, low for easy questions; needed for the order ``easy``.
    """
    if config.order == "easy":
        assert difficulties is not None
        return Picks(questions=partial(staged, np.argsort(difficulties, kind="stable")))
    if config.order == "important" and sentences:
        return Picks(_pick_labels(questions), partial(staged, important_first(sentences, questions, n_documents)))
    if config.long_tail:
        return Picks(questions=partial(weighted, tail_weights(questions, n_documents, config.long_tail)))
    return Picks(questions=_pick_labels(questions))


def _pick_labels(questions: Sequence[Row]) -> Callable[[int, int], IntArray] | None:
    """How questions are picked where a few of them are labelled; None: one after the other."""
    labelled = np.array([row.is_labelled for row in questions], dtype=np.bool_)
    return partial(with_labels, labelled) if 0 < labelled.sum() < (~labelled).sum() else None


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


def tail_weights(questions: Sequence[Row], n_documents: int, exponent: float) -> ScoreArray:
    """How much a question counts: ``n ** -exponent`` where its document has n questions, so that rare ones keep up.

    An exponent of 1 has every document asked for equally often. *Shape:* (n_questions,), float64, with a sum of 1.
    """
    counts = asked_for(questions, n_documents)
    weights = np.array([float(counts[row.documents].min()) ** -exponent for row in questions])
    normalised: ScoreArray = weights / weights.sum()
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


def weighted(weights: ScoreArray, wanted: int, seed: int) -> IntArray:
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


def redrawn(plan: IntArray, n_questions: int, rates: ScoreArray, alpha: float, seed: int) -> IntArray:
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
