"""Encoding queries by the encoder of the bundle that lies there now."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence

import numpy as np

from hybridret.changes import Changes
from hybridret.data.clean import clean_text
from hybridret.errors import InputError, ModelError
from hybridret.filtering import StaleError
from hybridret.forking import new_lock
from hybridret.guard import ENCODING, Budget, ask
from hybridret.store import DocumentStore
from hybridret.types import Encoder, Queries
from hybridret.understanding import averaged


class Encoding:
    """An index's encoder, loaded when it is first needed.

    Args:
        changes: The index's state.
        load: Gives the encoder of the bundle that lies there.
    """

    def __init__(self, changes: Changes, load: Callable[[], Encoder]) -> None:
        self._changes, self.load = changes, load
        self._lock = new_lock(is_outer=True)
        self._loaded: tuple[DocumentStore, Encoder] | None = None

    @property
    def encoder(self) -> Encoder:
        """The encoder; another one where another bundle has taken this one's place."""
        with self._lock:
            store = self._changes.store
            if self._loaded is None or self._loaded[0] is not store:
                self._loaded = (store, self.load())
            return self._loaded[1]

    def for_copy(self, changes: Changes, load: Callable[[], Encoder]) -> Encoding:
        """The same for a copy of the index; over the same bundle it shares an encoder that is loaded."""
        copied = Encoding(changes, load)
        was, bundle = self._changes.bundle, changes.bundle
        with self._lock:
            is_of_this = self._loaded is not None and self._loaded[0] is self._changes.store
            if self._loaded is not None and is_of_this and was and bundle and was.identity == bundle.identity:
                copied._loaded = (changes.store, self._loaded[1])
        return copied

    def of(
        self, texts: list[str], retrievers: Sequence[str], wordings: list[list[str]] | None = None
    ) -> Callable[[], Queries]:
        """Gives what encodes texts for the newest generation: once for each bundle that takes another's place.

        Args:
            texts: The queries.
            retrievers: Who is asked: bm25 alone needs no vectors.
            wordings: Each query's wordings, whose vectors are averaged; None: the queries as they are.
        """
        kept: list[tuple[DocumentStore, Queries]] = []

        def encode() -> Queries:
            self._changes.refresh()
            store = self._changes.store
            if not kept or kept[-1][0] is not store:
                kept.append((store, self._encode(texts, retrievers, wordings)))
                self._changes.refresh()
            if self._changes.store is not store:
                raise StaleError("the bundle was replaced meanwhile; ask again")
            return kept[-1][1]

        return encode

    def _encode(self, texts: list[str], retrievers: Sequence[str], wordings: list[list[str]] | None) -> Queries:
        if set(retrievers) <= {"bm25"} or not texts:
            return Queries(texts, np.zeros((len(texts), 0), dtype=np.float32))
        asked = texts if wordings is None else [wording for each in wordings for wording in each]
        vectors = self.encoder.encode_queries(asked)
        if wordings is not None:
            vectors = averaged(vectors, [len(each) for each in wordings])
        width = self._changes.generation.dense.vectors.shape[1]
        if width and vectors.shape[1] != width:
            raise ModelError(f"the encoder gives {vectors.shape[1]} dimensions, the index has {width}: another model?")
        return Queries(texts, vectors)


def is_picklable(encoder: Encoder | None) -> bool:
    """Whether an encoder that a caller gave can go to another process; of a service's client that is not sure."""
    try:
        pickle.dumps(encoder)
    except Exception:
        return False
    return True


def encoded_queries(
    encode: Callable[[], Queries], texts: list[str], retrievers: Sequence[str], budget: Budget
) -> tuple[Queries, dict[str, str]]:
    """Encoded queries, or where the encoder fails, queries for bm25 alone and why the others cannot take part."""
    asked = ask({"the encoder": encode}, budget.left(ENCODING))
    if not asked.failures:
        return asked.results["the encoder"], {}
    (why,) = asked.failures.values()
    failed = {name: f"the encoder failed: {why}" for name in retrievers if name != "bm25"}
    return Queries(texts, np.zeros((len(texts), 0), dtype=np.float32)), failed


def cleaned_wordings(asked: list[str], variants: Sequence[Sequence[str]], present: list[int]) -> list[list[str]]:
    """Each present query with its other wordings, blank ones left out.

    Raises:
        InputError: There are not as many lists of wordings as queries, or one is no list of texts.
    """
    if len(variants) != len(asked) or any(isinstance(each, str) for each in variants):
        raise InputError(f"variants must hold a list of wordings for each of the {len(asked)} queries")
    cleaned = {at: [clean_text(wording, "a wording") for wording in variants[at]] for at in present}
    return [[asked[at], *(wording for wording in cleaned[at] if wording.strip())] for at in present]
