"""Why a document is where it is for a query."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hybridret.allowed import Allowed
from hybridret.candidates import Candidates
from hybridret.fusion import EVIDENCE, contributions
from hybridret.fusion.evidence import SOURCES
from hybridret.generation import Generation
from hybridret.meaning import code_meanings, token_contributions
from hybridret.search import fused, pooled_names, weights_of
from hybridret.types import Document, FloatArray, Queries, ScoreArray


def explain(
    generation: Generation,
    queries: Queries,
    row: int,
    allowed: Allowed | None,
    names: Sequence[str],
    weights: Mapping[str, float] | None,
    without: FloatArray,
    documents: Callable[[Sequence[int]], Mapping[int, Document]],
) -> dict[str, Any]:
    """Explains one row's place in the answer to one query.

    Args:
        generation: The index's state.
        queries: The one query, encoded.
        row: The document's row.
        allowed: Rows that may be found; None: all.
        names: The retrievers that take part.
        weights: The caller's; None: the index's fusion. They and the index decide as in a search what fuses.
        without: *Shape:* (n_tokens, dimension), float32, of the query without each of its tokens in turn.
        documents: Gives documents by key.

    Returns:
        What JSON can hold: the query, the document's id, its score and rank among the candidates, and per retriever
        its score, rank, and what it contributes. Under a rule the contributions sum to the score. Under the ranker they
        sum to ``log_odds``, the logit of the score, with ``agreement``, what both say together, and ``offset``. The
        score, and the contribution, is the retriever's own where only one takes part. Dense tells what each token of
        the query adds, bm25 what each term does, docid what each code stands for.
    """
    text, fusion = queries.texts[0], weights_of(generation, weights, names)
    runs = generation.runs(queries, generation.depths(names), allowed)
    candidates = generation.candidates(queries, runs, pooled_names(generation, names, fusion), extra=[row])[0]
    place = int(np.searchsorted(candidates.rows, row))
    ranked, _ = fused(generation, text, candidates, names, fusion, len(candidates.rows))
    rank = int(np.flatnonzero(ranked.rows == row)[0])
    retrievers: dict[str, dict[str, Any]] = {
        name: {
            "score": float(candidates.scores[position, place]),
            "rank": int(candidates.ranks[position, place]) or None,
        }
        for position, name in enumerate(names)
    }
    facts = {
        "query": text,
        "doc_id": generation.ids[row],
        "score": float(ranked.scores[rank]),
        "rank": rank + 1,
        "candidates": len(candidates.rows),
        "retrievers": retrievers,
    }
    if fusion is None:
        facts |= _by_ranker(generation, text, candidates, names, place, retrievers)
    else:
        _by_rule(generation, text, candidates, names, place, fusion, retrievers)
    if "dense" in retrievers:
        retrievers["dense"]["tokens"] = token_contributions(generation, text, queries.vectors[0], without, row)
    if "bm25" in retrievers:
        retrievers["bm25"]["terms"] = generation.bm25.explain(text, row)
    if "docid" in retrievers and generation.docid is not None:
        path = generation.docid.explain(queries, row)
        meanings = code_meanings(generation, row, allowed, documents)
        told = [{**step, **meaning} for step, meaning in zip(path, meanings, strict=False)]
        retrievers["docid"]["path"] = [*told, *path[len(told) :]]
    return facts


def _by_rule(
    generation: Generation,
    text: str,
    candidates: Candidates,
    names: Sequence[str],
    place: int,
    weights: ScoreArray,
    retrievers: dict[str, dict[str, Any]],
) -> None:
    parts = candidates.scores
    if len(names) > 1:
        parts = contributions(
            generation.rule, generation.comparable(text, candidates, names), candidates.ranks, weights
        )
    for name, weight, contribution in zip(names, weights.tolist(), parts[:, place].tolist(), strict=True):
        retrievers[name] |= {"weight": weight, "contribution": contribution}


def _by_ranker(
    generation: Generation,
    text: str,
    candidates: Candidates,
    names: Sequence[str],
    place: int,
    retrievers: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    ranker = generation.applied_ranker
    table, facts = generation.evidence(text, candidates, names), generation.query_facts(text)
    evidence = table[place]
    parts = {source: ranker.slope * value for source, value in ranker.contributions(table, place, facts).items()}
    for name in names:
        told = {column: float(evidence[EVIDENCE.index(column)]) for column in SOURCES.get(name, ())}
        retrievers[name] |= {"contribution": parts.get(name, 0.0), "evidence": told}
    shift = ranker.shift(table)
    return {"log_odds": sum(parts.values()) + shift, "agreement": parts["both"], "offset": shift}
