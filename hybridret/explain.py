"""Why a document is where it is for a query."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridret.fusion import RULES
from hybridret.generation import Generation
from hybridret.types import RETRIEVERS, Queries, ScoreArray


def explain(generation: Generation, queries: Queries, row: int, weights: ScoreArray) -> dict[str, Any]:
    """Explains one row's place in the answer to one query.

    Args:
        generation: The index's state.
        queries: The one query, encoded.
        row: The document's row.
        weights: *Shape:* (n_retrievers,), float64, summing to 1, in the order of ``RETRIEVERS``.

    Returns:
        What JSON can hold: the query, the document's id, its fused score and rank among the candidates, and per
        retriever its score, rank, weight and contribution, the contributions summing to the fused score.
    """
    runs = generation.runs(queries, generation.config.depth, generation.allowed(None), RETRIEVERS)
    pooled = [name for name, weight in zip(RETRIEVERS, weights, strict=True) if weight > 0]
    candidates = generation.candidates(queries, runs, pooled, extra=[row])[0]
    place = int(np.searchsorted(candidates.rows, row))
    fused, _ = generation.fuse(candidates, weights, len(candidates.rows))
    rank = int(np.flatnonzero(fused.rows == row)[0])
    rule = RULES[generation.config.fusion]
    retrievers: dict[str, dict[str, Any]] = {}
    for position, name in enumerate(RETRIEVERS):
        alone = np.where(np.arange(len(weights)) == position, weights, 0.0)
        retrievers[name] = {
            "score": float(candidates.scores[position, place]),
            "rank": int(candidates.ranks[position, place]) or None,
            "weight": float(weights[position]),
            "contribution": float(rule(candidates.scores, candidates.ranks, alone)[place]),
        }
    retrievers["bm25"]["terms"] = generation.bm25.explain(queries.texts[0], row)
    if generation.docid is not None:
        retrievers["docid"]["path"] = generation.docid.explain(queries.vectors[0], row)
    return {
        "query": queries.texts[0],
        "doc_id": generation.ids[row],
        "score": float(fused.scores[rank]),
        "rank": rank + 1,
        "candidates": len(candidates.rows),
        "retrievers": retrievers,
    }
