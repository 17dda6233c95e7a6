"""Retrieval by a backbone: text queries in, documents whose docids it finds likely out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hybridret.allowed import Allowed
from hybridret.decoding import END, Guide, Trie
from hybridret.docids import DocidScheme, assign_suffixes, stacked
from hybridret.generative.backbone import Backbone
from hybridret.generative.text_beams import backbone_beams
from hybridret.ranking import top_k
from hybridret.types import BoolArray, Document, FloatArray, IntArray, Queries, Run, ScoreArray

N_BEAMS = 20
EXHAUSTIVE_UP_TO = 128


class BackboneRetriever:
    """Decodes docids of any scheme under their trie; a document may have several, of which the likeliest counts.

    Where few docids may be found there are as many beams, which makes the search exact.

    Args:
        backbone: The model.
        docids: *Shape:* (n_docids, n_tokens), int64, filled up with ``END``; equal ones are told apart by suffixes.
        owners: *Shape:* (n_docids,), int64, the row of each docid's document, every row at least once; None: each row
            has one docid.
        suffixes: *Shape:* (n_docids,), int64, those given before; None gives new ones.
        length_power: By which power of a docid's length its score is divided, for ragged docids (Wu et al., "Google's
            Neural Machine Translation System", 2016, section 7); the beams' cut goes by the plain score.

    Raises:
        ValueError: The owners do not fit the docids.
    """

    def __init__(
        self,
        backbone: Backbone[Any],
        docids: IntArray,
        owners: IntArray | None = None,
        suffixes: IntArray | None = None,
        length_power: float = 0.0,
    ) -> None:
        self.backbone, self.docids, self.length_power = backbone, docids, length_power
        self.owners = np.arange(len(docids)) if owners is None else owners
        if self.owners.shape != (len(docids),) or not np.bincount(self.owners).all():
            raise ValueError("the docids have not one owner each, or a row has none")
        self.suffixes = assign_suffixes(docids, docids[:0], self.owners[:0]) if suffixes is None else suffixes
        self.trie = Trie(docids, self.suffixes)
        self._lengths = np.maximum((docids != END).sum(axis=1), 1) ** length_power
        self._own = _by_owner(self.owners)
        self._kept: tuple[list[str], Any] | None = None

    @classmethod
    def of_scheme(
        cls,
        scheme: DocidScheme,
        backbone: Backbone[Any],
        vectors: FloatArray,
        documents: Sequence[Document],
        length_power: float = 0.0,
    ) -> BackboneRetriever:
        """A retriever over documents whose docids a scheme gives. *Shape of vectors:* (n_documents, dimension)."""
        return cls(backbone, scheme.encode(vectors, documents), length_power=length_power)

    def appended(self, docids: IntArray) -> BackboneRetriever:
        """A retriever over these rows and new ones, one docid each; docids given before stay as they are."""
        table = stacked([self.docids, docids])
        n_before, n_rows = len(self.docids), len(self._own)
        suffixes = assign_suffixes(table[n_before:], table[:n_before], self.suffixes)
        owners = np.concatenate([self.owners, np.arange(n_rows, n_rows + len(docids))])
        return BackboneRetriever(
            self.backbone, table, owners, np.concatenate([self.suffixes, suffixes]), self.length_power
        )

    def search(
        self, queries: Queries, k: int, allowed: Allowed | None, ties: IntArray, guide: Guide | None = None
    ) -> list[Run]:
        """Finds the k rows of the likeliest docids; see ``Retriever``.

        Args:
            queries: The queries; their texts are read.
            k: How many rows to find.
            allowed: Rows that may be found; None: all.
            ties: *Shape:* (n_rows,), each row's place among rows of equal score.
            guide: Rows towards which the search is guided.
        """
        alive = None if allowed is None else allowed.derived(self.trie, self._alive)
        n_living = len(self.docids) if alive is None else int(alive[-1])
        wanted = max(k * self._own.shape[1], N_BEAMS)
        n_beams = n_living if n_living <= max(wanted, EXHAUSTIVE_UP_TO) else wanted
        if not queries.texts or not n_beams:
            return [Run(np.zeros(0, dtype=np.int64), np.zeros(0)) for _ in queries.texts]
        state = self.backbone.encode(queries.texts)
        self._kept = queries.texts, state
        own_guide = None if guide is None else self._by_docid(guide)
        n_queries, own_ties = len(queries.texts), ties[self.owners]
        runs = backbone_beams(self.backbone, state, n_queries, [self.trie], n_beams, [alive], own_ties, own_guide)
        return [self._merged(run, k, ties) for run in runs]

    def score(self, queries: Queries, rows: list[IntArray]) -> list[ScoreArray]:
        """Scores given rows of each query by the likeliest of their docids."""
        n_most = max(map(len, rows), default=0)
        if not n_most:
            return [np.zeros(0) for _ in rows]
        asked = np.zeros((len(rows), n_most), dtype=np.int64)
        for own, given in zip(asked, rows, strict=True):
            own[: len(given)] = given
        places = self._own[asked].reshape(len(rows), -1)
        scores = self.backbone.score(self._left(queries.texts), self.docids[places]) / self._lengths[places]
        scores = np.where(places >= 0, scores, -np.inf).reshape(len(rows), n_most, -1).max(axis=2)
        return [own[: len(given)] for own, given in zip(scores, rows, strict=True)]

    def _alive(self, mask: BoolArray) -> IntArray:
        counts = self.trie.alive_before(mask[self.owners])
        assert counts is not None
        return counts

    def _merged(self, run: Run, k: int, ties: IntArray) -> Run:
        """Docids to documents, each by its best docid."""
        scores = run.scores / self._lengths[run.rows]
        order = np.argsort(-scores, kind="stable")
        rows, first = np.unique(self.owners[run.rows[order]], return_index=True)
        return top_k(scores[order][first], k, ties, rows)

    def _by_docid(self, guide: Guide) -> Guide:
        """Guides towards all docids of the documents."""
        places = np.where(guide.rows[..., None] >= 0, self._own[guide.rows], -1)
        bonus = np.broadcast_to(guide.bonus[..., None], places.shape)
        return Guide(places.reshape(len(places), -1), bonus.reshape(len(places), -1))

    def _left(self, texts: list[str]) -> Any:
        """What the search of the same queries left, which is used up: later the backbone may have been trained."""
        kept, self._kept = self._kept, None
        return kept[1] if kept is not None and kept[0] is texts else self.backbone.encode(texts)


def _by_owner(owners: IntArray) -> IntArray:
    """The docids of each row, filled up with -1. *Shape:* (n_rows, most docids of a row), int64."""
    counts = np.bincount(owners)
    table = np.full((len(counts), counts.max(initial=1)), -1, dtype=np.int64)
    order = np.argsort(owners, kind="stable")
    table[owners[order], np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)] = order
    return table
