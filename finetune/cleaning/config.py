"""Settings of the cleaning stage."""

from __future__ import annotations

from dataclasses import dataclass

from hybridret.errors import InputError

LANGUAGE_RULES = ("majority", "any")


@dataclass(frozen=True)
class CleanConfig:
    """What is left out of training. The defaults would rather keep a bad document than drop a good one.

    Attributes:
        exact_duplicates: Whether copies, which differ in nothing but white space, are left out.
        near_duplicates: Jaccard similarity of triples of words and signs from which a document counts as a copy; 0
            leaves none out.
        garbled: Whether texts whose characters look damaged are left out.
        language: "majority" leaves out texts in another script or language than most; "any" keeps all.
        boilerplate: Share of the documents in which a line must stand to be cut from their texts; 0 cuts none.
        leaks: Whether training questions that are also held-out questions are left out.
        seed: Seed of the hash functions that find near duplicates.
    """

    exact_duplicates: bool = True
    near_duplicates: float = 0.9
    garbled: bool = True
    language: str = "majority"
    boilerplate: float = 0.2
    leaks: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("near_duplicates", "boilerplate"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"{name} must be a number from 0 to 1, not {value!r}")
        if self.language not in LANGUAGE_RULES:
            raise InputError(f"language must be one of {', '.join(LANGUAGE_RULES)}, not {self.language!r}")
