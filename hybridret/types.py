"""Records and protocols that the parts of the package exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hybridret.allowed import Allowed

FloatArray: TypeAlias = NDArray[np.float32]
ScoreArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.int64]
CodeArray: TypeAlias = NDArray[np.integer[Any]]
Arrays: TypeAlias = dict[str, NDArray[Any]]

RETRIEVERS = ("dense", "bm25", "docid")
"""Names of the retrievers, in the order in which results list them."""

PARENT, CHUNK = "parent", "chunk"
"""Metadata fields of a chunk: the id of the document that it is of, and its number there, from 0."""
CHUNK_MARK = "#"
"""Stands between the two in a chunk's id."""

Progress = Callable[[str, int, int], None]
"""Called as work goes on with a label, the number of items done and their total."""


class ChatModel(Protocol):
    """What is used of a LangChain chat model."""

    def invoke(self, input: str) -> object:
        """Gives a message with ``content``."""


Llm: TypeAlias = ChatModel | Callable[[str], str]
"""A chat model, or a function of a prompt."""


class Document(NamedTuple):
    """A document as the caller knows it.

    Attributes:
        doc_id: The caller's id, unique in a corpus.
        text: What every retriever sees: title, a space, body.
        metadata: Any further fields; values that JSON can hold.
    """

    doc_id: str
    text: str
    metadata: dict[str, Any]

    @property
    def parent(self) -> str | None:
        """The id of the document that this one is a chunk of; None where it is whole.

        A chunk has the id ``PARENT#NUMBER``, and both in its metadata, as ``parent`` and ``chunk``. An id that merely
        looks so is no chunk's.
        """
        parent, number = self.metadata.get(PARENT), self.metadata.get(CHUNK)
        if not parent or not isinstance(parent, str) or type(number) is not int:
            return None
        return parent if self.doc_id == chunk_id(parent, number) else None


class Chunk(Document):
    """One of all the chunks that a document was split into just now: together they take the document's place."""

    __slots__ = ()


def chunk_id(parent: str, number: int) -> str:
    """The id of a document's chunk."""
    return f"{parent}{CHUNK_MARK}{number}"


class Detail(NamedTuple):
    """What one retriever says of a hit.

    Attributes:
        rank: 1-based place among the retriever's own candidates, None where it did not return the document itself.
        score: The retriever's own score: cosine (dense), BM25 (bm25), log-probability (docid).
        is_floor: Whether the document was not scored, which costs too much of many, and has the lowest score that the
            retriever gave one that it returned.
    """

    rank: int | None
    score: float
    is_floor: bool = False


class Hit(NamedTuple):
    """A retrieved document.

    Attributes:
        doc_id: The caller's id.
        score: The fused score, or the retriever's own where only one was asked.
        details: Per retriever that took part: rank and score.
        failed: Per retriever that was left out: why.
    """

    doc_id: str
    score: float
    details: dict[str, Detail]
    failed: Mapping[str, str] = MappingProxyType({})


class Queries(NamedTuple):
    """A batch of queries after the one encoder pass that dense and docid share.

    Attributes:
        texts: The queries as asked.
        vectors: *Shape:* (n_queries, dimension), float32, unit length; empty where no retriever needs them.
    """

    texts: list[str]
    vectors: FloatArray


class Run(NamedTuple):
    """One retriever's answer to one query, best first.

    Attributes:
        rows: *Shape:* (n_hits,), int64, positions of documents inside the index.
        scores: *Shape:* (n_hits,), float64, descending.
    """

    rows: IntArray
    scores: ScoreArray


class Scores(NamedTuple):
    """One retriever's scores of one query's candidates.

    Attributes:
        values: *Shape:* (n_candidates,), float64.
        is_floor: *Shape:* (n_candidates,), bool, those that were not scored; see ``Detail``.
    """

    values: ScoreArray
    is_floor: BoolArray

    @classmethod
    def true(cls, values: ScoreArray) -> Scores:
        """Scores of candidates that were all scored. *Shape:* (n_candidates,), float64."""
        return cls(values, np.zeros(len(values), dtype=np.bool_))


class Encoder(Protocol):
    """Turns texts into vectors of unit length."""

    @property
    def name(self) -> str:
        """What the bundle's manifest calls the model."""

    @property
    def max_tokens(self) -> int | None:
        """The model's window, None where it is not known."""

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encodes queries. *Shape:* (n_queries, dimension), float32."""

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> FloatArray:
        """Encodes documents. *Shape:* (n_documents, dimension), float32."""

    def count_cut_tokens(self, texts: Sequence[str]) -> IntArray:
        """Counts the tokens of each text that the window cuts off. *Shape:* (n_texts,), int64."""

    def save(self, folder: Path) -> None:
        """Writes the model so that it can be loaded from the folder."""


class Retriever(Protocol):
    """Ranks an index's rows for queries."""

    def search(self, queries: Queries, k: int, allowed: Allowed | None, ties: IntArray) -> list[Run]:
        """Finds the k best rows of each query.

        Args:
            queries: The queries, encoded.
            k: How many rows to find; fewer come back only where fewer are allowed.
            allowed: Rows that may be found; None: all.
            ties: *Shape:* (n_rows,), each row's place among rows of equal score.
        """

    def score(self, queries: Queries, rows: list[IntArray]) -> list[ScoreArray]:
        """Scores given rows of each query, exactly as search scores them."""


class Fuser(Protocol):
    """Merges several retrievers' views of one query's candidates into one score each."""

    def __call__(self, scores: ScoreArray, ranks: IntArray, weights: ScoreArray) -> ScoreArray:
        """Fuses.

        Args:
            scores: *Shape:* (n_retrievers, n_candidates), float64, true scores of all candidates.
            ranks: *Shape:* (n_retrievers, n_candidates), int64, from 1; 0 where a retriever did not return it.
            weights: *Shape:* (n_retrievers,), float64, summing to 1.

        Returns:
            *Shape:* (n_candidates,), float64.
        """
