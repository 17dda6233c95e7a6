"""The state of an index between two changes: three retrievers over the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hybridret.bm25 import BM25Retriever, Tokenizer
from hybridret.bm25.postings import Postings
from hybridret.bm25.retriever import EPSILON, K1, B
from hybridret.config import Config
from hybridret.dense import DenseRetriever
from hybridret.docids import ResidualQuantizer
from hybridret.errors import InputError
from hybridret.fusion import RULES
from hybridret.generative import DocidRetriever
from hybridret.ranking import top_k
from hybridret.types import (
    Arrays,
    BoolArray,
    FloatArray,
    IntArray,
    Progress,
    Queries,
    Retriever,
    Run,
    ScoreArray,
)

REFIT_GROWTH = 4
_PROGRESS_STEP = 500


class Candidates(NamedTuple):
    """What the retrievers say of one query's candidates.

    Attributes:
        rows: *Shape:* (n_candidates,), int64, ascending.
        scores: *Shape:* (n_retrievers, n_candidates), float64, each retriever's true score of each candidate.
        ranks: *Shape:* (n_retrievers, n_candidates), int64, from 1; 0 where a retriever did not return it.
    """

    rows: IntArray
    scores: ScoreArray
    ranks: IntArray


@dataclass(frozen=True)
class Generation:
    """Three retrievers over the same rows. A change makes a new generation; this one stays as it is.

    Attributes:
        number: Grows by one with every change.
        config: The index's settings.
        ids: The document id of each row, deleted ones included.
        alive: *Shape:* (n_rows,), rows that are not deleted.
        dense: Ranks by cosine.
        bm25: Ranks by BM25.
        docid: Ranks by docid; None while there never was a document.
        fitted_on: How many documents there were when the codebooks were fitted.
    """

    number: int
    config: Config
    ids: list[str]
    alive: BoolArray
    dense: DenseRetriever
    bm25: BM25Retriever
    docid: DocidRetriever | None
    fitted_on: int

    @classmethod
    def empty(cls, config: Config) -> Generation:
        """A generation without documents.

        Raises:
            InputError: A setting is unknown.
        """
        if config.fusion not in RULES:
            raise InputError(f"unknown fusion {config.fusion!r}; known are {', '.join(RULES)}")
        dense = DenseRetriever(np.zeros((0, 0), dtype=np.float32), config.index)
        bm25 = BM25Retriever(Tokenizer(config.language))
        return cls(0, config, [], np.zeros(0, dtype=np.bool_), dense, bm25, None, 0)

    @property
    def n_documents(self) -> int:
        """The number of documents that are not deleted."""
        return int(self.alive.sum())

    @cached_property
    def ties(self) -> IntArray:
        """Each row's place in the order of document ids, which decides between equal scores. *Shape:* (n_rows,)."""
        places = np.empty(len(self.ids), dtype=np.int64)
        places[sorted(range(len(self.ids)), key=self.ids.__getitem__)] = np.arange(len(self.ids))
        return places

    def allowed(self, matching: BoolArray | None) -> BoolArray | None:
        """Rows that are not deleted and match; None where that is all. *Shapes:* (n_rows,)."""
        allowed = self.alive if matching is None else self.alive & matching
        return None if allowed.all() else allowed

    def retriever(self, name: str) -> Retriever | None:
        """The retriever of a name; None for docid while there is none."""
        retrievers: dict[str, Retriever | None] = {"dense": self.dense, "bm25": self.bm25, "docid": self.docid}
        return retrievers[name]

    def appended(
        self, ids: Sequence[str], texts: Sequence[str], vectors: FloatArray, progress: Progress | None = None
    ) -> Generation:
        """The next generation, with documents added. *Shape of vectors:* (n_new, dimension)."""
        if len(self.dense.vectors) and self.dense.vectors.shape[1] != vectors.shape[1]:
            raise InputError(
                f"the vectors have {vectors.shape[1]} dimensions, those of the index {self.dense.vectors.shape[1]}: "
                "another embedding model?"
            )
        dense = self.dense.appended(vectors)
        alive = np.concatenate([self.alive, np.ones(len(ids), dtype=np.bool_)])
        n_documents = int(alive.sum())
        docid, fitted_on = self.docid, self.fitted_on
        if docid is None or n_documents >= REFIT_GROWTH * fitted_on:
            quantizer = ResidualQuantizer.fit(
                dense.vectors[alive], self.config.docid_levels, self.config.docid_codes, self.config.seed, progress
            )
            docid, fitted_on = DocidRetriever(quantizer).appended(dense.vectors), n_documents
        else:
            docid = docid.appended(vectors)
        bm25 = self.bm25.appended(_counted(texts, progress))
        return Generation(self.number + 1, self.config, [*self.ids, *ids], alive, dense, bm25, docid, fitted_on)

    def without(self, rows: Sequence[int]) -> Generation:
        """The next generation, with rows deleted."""
        dead = np.array(rows, dtype=np.int64)
        alive = self.alive.copy()
        alive[dead] = False
        return replace(self, number=self.number + 1, alive=alive, bm25=self.bm25.without(dead))

    def runs(self, queries: Queries, k: int, allowed: BoolArray | None, names: Sequence[str]) -> dict[str, list[Run]]:
        """Each named retriever's k best rows per query."""
        found = {}
        for name in names:
            retriever = self.retriever(name)
            if retriever is not None:
                found[name] = retriever.search(queries, k, allowed, self.ties)
        return found

    def candidates(
        self, queries: Queries, runs: dict[str, list[Run]], pooled: Sequence[str], extra: Sequence[int] = ()
    ) -> list[Candidates]:
        """Pools runs, and extra rows, per query and asks every retriever that ran for its score of every candidate."""
        extra_rows = np.array(extra, dtype=np.int64)
        pools = [
            np.unique(np.concatenate([extra_rows, *(runs[name][query].rows for name in pooled)]))
            for query in range(len(queries.texts))
        ]
        scores = {}
        for name in runs:
            retriever = self.retriever(name)
            assert retriever is not None
            scores[name] = retriever.score(queries, pools)
        return [
            Candidates(
                pool,
                np.array([scores[name][query] for name in runs]),
                np.array([_ranks(pool, runs[name][query].rows) for name in runs]),
            )
            for query, pool in enumerate(pools)
        ]

    def fuse(self, candidates: Candidates, weights: ScoreArray, k: int) -> tuple[Run, IntArray]:
        """The k best candidates by the configured rule, and their positions among the candidates."""
        fused = RULES[self.config.fusion](candidates.scores, candidates.ranks, weights)
        run = top_k(fused, k, self.ties, candidates.rows)
        return run, np.searchsorted(candidates.rows, run.rows)

    def arrays(self) -> dict[str, Arrays]:
        """What a bundle stores, by part."""
        parts: dict[str, Arrays] = {"vectors": {"vectors": self.dense.vectors}, "bm25": self.bm25.postings.arrays()}
        if self.docid is not None:
            code_type = np.uint8 if self.docid.quantizer.n_codes <= 256 else np.uint16
            parts["codebooks"] = {"codebooks": self.docid.quantizer.codebooks}
            parts["docid"] = {
                "codes": self.docid.codes.astype(code_type),
                "suffixes": self.docid.suffixes.astype(np.int32),
            }
        return parts

    @classmethod
    def from_arrays(
        cls, number: int, config: Config, rows: list[tuple[int, str]], parts: dict[str, Arrays], fitted_on: int
    ) -> Generation:
        """Makes a generation from what ``arrays`` gave and the rows that the documents say are alive.

        Raises:
            KeyError, ValueError: The parts do not fit together.
        """
        base = cls.empty(config)
        vectors = parts["vectors"]["vectors"]
        ids, alive = [""] * len(vectors), np.zeros(len(vectors), dtype=np.bool_)
        if rows and rows[-1][0] >= len(vectors):
            raise ValueError("there are documents without vectors")
        for row, doc_id in rows:
            ids[row], alive[row] = doc_id, True
        postings = Postings.from_arrays(parts["bm25"], K1, B, EPSILON)
        docid = None
        if "docid" in parts:
            codes, suffixes = (parts["docid"][name].astype(np.int64) for name in ("codes", "suffixes"))
            docid = DocidRetriever(ResidualQuantizer(parts["codebooks"]["codebooks"]), codes, suffixes)
        if len(postings.lengths) != len(vectors) or (docid is not None and len(docid.codes) != len(vectors)):
            raise ValueError("the parts have different numbers of rows")
        dense = DenseRetriever(vectors, config.index)
        return cls(number, config, ids, alive, dense, BM25Retriever(base.bm25.tokenizer, postings), docid, fitted_on)


def _ranks(pool: IntArray, found: IntArray) -> IntArray:
    """The place of each pooled row in a run, from 1; 0 where it is not in it. *Shapes:* (n_pool,), (n_found,)."""
    ranks = np.zeros(len(pool), dtype=np.int64)
    if len(pool):
        at = np.minimum(np.searchsorted(pool, found), len(pool) - 1)
        inside = pool[at] == found
        ranks[at[inside]] = np.flatnonzero(inside) + 1
    return ranks


def _counted(texts: Sequence[str], progress: Progress | None) -> Iterator[str]:
    for position, text in enumerate(texts, 1):
        yield text
        if progress is not None and (position % _PROGRESS_STEP == 0 or position == len(texts)):
            progress("bm25 postings", position, len(texts))
