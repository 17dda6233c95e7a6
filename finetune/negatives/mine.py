"""Choosing negatives: sources are ranked, filtered, weighed and mixed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from finetune.negatives.config import NegativesConfig
from finetune.negatives.pool import Pool
from finetune.negatives.sources import SOURCES
from hybridret.types import FloatArray, IntArray


class Mined(NamedTuple):
    """One question's negatives, the most wanted first.

    Attributes:
        rows: *Shape:* (n,), int64, positions in the corpus.
        similarities: *Shape:* (n,), float32, cosines to the question.
    """

    rows: IntArray
    similarities: FloatArray


def mine_negatives(pool: Pool, config: NegativesConfig, seed: int) -> list[Mined]:
    """Finds negatives for every question of the pool.

    Args:
        pool: Documents and questions.
        config: Sources and filters.
        seed: Seed of draws.

    Returns:
        Per question at most ``config.count`` negatives, none of them a positive or a copy of one. A question all of
        whose candidates are filtered out has none.
    """
    active = {name: weight for name, weight in config.sources.items() if weight > 0}
    depth = config.ranks[1] + max((len(rows) for rows in pool.forbidden), default=0)
    ranked = {name: SOURCES[name](pool, depth, config, seed) for name in active}
    mined = []
    for at in range(len(pool.questions)):
        generator = np.random.default_rng((seed, at))
        chosen = [_chosen(pool, at, ranked[name][at], config, generator) for name in active]
        rows = mix(chosen, list(active.values()), config.count)
        mined.append(Mined(rows, pool.document_vectors[rows] @ pool.query_vectors[at]))
    return mined


def _chosen(pool: Pool, at: int, ranked: IntArray, config: NegativesConfig, generator: np.random.Generator) -> IntArray:
    """A source's candidates that pass the filters, in the order in which they are wanted."""
    candidates = ranked[~np.isin(ranked, pool.forbidden[at])][config.ranks[0] - 1 : config.ranks[1]]
    similarities = pool.document_vectors[candidates] @ pool.query_vectors[at]
    positive = float(pool.positive_similarity[at])
    kept = passes(similarities, positive, config)
    candidates, similarities = candidates[kept], similarities[kept]
    if config.simans is None or not len(candidates):
        return candidates
    keys = np.log(generator.random(len(candidates))) / np.maximum(simans(similarities, positive, *config.simans), 1e-30)
    return candidates[np.argsort(-keys, kind="stable")]


def passes(
    similarities: FloatArray, positive: float, config: NegativesConfig
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which candidates lie in the similarity band and below the positive by the margins.

    The relative margin is that of NV-Retriever's TopK-PercPos (Moreira et al., 2024, section 3.1): the cosine is below
    the positive's times (1 - relative margin).

    Args:
        similarities: *Shape:* (n,), float32, cosines to the question.
        positive: The positive's cosine.
        config: The filters.

    Returns:
        *Shape:* (n,), bool.
    """
    low, high = config.similarity
    kept = (similarities >= low) & (similarities <= high)
    if config.margin is not None:
        kept &= similarities < positive - config.margin
    if config.relative_margin is not None:
        kept &= similarities < positive - config.relative_margin * abs(positive)
    return kept


def simans(similarities: FloatArray, positive: float, a: float, b: float) -> FloatArray:
    """SimANS' weights: highest for negatives about as similar as the positive (plus b), falling off at both sides.

    Zhou et al., "SimANS: Simple Ambiguous Negatives Sampling for Dense Text Retrieval", 2022, eq. 4.

    Args:
        similarities: *Shape:* (n,), float32.
        positive: The positive's similarity.
        a: How fast weights fall off.
        b: Where they are highest, relative to the positive.

    Returns:
        *Shape:* (n,), float32, not normalised.
    """
    weights: FloatArray = np.exp(-a * (similarities - positive - b) ** 2)
    return weights


def mix(chosen: list[IntArray], weights: list[float], count: int) -> IntArray:
    """Takes from each source its share, the largest remainders first; what one lacks the others fill up.

    Args:
        chosen: Per source, candidates in the order in which they are wanted.
        weights: Per source.
        count: How many to take.

    Returns:
        Different positions, sources in turns, *Shape:* (n,), int64.
    """
    if not chosen or count == 0:
        return np.zeros(0, dtype=np.int64)
    shares = np.array(weights) / sum(weights) * count
    quotas = np.floor(shares).astype(int)
    for at in np.argsort(-(shares - quotas), kind="stable")[: count - quotas.sum()]:
        quotas[at] += 1
    taken: dict[int, None] = {}
    queues = [rows.tolist() for rows in chosen]
    for limited in (True, False):
        got = [0] * len(queues)
        places = [0] * len(queues)
        while len(taken) < count and any(
            places[at] < len(queue) and not (limited and got[at] >= quotas[at]) for at, queue in enumerate(queues)
        ):
            for at, queue in enumerate(queues):
                if places[at] < len(queue) and not (limited and got[at] >= quotas[at]) and len(taken) < count:
                    row = queue[places[at]]
                    places[at] += 1
                    if row not in taken:
                        taken[row] = None
                        got[at] += 1
    return np.fromiter(taken, dtype=np.int64, count=len(taken))


def telemetry(before: list[IntArray], after: list[Mined], positive: FloatArray) -> dict[str, float]:
    """How negatives changed and how hard they are.

    Args:
        before: Per question the old negatives.
        after: Per question the new ones.
        positive: *Shape:* (n_questions,), cosine of each question and its positive.

    Returns:
        ``changed``: share of the new ones that were not among the old; ``similarity``: their mean cosine to the
        question; ``hardness``: its mean difference to the positive's; ``false``: share that lies above the positive.
    """
    rows = [set(old.tolist()) for old in before]
    new = [(row in old) for old, mined in zip(rows, after, strict=True) for row in mined.rows.tolist()]
    if not new:
        return {"changed": 0.0, "similarity": 0.0, "hardness": 0.0, "false": 0.0}
    cosines = np.concatenate([mined.similarities for mined in after])
    differences = cosines - np.repeat(positive, [len(mined.rows) for mined in after])
    return {
        "changed": 1.0 - float(np.mean(new)),
        "similarity": float(cosines.mean()),
        "hardness": float(differences.mean()),
        "false": float((differences > 0).mean()),
    }
