"""What every docid retriever of an index has: its rows' docids under tries, and a frozen scheme for those to come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hybridret.allowed import Allowed
from hybridret.decoding import END, Stored, Trie
from hybridret.docids import NO_SUFFIX, DocidScheme, ResidualQuantizer, SchemeName, assign_suffixes, stacked
from hybridret.types import Arrays, CodeArray, Document, FloatArray, IntArray, Queries, Run, ScoreArray, Scores

if TYPE_CHECKING:
    from typing_extensions import Self

_DELTA_ROWS, _DELTA_SHARE = 1024, 4
assert NO_SUFFIX == END


class IndexedDocids(ABC):
    """Retrieval by docid inside an index, whose rows are its rows: by a code decoder or by a language model.

    The docids lie under a trie of most rows and a small one of those that were added since.

    Args:
        scheme: Gives new documents their docids.
        codes: *Shape:* (n_rows, n_tokens), any integer type, filled up with ``END``.
        suffixes: *Shape:* (n_rows,), int32; see ``assign_suffixes``.
        base: The trie of the first rows; None: of all, made when it is asked for.
    """

    beam: ClassVar[int | None]
    """How many rows it contributes where others answer as well, each costing time; None: as many as they do."""
    written_scheme: SchemeName | None = None
    """Name of the scheme whose docids a language model writes; None: a code decoder decodes them."""

    def __init__(self, scheme: DocidScheme, codes: CodeArray, suffixes: CodeArray, base: Trie | None) -> None:
        self.scheme, self.codes, self.suffixes = scheme, codes, suffixes
        self._base = base

    @property
    @abstractmethod
    def is_trained(self) -> bool:
        """Whether it was trained, so that its scores are evidence and its docids stay."""

    @property
    @abstractmethod
    def frozen(self) -> Mapping[str, object]:
        """What additions leave as it is, by the part of a bundle that stores it; the scheme's part comes first."""

    @abstractmethod
    def _over(self, codes: CodeArray, suffixes: CodeArray, base: Trie | None) -> Self:
        """The same models over other rows."""

    @abstractmethod
    def _fitting(self, codes: CodeArray) -> CodeArray:
        """Docids in the type that they are kept in.

        Raises:
            ValueError: They are not the scheme's.
        """

    @abstractmethod
    def search(
        self, queries: Queries, k: int, allowed: Allowed | None, ties: IntArray, guides: Sequence[Run] | None = None
    ) -> list[Run]:
        """Finds the k rows of the likeliest docids.

        Args:
            queries: The queries, encoded.
            k: How many rows to find.
            allowed: Rows that may be found; None: all.
            ties: *Shape:* (n_rows,), each row's place among rows of equal score.
            guides: Another retriever's hits by query: beams above them are spared, scores stay the docids' own.
        """

    @abstractmethod
    def score(self, queries: Queries, rows: list[IntArray]) -> list[ScoreArray]:
        """Scores given rows of each query by the log-probability of their docids."""

    @abstractmethod
    def explain(self, queries: Queries, row: int) -> list[dict[str, Any]]:
        """A row's docid for the one query, token by token, with each one's log-probability; a suffix has 0."""

    @abstractmethod
    def facts(self, n_codes: int) -> dict[str, Any]:
        """What ``info`` tells of the scheme; so many codes a level were asked for."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes the model that arrays cannot hold into a new folder; nothing where there is none."""

    def faults(self, vectors: FloatArray, rows: IntArray) -> IntArray:
        """Rows whose docid is not that of their vector, where the scheme can tell: residual quantisation.

        Args:
            vectors: *Shape:* (n, dimension), float32.
            rows: *Shape:* (n,), int64, whose vectors they are.

        Returns:
            *Shape:* (n_wrong,), int64.
        """
        if not isinstance(self.scheme, ResidualQuantizer):
            return rows[:0]
        return rows[self.scheme.faults(vectors, self.codes[rows])]

    def frozen_arrays(self, part: str) -> Arrays:
        """What a bundle stores of a part that is frozen."""
        model: Any = self.frozen[part]
        arrays: Arrays = model.arrays()
        return arrays

    def score_pooled(self, queries: Queries, pools: list[IntArray], runs: Mapping[str, Sequence[Run]]) -> list[Scores]:
        """Scores what the retrievers found together.

        Args:
            queries: The queries.
            pools: *Shape:* (n_candidates,) each, int64, rows, ascending.
            runs: What each retriever found, by query.
        """
        return [Scores.true(own) for own in self.score(queries, pools)]

    def appended(self, vectors: FloatArray, documents: Sequence[Document] = ()) -> Self:
        """A retriever over these rows and new ones, whose docids the frozen scheme gives.

        Args:
            vectors: *Shape:* (n_new, dimension), float32.
            documents: The new documents, for schemes that look at them.

        Raises:
            InputError: The vectors are not of the encoder that the scheme was fitted with.
        """
        known, codes = self.codes, self.scheme.encode(vectors, documents)
        if known.shape[1] != codes.shape[1]:
            both = stacked([known.astype(np.int64), codes])
            known, codes = both[: len(known)], both[len(known) :]
        return self.joined(codes, assign_suffixes(codes, known, self.suffixes))

    def joined(self, codes: CodeArray, suffixes: CodeArray) -> Self:
        """A retriever over these rows and new ones whose docids are given.

        Args:
            codes: *Shape:* (n_new, n_tokens), any integer type.
            suffixes: *Shape:* (n_new,), any integer type.

        Returns:
            The retriever, which shares the trie while the rows beside it are few.

        Raises:
            ValueError: The docids are not the scheme's.
        """
        if codes.ndim != 2 or suffixes.shape != codes.shape[:1]:
            raise ValueError("the docids are not one row and one suffix each")
        if codes.dtype.kind not in "iu" or suffixes.dtype.kind not in "iu":
            raise ValueError("the docids hold numbers that are not whole")
        if len(codes) and suffixes.min() < NO_SUFFIX:
            raise ValueError("a docid has a suffix that there is not")
        all_codes = stacked([self.codes, self._fitting(codes)]) if len(self.codes) else self._fitting(codes)
        all_suffixes = np.concatenate([self.suffixes, suffixes.astype(np.int32)])
        n_beside = len(all_codes) - (0 if self._base is None else self._base.n_leaves)
        shares = all_codes.shape[1] == self.codes.shape[1]
        shares &= n_beside <= max(_DELTA_ROWS, len(self.codes) // _DELTA_SHARE)
        return self._over(all_codes, all_suffixes, self._base if shares else None)

    def with_base(self, arrays: Arrays) -> Self:
        """The same rows under a stored trie of the first ones.

        Raises:
            KeyError, ValueError: The trie is not one of these docids.
        """
        stored = Stored(arrays["order"], arrays["lcp"])
        n_rows = len(stored.order)
        if stored.order.ndim != 1 or n_rows > len(self.codes):
            raise ValueError("there are fewer docids than the trie has")
        base = Trie(self.codes[:n_rows], self.suffixes[:n_rows], stored=stored)
        return self._over(self.codes, self.suffixes, base)

    def picked(self, rows: IntArray) -> Self:
        """A retriever over some of these rows, in the order given. *Shape:* (n,)."""
        return self._over(self.codes[rows], self.suffixes[rows], None)

    def arrays(self, part: str, first_row: int) -> Arrays:
        """What a bundle stores: ``docid`` from a row on, ``trie``, or a frozen part."""
        if part == "docid":
            return {"codes": self.codes[first_row:], "suffixes": self.suffixes[first_row:]}
        return self.base.stored._asdict() if part == "trie" else self.frozen_arrays(part)

    @property
    def base(self) -> Trie:
        """The trie of the first rows: of all, unless some were added since it was made."""
        if self._base is None:
            self._base = Trie(self.codes, self.suffixes)
        return self._base

    @cached_property
    def tries(self) -> list[Trie]:
        """The base, and the trie of the rows after it where there are any."""
        n_base = self.base.n_leaves
        if n_base == len(self.codes):
            return [self.base]
        return [self.base, Trie(self.codes[n_base:], self.suffixes[n_base:], first_row=n_base)]

    def _alive(self, allowed: Allowed | None) -> list[IntArray | None]:
        """Per trie the counts of its allowed leaves; None: all are allowed."""
        return [None if allowed is None else allowed.derived(trie, trie.alive_before) for trie in self.tries]

    def _path(self, row: int, log_probs: Sequence[float]) -> list[dict[str, Any]]:
        """A row's docid and suffix with log-probabilities, as ``explain`` tells them."""
        codes = [code for code in self.codes[row].tolist() if code != END]
        path = [{"code": code, "log_prob": float(own)} for code, own in zip(codes, log_probs, strict=False)]
        suffix = int(self.suffixes[row])
        return path if suffix == NO_SUFFIX else [*path, {"code": suffix, "log_prob": 0.0}]


def sorted_trie(segments: Sequence[Arrays]) -> tuple[Arrays, int]:
    """The trie of stored docids, made anew, and how many they are.

    Args:
        segments: What ``arrays("docid", first_row)`` gave, in the order of the rows.

    Raises:
        KeyError, ValueError: They are no docids.
    """
    codes = stacked([arrays["codes"] for arrays in segments])
    trie = Trie(codes, np.concatenate([arrays["suffixes"] for arrays in segments]))
    return trie.stored._asdict(), len(codes)
