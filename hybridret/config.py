"""Settings of an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hybridret.errors import InputError

_LARGEST = 2**31
DEFAULT_WEIGHTS = {"dense": 0.55, "bm25": 0.45, "docid": 0.0}


@dataclass(frozen=True)
class Config:
    """How an index is built and searched; a bundle stores it.

    Attributes:
        index: The FAISS index: ``flat`` (exact), ``hnsw`` or ``ivfpq``.
        language: Snowball language of the BM25 stemmer, ``none`` for none.
        docid_levels: Codes in a docid, one byte each at up to 256 codes a level.
        docid_codes: Size of each level's codebook; fewer where the collection is small.
        depth: Candidates that each retriever contributes to the fusion.
        fusion: ``learned``, by the evidence on each candidate, or a rule: ``convex``, ``rrf``, ``standard``,
            ``calibrated``, ``rank`` or ``combmnz``, see ``hybridret.fusion.rules``.
        weights: Weight of each retriever in a rule; ``learned`` uses them, by the rule ``calibrated``, where dense or
            bm25 does not take part.
        seed: Seed of everything random.
    """

    index: str = "flat"
    language: str = "english"
    docid_levels: int = 16
    docid_codes: int = 256
    depth: int = 100
    fusion: str = "learned"
    weights: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("docid_levels", "docid_codes", "depth"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < _LARGEST:
                raise InputError(f"{name} must be a whole number from 1 up, not {value!r}")
        for name in ("index", "language", "fusion"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} must be a name, not {getattr(self, name)!r}")
        if not isinstance(self.weights, Mapping):
            raise InputError(f"weights must be a mapping of retriever to number, not {self.weights!r}")
        if not isinstance(self.seed, int) or abs(self.seed) >= _LARGEST:
            raise InputError(f"seed must be a whole number below {_LARGEST}, not {self.seed!r}")
