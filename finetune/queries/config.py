"""Settings of the stage that makes questions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hybridret.errors import InputError

OFFLINE = (
    "titles",
    "summaries",
    "sentences",
    "spans",
    "keyphrases",
    "cloze",
    "questions",
    "topics",
    "code",
    "templates",
    "rewrites",
)
"""Makers that need no model."""

WITH_MODEL = ("seq2seq", "chat", "back_translation")
"""Makers that need a model, which the settings name."""

DEFAULT_MIX = {"titles": 1.0, "sentences": 1.0, "keyphrases": 1.0, "questions": 1.0, "rewrites": 1.0, "code": 1.0}


@dataclass(frozen=True)
class QueriesConfig:
    """Which questions are made, and how many.

    Attributes:
        makers: Weight of each maker in the mix; one that has no more questions leaves its share to the others.
        count: How many questions to make; 0: as many as per_document says.
        per_document: Questions for each document on average, where count is 0.
        at_most: Limit on what per_document gives.
        round_trip: Questions are kept only if retrieval finds their document among so many; 0 keeps all.
        metadata_fields: Metadata to weave into questions; empty: authors, dates, categories that the text repeats.
        seq2seq_model: Folder or hub id of a docT5query-style model.
        chat_model: Folder or hub id of a causal language model, or the name of a model behind chat_url.
        chat_url: Base URL of an OpenAI-compatible endpoint, for example http://localhost:11434/v1; none: a local model.
        back_translation: Folders or hub ids of the two models that translate there and back.
        temperature: Temperature of sampled models.
        batch_size: Texts that a local model works on at once.
    """

    makers: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_MIX))
    count: int = 0
    per_document: float = 2.0
    at_most: int = 20_000
    round_trip: int = 0
    metadata_fields: tuple[str, ...] = ()
    seq2seq_model: str = ""
    chat_model: str = ""
    chat_url: str = ""
    back_translation: tuple[str, ...] = ()
    temperature: float = 0.8
    batch_size: int = 8

    def __post_init__(self) -> None:
        known = (*OFFLINE, *WITH_MODEL)
        for name, weight in self.makers.items():
            if name not in known:
                raise InputError(f"there is no maker of questions {name!r}; known are {', '.join(known)}")
            if not isinstance(weight, int | float) or not math.isfinite(weight) or weight < 0:
                raise InputError(f"the weight of {name} must be a number from 0 up, not {weight!r}")
        if not any(self.makers.values()):
            raise InputError("no maker of questions has a weight above 0")
        for name in ("count", "round_trip"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must be a whole number from 0 up, not {getattr(self, name)!r}")
        for name in ("per_document", "at_most", "temperature", "batch_size"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name} must be above 0, not {getattr(self, name)!r}")
        if self.makers.get("back_translation") and len(self.back_translation) != 2:
            raise InputError("back_translation wants two models: one that translates there, one that translates back")
        if self.makers.get("seq2seq") and not self.seq2seq_model:
            raise InputError("the maker seq2seq wants a model: set queries.seq2seq_model")
