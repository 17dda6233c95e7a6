"""What speaks for a candidate: a few numbers that mean the same in every corpus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from hybridret.types import BoolArray, FloatArray, IntArray, ScoreArray

EVIDENCE = ("cosine", "coverage", "bm25_share", "bm25_peak", "agreement", "docid")
SOURCES = {
    "dense": ("cosine",),
    "bm25": ("coverage", "bm25_share", "bm25_peak"),
    "both": ("agreement",),
    "docid": ("docid",),
}
"""Whose evidence each column is."""
LOWEST_WEIGHTS = tuple(-np.inf if column == "agreement" else 0.0 for column in EVIDENCE)
"""That a retriever finds a document never speaks against it; only what both say together may be counted twice."""
_PEAK = 10.0
_LEAST = -30.0
_SAMPLE = 500
_USUAL_MEAN, _USUAL_DEVIATION = 0.15, 0.11
_USUAL_PAIRS, _USUAL_COUNT = 3, 20
_HIGHEST_AGREEING = 5.0
_LEAST_ROOM = 0.01


class Spread(NamedTuple):
    """How cosines between a corpus's documents are spread, which tells what a high one is with this model.

    Attributes:
        mean: Their mean.
        deviation: Their standard deviation.
    """

    mean: float
    deviation: float


def spread_of(vectors: FloatArray, rows: IntArray, seed: int) -> Spread:
    """Measures the spread on pairs of at most 500 documents.

    Few documents say little. A usual mean counts as much as three pairs of them, and a usual deviation as much as that
    of 20 documents. Where a model's cosines all lie high, they lie close together as well: the usual deviation is taken
    in proportion to what the mean leaves up to 1.

    Args:
        vectors: *Shape:* (n_rows, dimension), float32, unit length.
        rows: *Shape:* (n_documents,), int64, the rows that hold documents.
        seed: Seed of the sample.
    """
    taken = rows
    if len(rows) > _SAMPLE:
        taken = np.sort(np.random.default_rng(seed).choice(rows, _SAMPLE, replace=False))
    if len(taken) < 2:
        return Spread(_USUAL_MEAN, _USUAL_DEVIATION)
    sample = vectors[taken].astype(np.float64)
    cosines = (sample @ sample.T)[np.triu_indices(len(taken), 1)]
    share = _USUAL_PAIRS / (_USUAL_PAIRS + len(cosines))
    mean = float((1 - share) * cosines.mean() + share * _USUAL_MEAN)
    share = _USUAL_COUNT / (_USUAL_COUNT + len(taken))
    usual = _USUAL_DEVIATION * max(1 - mean, _LEAST_ROOM) / (1 - _USUAL_MEAN)
    return Spread(mean, float(np.sqrt((1 - share) * cosines.var() + share * usual**2)))


def evidence(
    cosines: ScoreArray,
    bm25: ScoreArray,
    coverage: ScoreArray,
    ceiling: float,
    spread: Spread,
    docid: ScoreArray | None = None,
    peers: Mapping[str, BoolArray] | None = None,
) -> ScoreArray:
    """Puts the evidence on one query's candidates together.

    Absolute values are kept, other than by the usual normalisations: a query whose best candidates have all been found
    by chance looks unlike one with an answer, for both retrievers.

    Args:
        cosines: *Shape:* (n_candidates,), float64.
        bm25: *Shape:* (n_candidates,), float64, BM25 scores.
        coverage: *Shape:* (n_candidates,), float64, share of the query's idf whose words a candidate has.
        ceiling: The BM25 score of a document that had every word of the query endlessly often; a word that no document
            has counts as the rarest one can.
        spread: Of the corpus's cosines.
        docid: *Shape:* (n_candidates,), float64, log-probabilities of the docids by a trained decoder; None: there is
            none, and the column is 0.
        peers: By retriever the candidates that it ranks highest, with which each is compared, *shape:* (n_candidates,);
            None: all. With the same peers, evidence does not change with how many hits are asked for.

    Returns:
        *Shape:* (n_candidates, 6), float64, columns in the order of ``EVIDENCE``: the cosine in deviations from the
        mean; the coverage; BM25 as a share of its ceiling; the softmax of ``10 * bm25 / max(bm25)`` among the peers,
        high where one candidate stands out, times the highest share among them; the first, but no more than 5, times
        the second; the logarithm of the docid's probability among the peers' docids, below -30 by the logarithm of what
        lies beyond.
    """
    standard = standardised(cosines, spread)
    table = np.zeros((len(cosines), len(EVIDENCE)))
    if not len(cosines):
        return table
    first = _peers_of("bm25", peers, len(bm25))
    best = bm25[first].max()
    logits = _PEAK * bm25 / best if best > 0 else np.zeros(len(bm25))
    peaks = np.exp(np.minimum(logits - logits[first].max(), 0.0))
    table[:, 0] = standard
    table[:, 1] = coverage
    table[:, 2] = share_of_ceiling(bm25, ceiling)
    table[:, 3] = peaks / peaks[first].sum() * table[first, 2].max()
    table[:, 4] = np.minimum(standard, _HIGHEST_AGREEING) * coverage
    if docid is not None:
        table[:, 5] = _compress(among(docid, _peers_of("docid", peers, len(docid))))
    return table


def _peers_of(name: str, peers: Mapping[str, BoolArray] | None, n: int) -> BoolArray:
    """A retriever's peers; all candidates where it has none. *Shape:* (n,)."""
    mask = np.zeros(n, dtype=np.bool_) if peers is None or name not in peers else peers[name]
    return mask if mask.any() else np.ones(n, dtype=np.bool_)


def _compress(logs: ScoreArray) -> ScoreArray:
    """Logarithms as they are down to -30, and slower and slower below, in the same order. *Shape:* (n,) both."""
    return np.where(logs < _LEAST, _LEAST - np.log1p(np.maximum(_LEAST - logs, 0.0)), logs)


def standardised(cosines: ScoreArray, spread: Spread) -> ScoreArray:
    """Cosines in deviations from the corpus's mean. *Shape:* (n_candidates,) both."""
    return (cosines - spread.mean) / spread.deviation


def share_of_ceiling(bm25: ScoreArray, ceiling: float) -> ScoreArray:
    """BM25 scores as a share of the one that no document can exceed. *Shape:* (n_candidates,) both."""
    return bm25 / ceiling if ceiling > 0 else np.zeros(len(bm25))


def among(docid: ScoreArray, peers: BoolArray | None = None) -> ScoreArray:
    """Logarithms of the docids' probabilities among those of the peers, or of all. *Shape:* (n_candidates,) all."""
    if not len(docid):
        return docid
    compared = docid if peers is None else docid[peers]
    highest = compared.max()
    logs: ScoreArray = docid - highest - np.log(np.exp(compared - highest).sum())
    return logs
