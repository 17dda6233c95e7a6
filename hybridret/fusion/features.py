"""What trees look at: the evidence, how candidates stand to each other by it, and what the query looks like."""

from __future__ import annotations

import numpy as np

from hybridret.fusion.evidence import EVIDENCE, SOURCES
from hybridret.types import ScoreArray

QUERY_FACTS = ("terms", "unknown", "numbers", "code", "foreign")
_RANKED = ("cosine", "bm25_share", "docid")
_OF_EACH = ("reciprocal_rank", "margin", "entropy", "best")
_SHARPNESS = {"cosine": 1.0, "bm25_share": 10.0, "docid": 10.0}
FEATURES = (
    *EVIDENCE,
    *(f"{column} {what}" for column in _RANKED for what in _OF_EACH),
    "same first",
    "candidates",
    *QUERY_FACTS,
)
NO_FACTS: ScoreArray = np.zeros(len(QUERY_FACTS))


def features(evidence: ScoreArray, facts: ScoreArray = NO_FACTS) -> ScoreArray:
    """The features of one query's candidates.

    Of cosine, BM25 share and docid each: 1 / rank, the margin of the best candidate over the second, the entropy of the
    softmax in nats, and the best value; whether cosine and BM25 have the same first candidate; the logarithm of one
    more than the number of candidates; and the query's facts.

    Args:
        evidence: *Shape:* (n_candidates, n_evidence), float64.
        facts: *Shape:* (n_facts,), float64, see ``hybridret.facts``.

    Returns:
        *Shape:* (n_candidates, n_features), float64, columns in the order of ``FEATURES``.
    """
    n = len(evidence)
    if not n:
        return np.zeros((0, len(FEATURES)))
    columns = [*evidence.T]
    for name in _RANKED:
        values = evidence[:, EVIDENCE.index(name)]
        ranks = n - np.searchsorted(np.sort(values), values, side="right") + 1
        best = np.sort(values)[-2:]
        logits = _SHARPNESS[name] * (values - values.max())
        shares = np.exp(logits) / np.exp(logits).sum()
        entropy = float(-(shares * np.log(np.maximum(shares, 1e-300))).sum())
        columns += [1.0 / ranks, np.full(n, best[-1] - best[0]), np.full(n, entropy), np.full(n, best[-1])]
    cosines, bm25 = (evidence[:, EVIDENCE.index(name)] for name in _RANKED[:2])
    columns += [np.full(n, float(cosines.argmax() == bm25.argmax())), np.full(n, np.log1p(n))]
    return np.column_stack([*columns, np.broadcast_to(facts, (n, len(facts)))])


def source_of(feature: str) -> str:
    """Whose evidence a feature is: a retriever's, or ``both``."""
    column = feature.partition(" ")[0]
    return next((source for source, columns in SOURCES.items() if column in columns), "both")
