"""The state of an index between two changes: three retrievers over the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hybridret.allowed import Allowed
from hybridret.bm25 import BM25Retriever, Tokenizer
from hybridret.candidates import Candidates, assembled
from hybridret.config import Config
from hybridret.data.clean import has_text
from hybridret.dense import DenseRetriever
from hybridret.docids import ResidualQuantizer
from hybridret.errors import InputError
from hybridret.facts import query_facts
from hybridret.fusion import (
    CALIBRATED,
    EVIDENCE,
    NO_FACTS,
    RULES,
    USUAL,
    Ranker,
    Spread,
    among,
    evidence,
    share_of_ceiling,
    spread_of,
    standardised,
)
from hybridret.generative import DocidRetriever, IndexedDocids
from hybridret.ranking import top_k
from hybridret.types import (
    RETRIEVERS,
    Arrays,
    BoolArray,
    Document,
    FloatArray,
    IntArray,
    Progress,
    Queries,
    Retriever,
    Run,
    ScoreArray,
    Scores,
)

_REFIT_SHARE, _REFIT_SHARE_OF_MANY, _MANY_PER_CODE = 0.1, 3.0, 64
"""Codebooks that are fitted to few documents a code hardly leave an error of these and a large one of others. They are
fitted anew, or where a decoder was trained to them, refined, when as many documents as this share of those they were
fitted to have come since."""
_PROGRESS_STEP = 500
LEARNED = "learned"
_COMPACT_FROM, _COMPACT_SHARE = 1000, 3


@dataclass(frozen=True)
class Generation:
    """Three retrievers over the same rows. A change makes a new generation; this one stays as it is.

    Attributes:
        number: Grows by one with every change.
        epoch: The generation that numbered the rows; compaction begins a new one.
        config: The index's settings.
        keys: *Shape:* (n_rows,), int64, ascending, the key of each row's document in the store.
        ids: The document id of each row; of a deleted one it may be empty.
        id_order: *Shape:* (n_rows,), int64, rows in the order of their document ids.
        alive: *Shape:* (n_rows,), rows that are not deleted.
        has_text: *Shape:* (n_rows,), rows of documents with a text; the others are kept, and nothing finds them.
        next_key: The key that the next document gets; none is given twice.
        dense: Ranks by cosine.
        bm25: Ranks by BM25.
        docid: Ranks by docid; None while there never was a document.
        fitted_on: How many documents there were when the codebooks were fitted.
        fitted_at: What ``next_key`` was then.
        ranker: What learned how far to trust each retriever; None: nothing was fitted to this corpus.
    """

    number: int
    epoch: int
    config: Config
    keys: IntArray
    ids: list[str]
    id_order: IntArray
    alive: BoolArray
    has_text: BoolArray
    next_key: int
    dense: DenseRetriever
    bm25: BM25Retriever
    docid: IndexedDocids | None
    fitted_on: int
    fitted_at: int
    ranker: Ranker | None = None

    @classmethod
    def empty(cls, config: Config) -> Generation:
        """A generation without documents.

        Raises:
            InputError: A setting is unknown.
        """
        if config.fusion not in (LEARNED, *RULES):
            raise InputError(f"unknown fusion {config.fusion!r}; known are {', '.join((LEARNED, *RULES))}")
        dense = DenseRetriever(np.zeros((0, 0), dtype=np.float32), config.index)
        bm25 = BM25Retriever(Tokenizer(config.language))
        nothing = np.zeros(0, dtype=np.int64)
        no_rows = np.zeros(0, dtype=np.bool_)
        return cls(0, 0, config, nothing, [], nothing, no_rows, no_rows, 0, dense, bm25, None, 0, 0)

    @property
    def n_rows(self) -> int:
        """The number of rows, those of deleted documents included."""
        return len(self.keys)

    @cached_property
    def n_documents(self) -> int:
        """The number of documents that are not deleted."""
        return int(self.alive.sum())

    @cached_property
    def searchable(self) -> BoolArray:
        """Rows that may be found: neither deleted nor without a text. *Shape:* (n_rows,)."""
        return self.alive & self.has_text

    @cached_property
    def living(self) -> Allowed | None:
        """Rows that may be found; None where that is all."""
        return None if self.searchable.all() else Allowed(self.searchable)

    @cached_property
    def ties(self) -> IntArray:
        """Each row's place in the order of document ids, which decides between equal scores. *Shape:* (n_rows,)."""
        places = np.empty(self.n_rows, dtype=np.int64)
        places[self.id_order] = np.arange(self.n_rows)
        return places

    @property
    def _refit_after(self) -> float:
        """How many documents may come before codebooks are fitted anew or refined."""
        has_many = self.fitted_on >= _MANY_PER_CODE * self.config.docid_codes
        return self.fitted_on * (_REFIT_SHARE_OF_MANY if has_many else _REFIT_SHARE)

    @property
    def is_worth_compacting(self) -> bool:
        """Whether so many rows are dead that the index shall be written anew without them."""
        dead = self.n_rows - self.n_documents
        return dead >= _COMPACT_FROM and dead * _COMPACT_SHARE >= self.n_rows

    def rows_of(self, keys: Iterable[int]) -> IntArray:
        """The rows of the keys that have one. *Shape:* (n,), int64."""
        asked = np.fromiter(keys, dtype=np.int64)
        return np.searchsorted(self.keys, asked[np.isin(asked, self.keys)]).astype(np.int64)

    def retriever(self, name: str) -> Retriever | None:
        """The retriever of a name; None for docid while there is none."""
        retrievers: dict[str, Retriever | None] = {"dense": self.dense, "bm25": self.bm25, "docid": self.docid}
        return retrievers[name]

    def appended(
        self,
        documents: Sequence[Document],
        vectors: FloatArray,
        progress: Progress | None = None,
        refitted: IndexedDocids | None = None,
        may_refit: bool = True,
    ) -> Generation:
        """These rows and further documents.

        Args:
            documents: What comes.
            vectors: *Shape:* (n_documents, dimension), float32.
            progress: Told how far the work is.
            refitted: What ``refitted`` gave of these rows and documents before.
            may_refit: Whether it is asked here else; if not, codebooks that are due stay so; first ones are fitted.

        Raises:
            InputError: The vectors have another dimension than those of the index, or than the docid scheme's.
        """
        self._check_dimension(vectors)
        dense = self.dense.appended(vectors)
        bm25 = self.bm25.appended(_counted([document.text for document in documents], progress))
        if refitted is None and (may_refit or self.docid is None):
            refitted = self.refitted(documents, vectors, progress)
        docid = refitted
        if docid is None and self.docid is not None:
            docid = self.docid.appended(vectors, documents)
        next_key = self.next_key + len(documents)
        have_text = np.array([has_text(document.text) for document in documents], dtype=np.bool_)
        ids = [document.doc_id for document in documents]
        grown = self.grown(np.arange(self.next_key, next_key), ids, have_text, dense, bm25, docid)
        if refitted is None:
            return grown
        return replace(grown, fitted_on=grown.n_documents, fitted_at=next_key)

    def refitted(
        self, documents: Sequence[Document], vectors: FloatArray, progress: Progress | None = None
    ) -> IndexedDocids | None:
        """Docids of these rows and further documents, by codebooks fitted to them or refined; None: neither is due.

        Args:
            documents: What comes.
            vectors: *Shape:* (n_documents, dimension), float32.
            progress: Told how far the work is.

        Raises:
            InputError: As ``appended``.
        """
        self._check_dimension(vectors)
        if not documents or not self._is_due(len(documents)):
            return None
        all_vectors = np.concatenate([self.dense.vectors, vectors]) if self.n_rows else vectors
        have_text = np.array([has_text(document.text) for document in documents], dtype=np.bool_)
        searchable = np.concatenate([self.searchable, have_text])
        if self.docid is None or not self.docid.is_trained:
            alive = np.concatenate([self.alive, np.ones(len(documents), dtype=np.bool_)])
            fitted_to = searchable if searchable.any() else alive
            quantizer = ResidualQuantizer.fit(
                all_vectors[fitted_to], self.config.docid_levels, self.config.docid_codes, self.config.seed, progress
            )
            return DocidRetriever(quantizer).appended(all_vectors)
        docid = self.docid.appended(vectors, documents)
        if not self.n_documents or not isinstance(docid, DocidRetriever):
            return docid
        later = np.ones(len(all_vectors), dtype=np.bool_)
        later[: self.n_rows] = bool(self.fitted_on) & (self.keys >= self.fitted_at)
        return docid.refined(all_vectors, later & searchable, self.config.seed)

    def _is_due(self, n_new: int) -> bool:
        """Whether codebooks are fitted anew or refined when so many documents come."""
        return self.docid is None or self.next_key + n_new - self.fitted_at >= self._refit_after

    def _check_dimension(self, vectors: FloatArray) -> None:
        if len(self.dense.vectors) and self.dense.vectors.shape[1] != vectors.shape[1]:
            raise InputError(
                f"the vectors have {vectors.shape[1]} dimensions, those of the index {self.dense.vectors.shape[1]}: "
                "another embedding model?"
            )

    def grown(
        self,
        keys: IntArray,
        ids: Sequence[str],
        has_text: BoolArray,
        dense: DenseRetriever,
        bm25: BM25Retriever,
        docid: IndexedDocids | None,
    ) -> Generation:
        """This generation with retrievers that hold further rows, of which all else is given."""
        all_ids = [*self.ids, *ids]
        order = sorted([*self.id_order.tolist(), *range(self.n_rows, len(all_ids))], key=all_ids.__getitem__)
        return replace(
            self,
            keys=np.concatenate([self.keys, keys]),
            ids=all_ids,
            id_order=np.array(order, dtype=np.int64),
            alive=np.concatenate([self.alive, np.ones(len(ids), dtype=np.bool_)]),
            has_text=np.concatenate([self.has_text, has_text]),
            next_key=self.next_key if not len(keys) else int(keys[-1]) + 1,
            dense=dense,
            bm25=bm25,
            docid=docid,
        )

    def without(self, rows: IntArray) -> Generation:
        """This generation with rows deleted: they keep their place, and nothing finds them."""
        if not len(rows):
            return self
        alive = self.alive.copy()
        alive[rows] = False
        return replace(self, alive=alive, bm25=self.bm25.without(rows))

    def compacted(self, texts: Iterable[str], progress: Progress | None = None) -> Generation:
        """The living rows alone, numbered anew, their postings made afresh.

        Args:
            texts: The texts of the living rows, in their order.
            progress: Told how far the work is.

        Returns:
            The same documents with the same vectors, docids and codebooks; bm25 scores as of a fresh build.
        """
        kept = np.flatnonzero(self.alive)
        ids = [self.ids[row] for row in kept]
        place = np.cumsum(self.alive) - 1
        bm25 = BM25Retriever(self.bm25.tokenizer).appended(_counted(texts, progress, len(kept)))
        return replace(
            self,
            epoch=self.number + 1,
            keys=self.keys[kept],
            ids=ids,
            id_order=place[self.id_order[self.alive[self.id_order]]],
            alive=np.ones(len(kept), dtype=np.bool_),
            has_text=self.has_text[kept],
            dense=DenseRetriever(self.dense.vectors[kept], self.config.index),
            bm25=bm25,
            docid=None if self.docid is None or not len(kept) else self.docid.picked(kept),
        )

    def runs(
        self,
        queries: Queries,
        depths: Mapping[str, int],
        allowed: Allowed | None,
        guides: Sequence[Run] | None = None,
    ) -> dict[str, list[Run]]:
        """Some retrievers' best rows per query; docid's search is guided by dense hits.

        Args:
            queries: The queries, encoded.
            depths: How many rows each of them shall find.
            allowed: Rows that may be found; None: all.
            guides: Dense hits by query, where dense is not among the names.
        """
        found: dict[str, list[Run]] = {}
        for name in sorted(depths, key=RETRIEVERS.index):
            k = depths[name]
            if name == "docid" and self.docid is not None:
                found[name] = self.docid.search(queries, k, allowed, self.ties, found.get("dense", guides))
            elif (retriever := self.retriever(name)) is not None:
                found[name] = retriever.search(queries, k, allowed, self.ties)
        return {name: found[name] for name in depths if name in found}

    def depths(self, names: Iterable[str], k: int = 0) -> dict[str, int]:
        """How many rows each of several retrievers contributes to an answer of k hits: no more than it can afford."""
        beam = None if self.docid is None else self.docid.beam
        own = {"docid": beam or self.config.depth}
        return {name: max(k, own.get(name, self.config.depth)) for name in names}

    def candidates(
        self, queries: Queries, runs: dict[str, list[Run]], pooled: Sequence[str], extra: Sequence[int] = ()
    ) -> list[Candidates]:
        """Pools runs, and extra rows, per query and asks every retriever that ran for its score of every candidate."""
        pools = self.pools(runs, pooled, extra)
        return assembled(pools, runs, {name: self.scores(name, queries, pools, runs) for name in runs})

    def pools(self, runs: dict[str, list[Run]], pooled: Sequence[str], extra: Sequence[int] = ()) -> list[IntArray]:
        """The rows of some retrievers' runs, and extra ones, by query, ascending. *Shape:* (n_candidates,) each."""
        extra_rows = np.array(extra, dtype=np.int64)
        n_queries = len(next(iter(runs.values())))
        return [
            np.unique(np.concatenate([extra_rows, *(runs[name][query].rows for name in pooled)]))
            for query in range(n_queries)
        ]

    def scores(
        self, name: str, queries: Queries, pools: list[IntArray], runs: Mapping[str, Sequence[Run]]
    ) -> list[Scores]:
        """A retriever's scores of pooled rows, the runs being those that were pooled."""
        if name == "docid" and self.docid is not None:
            return self.docid.score_pooled(queries, pools, runs)
        retriever = self.retriever(name)
        assert retriever is not None
        return [Scores.true(own) for own in retriever.score(queries, pools)]

    @cached_property
    def spread(self) -> Spread:
        """How the documents' cosines are spread."""
        return spread_of(self.dense.vectors, np.flatnonzero(self.searchable), self.config.seed)

    @property
    def applied_ranker(self) -> Ranker:
        """The fitted ranker, or the one that every corpus starts with."""
        return self.ranker or Ranker()

    def learns(self, names: Sequence[str]) -> bool:
        """Whether the ranker, rather than a rule, fuses what these retrievers say: it needs dense, bm25 and its docids.

        Without docids, one that weighs nothing else would give all candidates one score.
        """
        ranker = self.applied_ranker
        weighs_others = ranker.trees is not None or any(ranker.weights[: EVIDENCE.index("docid")])
        needed = {"dense", "bm25"} if weighs_others else {"dense", "bm25", "docid"}
        return self.config.fusion == LEARNED and needed <= set(names)

    @property
    def rule(self) -> str:
        """What fuses under given weights, or where the ranker cannot: the configured rule, or ``calibrated``."""
        return CALIBRATED if self.config.fusion == LEARNED else self.config.fusion

    @property
    def evident(self) -> tuple[str, ...]:
        """The retrievers that the ranker looks at: docid once it is trained, untrained it is dense through a glass."""
        is_trained = self.docid is not None and self.docid.is_trained
        return ("dense", "bm25", "docid") if is_trained else ("dense", "bm25")

    def evidence(
        self, text: str, candidates: Candidates, names: Sequence[str], coverage: ScoreArray | None = None
    ) -> ScoreArray:
        """What speaks for each candidate of a query, its coverage being known or not.

        Trained docids that do not take part say as much of each candidate: a column of zeros would say the most.

        *Shapes:* (n_candidates,) to (n_candidates, n_evidence).
        """
        ranks, depths = candidates.ranks, self.depths(names)
        docid = None
        if "docid" in self.evident:
            docid = candidates.scores[names.index("docid")] if "docid" in names else np.zeros(len(candidates.rows))
        return evidence(
            candidates.scores[names.index("dense")],
            candidates.scores[names.index("bm25")],
            self.bm25.coverage(text, candidates.rows) if coverage is None else coverage,
            self.bm25.full_ceiling(text),
            self.applied_ranker.spread or self.spread,
            docid,
            {name: (ranks[at] > 0) & (ranks[at] <= depths[name]) for at, name in enumerate(names)},
        )

    def comparable(self, text: str, candidates: Candidates, names: Sequence[str]) -> ScoreArray:
        """The scores that the rule sees: probabilities of relevance for ``calibrated``, else as they are.

        *Shape:* (n_retrievers, n_candidates), float64.
        """
        scores = candidates.scores
        if self.rule != CALIBRATED:
            return scores
        ranker = self.applied_ranker
        measures: dict[str, Callable[[ScoreArray], ScoreArray]] = {
            "dense": lambda own: standardised(own, ranker.spread or self.spread),
            "bm25": lambda own: share_of_ceiling(own, self.bm25.ceiling(text)),
            "docid": among,
        }
        sigmoids = {**USUAL, **ranker.sigmoids}
        return np.array([sigmoids[name](measures[name](own)) for name, own in zip(names, scores, strict=True)])

    def query_facts(self, text: str) -> ScoreArray:
        """What a query looks like to the ranker's trees. *Shape:* (n_facts,)."""
        terms = list(self.bm25.tokenizer.query_counts(text))
        unknown = sum(not self.bm25.postings.document_count(term) for term in terms)
        return query_facts(text, terms, unknown)

    def fuse(
        self, text: str, candidates: Candidates, names: Sequence[str], weights: ScoreArray | None, k: int
    ) -> tuple[Run, IntArray]:
        """The k best candidates of a query, and their positions among the candidates.

        By the rule under the given weights, or without weights by the ranker's sums, which decide the order; the scores
        that they are shown as are in the same order.
        """
        if weights is None:
            ranker = self.applied_ranker
            facts = NO_FACTS if ranker.trees is None else self.query_facts(text)
            table = self.evidence(text, candidates, names)
            fused, shift = ranker.sums(table, facts), ranker.shift(table)
        else:
            fused = RULES[self.rule](self.comparable(text, candidates, names), candidates.ranks, weights)
        run = top_k(fused, k, self.ties, candidates.rows)
        if weights is None:
            run = Run(run.rows, ranker.probabilities(run.scores, shift))
        return run, np.searchsorted(candidates.rows, run.rows)

    def arrays(self, part: str, first_row: int = 0) -> Arrays:
        """What a bundle stores of a part, for the rows from one on where the part goes by rows."""
        if part == "vectors":
            return {"vectors": self.dense.vectors[first_row:], "keys": self.keys[first_row:]}
        if part == "bm25":
            return self.bm25.postings.arrays(first_row)
        assert self.docid is not None
        return self.docid.arrays(part, first_row)


def _counted(texts: Iterable[str], progress: Progress | None, total: int | None = None) -> Iterator[str]:
    n_texts = len(texts) if isinstance(texts, Sequence) else total or 0
    for position, text in enumerate(texts, 1):
        yield text
        if progress is not None and (position % _PROGRESS_STEP == 0 or position == n_texts):
            progress("bm25 postings", position, n_texts)
