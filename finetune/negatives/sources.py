"""Where negatives come from: each source ranks documents for every question."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from finetune.negatives.config import NegativesConfig
from finetune.negatives.pool import Pool
from hybridret.types import IntArray, Queries, Run

Source = Callable[[Pool, int, NegativesConfig, int], list[IntArray]]
"""(pool, depth, settings, seed) -> for every question the positions of documents, the hardest first."""

_BLOCK = 256


def random_documents(pool: Pool, depth: int, config: NegativesConfig, seed: int) -> list[IntArray]:
    """Any documents."""
    generator = np.random.default_rng(seed)
    n = len(pool.documents)
    return [generator.choice(n, min(depth, n), replace=False).astype(np.int64) for _ in pool.questions]


def bm25_hits(pool: Pool, depth: int, config: NegativesConfig, seed: int) -> list[IntArray]:
    """What bm25 finds; documents that share no word with the question are not among them."""
    runs = [run for start in _starts(pool) for run in pool.bm25.search(_block(pool, start), depth, None, pool.ties)]
    return [run.rows[run.scores > 0] for run in runs]


def dense_hits(pool: Pool, depth: int, config: NegativesConfig, seed: int) -> list[IntArray]:
    """What lies nearest to the question's vector."""
    return [run.rows for run in pool.nearest(depth)]


def same_parent(pool: Pool, depth: int, config: NegativesConfig, seed: int) -> list[IntArray]:
    """Other chunks of the document that a positive is a chunk of, the nearest to the question first."""
    return _sharing(pool, "parent", depth)


def same_category(pool: Pool, depth: int, config: NegativesConfig, seed: int) -> list[IntArray]:
    """Documents with a positive's value of the configured metadata field, the nearest to the question first."""
    assert config.category is not None
    return _sharing(pool, config.category, depth)


def errors(pool: Pool, depth: int, config: NegativesConfig, seed: int) -> list[IntArray]:
    """What bm25 or docid rank above the question's best positive, in turns."""
    found = []
    for start in _starts(pool):
        queries = _block(pool, start)
        runs = [retriever.search(queries, depth, None, pool.ties) for retriever in (pool.bm25, pool.docid)]
        for place, views in enumerate(zip(*runs, strict=True)):
            positives = pool.positives[start + place]
            above = [_above(view, positives) for view in views]
            width = max(len(rows) for rows in above)
            padded = [np.pad(rows, (0, width - len(rows)), constant_values=-1) for rows in above]
            mixed = np.stack(padded, axis=1).ravel()
            mixed = mixed[mixed >= 0]
            _, first = np.unique(mixed, return_index=True)
            found.append(mixed[np.sort(first)])
    return found


SOURCES: dict[str, Source] = {
    "random": random_documents,
    "bm25": bm25_hits,
    "dense": dense_hits,
    "same_parent": same_parent,
    "same_category": same_category,
    "errors": errors,
}
"""Sources by the name that a recipe gives them."""


def _above(run: Run, positives: IntArray) -> IntArray:
    """The hits before the first positive; all where it is not among them."""
    places = np.flatnonzero(np.isin(run.rows, positives))
    return run.rows[: places[0]] if len(places) else run.rows


def _sharing(pool: Pool, field: str, depth: int) -> list[IntArray]:
    members: dict[str, list[int]] = {}
    for row, document in enumerate(pool.documents):
        if document.metadata.get(field) is not None:
            members.setdefault(repr(document.metadata[field]), []).append(row)
    found = []
    for positives, vector in zip(pool.positives, pool.query_vectors, strict=True):
        values = {repr(pool.documents[row].metadata.get(field)) for row in positives.tolist()}
        rows = np.array(sorted({row for value in values for row in members.get(value, [])}), dtype=np.int64)
        order = np.argsort(-(pool.document_vectors[rows] @ vector), kind="stable")
        found.append(rows[order][:depth])
    return found


def _starts(pool: Pool) -> range:
    return range(0, len(pool.questions), _BLOCK)


def _block(pool: Pool, start: int) -> Queries:
    return pool.queries(start, start + _BLOCK)
