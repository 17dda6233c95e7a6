"""Why a document is where it is for a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hybridret.allowed import Allowed
from hybridret.fusion import RULES
from hybridret.generation import Generation
from hybridret.types import Queries, ScoreArray


def explain(
    generation: Generation,
    queries: Queries,
    row: int,
    allowed: Allowed | None,
    names: Sequence[str],
    weights: ScoreArray,
) -> dict[str, Any]:
    """Explains one row's place in the answer to one query.

    Args:
        generation: The index's state.
        queries: The one query, encoded.
        row: The document's row.
        allowed: Rows that may be found; None: all.
        names: The retrievers that take part.
        weights: *Shape:* (n_retrievers,), float64, summing to 1, in the order of the names.

    Returns:
        What JSON can hold: the query, the document's id, its score and rank among the candidates, and per retriever
        its score, rank, weight and contribution, the contributions summing to the fused score. The score is the
        retriever's own where only one takes part.
    """
    runs = generation.runs(queries, generation.config.depth, allowed, names)
    pooled = [name for name, weight in zip(names, weights, strict=True) if weight > 0]
    candidates = generation.candidates(queries, runs, pooled, extra=[row])[0]
    place = int(np.searchsorted(candidates.rows, row))
    fused, _ = generation.fuse(candidates, weights, len(candidates.rows))
    rank = int(np.flatnonzero(fused.rows == row)[0])
    rule = RULES[generation.config.fusion]
    retrievers: dict[str, dict[str, Any]] = {}
    for position, name in enumerate(names):
        alone = np.where(np.arange(len(weights)) == position, weights, 0.0)
        retrievers[name] = {
            "score": float(candidates.scores[position, place]),
            "rank": int(candidates.ranks[position, place]) or None,
            "weight": float(weights[position]),
            "contribution": float(rule(candidates.scores, candidates.ranks, alone)[place]),
        }
    if "bm25" in retrievers:
        retrievers["bm25"]["terms"] = generation.bm25.explain(queries.texts[0], row)
    if "docid" in retrievers and generation.docid is not None:
        retrievers["docid"]["path"] = generation.docid.explain(queries.vectors[0], row)
    return {
        "query": queries.texts[0],
        "doc_id": generation.ids[row],
        "score": float(fused.scores[rank] if len(names) > 1 else candidates.scores[0, place]),
        "rank": rank + 1,
        "candidates": len(candidates.rows),
        "retrievers": retrievers,
    }
