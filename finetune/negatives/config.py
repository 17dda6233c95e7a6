"""Settings of the negatives stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hybridret.errors import InputError

SOURCES = ("random", "bm25", "dense", "same_parent", "same_category", "errors")


@dataclass(frozen=True)
class NegativesConfig:
    """Which documents a question is taught to keep away from.

    Attributes:
        sources: Where they come from and in which proportion, as {source: weight}: random, bm25, dense, same_parent
            (chunks of the positive's document), same_category (see category), errors (what bm25 or docid rank above the
            positive).
        count: Negatives kept for each question.
        ranks: First and last rank, from 1 and without the positives, at which a source's documents are taken.
        similarity: Lowest and highest cosine to the question.
        margin: How much lower than the positive's the cosine must be.
        relative_margin: By which share of the positive's cosine it must be lower.
        simans: Numbers (a, b): negatives are drawn with weight exp(-a (s - s_positive - b)^2); null: the first ones are
            taken.
        category: Metadata field whose value negatives from same_category share with the positive.
        denoise: With soft labels, by how much a negative's label must be lower than the positive's; null: any will do.
    """

    sources: Mapping[str, float] = field(default_factory=lambda: {"dense": 0.5, "bm25": 0.5})
    count: int = 8
    ranks: tuple[int, int] = (1, 50)
    similarity: tuple[float, float] = (-1.0, 1.0)
    margin: float | None = None
    relative_margin: float | None = 0.05
    simans: tuple[float, float] | None = None
    category: str | None = None
    denoise: float | None = None

    def __post_init__(self) -> None:
        if unknown := [name for name in self.sources if name not in SOURCES]:
            raise InputError(f"unknown source of negatives {unknown[0]!r}; known are {', '.join(SOURCES)}")
        if any(weight < 0 for weight in self.sources.values()):
            raise InputError("the weights in negatives.sources must not be below 0")
        if self.count < 0:
            raise InputError(f"negatives.count must be a whole number from 0 up, not {self.count!r}")
        if not 1 <= self.ranks[0] <= self.ranks[1]:
            raise InputError(f"negatives.ranks must be two ranks from 1 up, the first not above the last: {self.ranks}")
        if self.similarity[0] > self.similarity[1]:
            raise InputError(f"negatives.similarity must be two cosines, the lower first: {self.similarity}")
        if self.sources.get("same_category") and not self.category:
            raise InputError("negatives.sources has same_category, so negatives.category must name a metadata field")
