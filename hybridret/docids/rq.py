"""Residual quantisation: a vector's docid is one code per level, each level coding what the ones above left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hybridret.docids.scheme import check_dimension
from hybridret.types import Arrays, CodeArray, Document, FloatArray, IntArray, Progress

_ITERATIONS = 20
_BLOCK = 8192
NO_SUFFIX = -1
_ROUNDING = 1e-5
_FNV_PRIME = 0x100000001B3


class ResidualQuantizer:
    """Codebooks of L levels with K codes each, fitted by k-means on residuals, then frozen.

    Chen et al., "Approximate nearest neighbor search by residual vector quantization", Sensors 2010. Plain residual
    k-means: ``faiss.ResidualQuantizer`` reaches about the same error in twenty times the time.

    Args:
        codebooks: *Shape:* (n_levels, n_codes, dimension), float32.
    """

    def __init__(self, codebooks: FloatArray) -> None:
        self.codebooks = codebooks

    @property
    def n_levels(self) -> int:
        """How many codes a docid has before its suffix."""
        return int(self.codebooks.shape[0])

    @property
    def n_codes(self) -> int:
        """How many codes each level's codebook has."""
        return int(self.codebooks.shape[1])

    @property
    def dimension(self) -> int:
        """Of the vectors that it was fitted to."""
        return int(self.codebooks.shape[2])

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """How many codes each level has."""
        return (self.n_codes,) * self.n_levels

    @property
    def code_type(self) -> type[np.uint8] | type[np.uint16]:
        """The narrowest type that holds a code."""
        return np.uint8 if self.n_codes <= 256 else np.uint16

    @classmethod
    def fit(
        cls, vectors: FloatArray, n_levels: int, n_codes: int, seed: int, progress: Progress | None = None
    ) -> ResidualQuantizer:
        """Fits codebooks.

        Args:
            vectors: *Shape:* (n_documents, dimension), float32; at least one.
            n_levels: Codes a docid.
            n_codes: Codes a codebook, clamped by ``clamped_codes`` for small collections.
            seed: Seed of the k-means starts.
            progress: Told after each level.

        Returns:
            The fitted quantizer.
        """
        n_codes = clamped_codes(len(vectors), n_codes)
        residual = np.ascontiguousarray(vectors, dtype=np.float32).copy()
        codebooks = np.empty((n_levels, n_codes, vectors.shape[1]), dtype=np.float32)
        for level in range(n_levels):
            codebooks[level] = _centroids(residual, n_codes, seed + level)
            residual -= codebooks[level][nearest(residual, codebooks[level])]
            if progress is not None:
                progress("docid codebooks", level + 1, n_levels)
        return cls(codebooks)

    def refined(self, residuals: FloatArray, seed: int) -> ResidualQuantizer:
        """These codebooks and one more level, fitted to what the codes of some documents leave over.

        Code 0 of the level adds nothing: the docids of documents that the codebooks were fitted to go on with it, and
        mean what they meant.

        Args:
            residuals: *Shape:* (n_documents, dimension), float32, of documents that came later; at least one.
            seed: Seed of the k-means start.
        """
        level = np.zeros((1, self.n_codes, self.dimension), dtype=np.float32)
        n_fitted = min(self.n_codes - 1, len(residuals))
        if n_fitted:
            level[0, 1 : 1 + n_fitted] = _centroids(residuals, n_fitted, seed)
        return ResidualQuantizer(np.concatenate([self.codebooks, level]))

    def refines(self, other: ResidualQuantizer) -> bool:
        """Whether the codebooks are another's, or begin with them."""
        return np.array_equal(self.codebooks[: other.n_levels], other.codebooks)

    def arrays(self) -> Arrays:
        """What makes the quantizer again."""
        return {"codebooks": self.codebooks}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> ResidualQuantizer:
        """The quantizer that gave the arrays.

        Raises:
            ValueError: They are of another kind.
        """
        codebooks = arrays["codebooks"]
        if codebooks.dtype != np.float32 or codebooks.ndim != 3 or not np.isfinite(codebooks).all():
            raise ValueError("the codebooks are none")
        if 0 in codebooks.shape or codebooks.shape[1] > 65536:
            raise ValueError("the codebooks are none")
        return cls(codebooks)

    def encode(self, vectors: FloatArray, documents: Sequence[Document] = ()) -> IntArray:
        """Codes vectors with the frozen codebooks, level by level.

        Args:
            vectors: *Shape:* (n, dimension), float32.
            documents: Not looked at; see ``DocidScheme``.

        Returns:
            *Shape:* (n, n_levels), int64, codes in [0, n_codes).

        Raises:
            InputError: The vectors have another dimension than the codebooks.
        """
        check_dimension(vectors, self.dimension)
        residual = np.ascontiguousarray(vectors, dtype=np.float32).copy()
        codes = np.empty((len(vectors), self.n_levels), dtype=np.int64)
        for level, codebook in enumerate(self.codebooks):
            codes[:, level] = nearest(residual, codebook)
            residual -= codebook[codes[:, level]]
        return codes

    def faults(self, vectors: FloatArray, codes: CodeArray) -> IntArray:
        """Finds codes that are not those of their vectors.

        A code counts as right where no other is nearer to what the levels above left over, up to rounding, which
        differs between machines and batch sizes.

        Args:
            vectors: *Shape:* (n, dimension), float32.
            codes: *Shape:* (n, n_levels), any integer type.

        Returns:
            *Shape:* (n_wrong,), int64, positions of the vectors with a wrong code.
        """
        wrong = np.zeros(len(vectors), dtype=np.bool_)
        for start in range(0, len(vectors), _BLOCK):
            block = slice(start, start + _BLOCK)
            residual = vectors[block].astype(np.float64)
            for codebook, given in zip(self.codebooks.astype(np.float64), codes[block].T, strict=True):
                nearness = residual @ codebook.T - 0.5 * np.einsum("kd,kd->k", codebook, codebook)
                mine = np.take_along_axis(nearness, given.astype(np.int64)[:, None], axis=1)[:, 0]
                wrong[block] |= mine < nearness.max(axis=1) - _ROUNDING
                residual -= codebook[given]
        return np.flatnonzero(wrong)

    def residuals(self, vectors: FloatArray, codes: CodeArray) -> FloatArray:
        """What codes leave over of vectors. *Shapes:* (n, dimension), (n, n_levels) to (n, dimension), float32."""
        rest = vectors.astype(np.float32)
        for codebook, given in zip(self.codebooks, codes.T, strict=True):
            rest -= codebook[given]
        return rest

    def decode(self, codes: IntArray) -> FloatArray:
        """Sums the codes' vectors. *Shapes:* (n, n_levels) to (n, dimension)."""
        vectors: FloatArray = self.codebooks[np.arange(self.n_levels), codes].sum(axis=1)
        return vectors


def _centroids(points: FloatArray, n_codes: int, seed: int) -> FloatArray:
    import faiss

    kmeans = faiss.Kmeans(points.shape[1], n_codes, niter=_ITERATIONS, seed=seed, min_points_per_centroid=1)
    kmeans.train(points)
    centroids: FloatArray = kmeans.centroids
    return centroids


def clamped_codes(n_documents: int, n_codes: int) -> int:
    """The codebook size that a collection fills: four documents a code, yet up to 16 codes where there are as many."""
    return min(n_codes, max(n_documents // 4, min(n_documents, 16)))


def assign_suffixes(codes: IntArray, taken_codes: CodeArray, taken_suffixes: CodeArray) -> IntArray:
    """Tells documents with equal codes apart by one more token.

    The first document with some codes needs none; the next ones get 0, 1, 2 and so on. Docids once given never
    change, and none is given twice while its first owner is among the taken ones.

    Args:
        codes: *Shape:* (n, n_levels), int64, the new documents'.
        taken_codes: *Shape:* (n_taken, n_levels), any integer type.
        taken_suffixes: *Shape:* (n_taken,), any integer type.

    Returns:
        *Shape:* (n,), int64, ``NO_SUFFIX`` where the codes alone are unique.
    """
    following: Counter[bytes] = Counter()
    rivals = np.isin(_hashes(taken_codes), _hashes(codes))
    rival_codes = taken_codes[rivals].astype(codes.dtype)
    for code, suffix in zip(rival_codes, taken_suffixes[rivals].tolist(), strict=True):
        key = code.tobytes()
        following[key] = max(following[key], suffix + 2)
    suffixes = np.empty(len(codes), dtype=np.int64)
    for position, code in enumerate(np.ascontiguousarray(codes)):
        key = code.tobytes()
        suffixes[position] = following[key] - 1 if following[key] else NO_SUFFIX
        following[key] += 1
    return suffixes


def _hashes(codes: CodeArray) -> NDArray[np.uint64]:
    """A 64-bit number per row, equal for equal rows. *Shapes:* (n, n_levels) to (n,)."""
    hashes = np.zeros(len(codes), dtype=np.uint64)
    for column in codes.T.astype(np.uint64):
        hashes = (hashes ^ column) * np.uint64(_FNV_PRIME)
    return hashes


def nearest(vectors: FloatArray, codebook: FloatArray) -> IntArray:
    """The index of each vector's nearest code, by squared Euclidean distance; the lower index on a tie."""
    found = np.empty(len(vectors), dtype=np.int64)
    half_norms = 0.5 * np.einsum("kd,kd->k", codebook, codebook)
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        found[block] = np.argmax(vectors[block] @ codebook.T - half_norms, axis=1)
    return found
