"""Encoding queries by the encoder of the bundle that lies there now."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from hybridret.changes import Changes
from hybridret.data.clean import clean_text
from hybridret.errors import InferenceError, InputError, ModelError
from hybridret.filtering import StaleError
from hybridret.forking import new_lock
from hybridret.guard import ENCODING, Budget, ask
from hybridret.store import DocumentStore
from hybridret.types import Encoder, FloatArray, Queries
from hybridret.understanding import averaged

_ENCODER = "the encoder"
_T = TypeVar("_T")


class Encoded(NamedTuple):
    """Queries after the encoder's pass.

    Attributes:
        queries: The queries; without vectors where the encoder failed.
        failed: Why retrievers cannot take part, by name.
    """

    queries: Queries
    failed: dict[str, str]


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

    def of(self, texts: list[str], retrievers: Sequence[str]) -> Callable[[], Queries]:
        """Gives what encodes texts for the newest generation: once for each bundle that takes another's place.

        Args:
            texts: The queries.
            retrievers: Who is asked: bm25 alone needs no vectors.
        """
        return self._once_a_bundle(lambda: self._encode(texts, retrievers, None), self._changes.refresh)

    def within(
        self,
        budget: Budget,
        texts: list[str],
        retrievers: Sequence[str],
        wordings: list[list[str]] | None,
        refresh: Callable[[], object],
    ) -> Callable[[], Encoded]:
        """Gives what encodes texts as ``of`` does; where the encoder fails or is late, they are queries for bm25 alone.

        Args:
            budget: The answer's time.
            texts: The queries.
            retrievers: Who is asked.
            wordings: Each query's wordings, whose vectors are averaged; None: the queries as they are.
            refresh: Takes up the newest generation.
        """

        def encoded() -> Encoded:
            part = {_ENCODER: lambda: self._encode(texts, retrievers, wordings)}
            asked = ask(part, budget.left(ENCODING), self)
            if not asked.failures:
                return Encoded(asked.results[_ENCODER], {})
            why = f"{_ENCODER} failed: {asked.failures[_ENCODER]}"
            return Encoded(_without_vectors(texts), {name: why for name in retrievers if name != "bm25"})

        return self._once_a_bundle(encoded, refresh)

    def _once_a_bundle(self, make: Callable[[], _T], refresh: Callable[[], object]) -> Callable[[], _T]:
        kept: list[tuple[DocumentStore, _T]] = []

        def current() -> _T:
            refresh()
            store = self._changes.store
            if not kept or kept[-1][0] is not store:
                kept.append((store, make()))
                refresh()
            if self._changes.store is not store:
                raise StaleError("the bundle was replaced meanwhile; ask again")
            return kept[-1][1]

        return current

    def _encode(self, texts: list[str], retrievers: Sequence[str], wordings: list[list[str]] | None) -> Queries:
        """Encodes queries.

        Raises:
            InferenceError: The encoder cannot encode them, or gives what cannot be.
            HybridretError: There is no encoder to be had.
        """
        if set(retrievers) <= {"bm25"} or not texts:
            return _without_vectors(texts)
        encoder = self.encoder
        asked = texts if wordings is None else [wording for each in wordings for wording in each]
        try:
            vectors = encoder.encode_queries(asked)
        except InferenceError:
            raise
        except ModelError as error:
            raise InferenceError(str(error)) from error
        self._check(vectors, len(asked))
        if wordings is not None:
            vectors = averaged(vectors, [len(each) for each in wordings])
        return Queries(texts, vectors)

    def _check(self, vectors: FloatArray, n_texts: int) -> None:
        if vectors.ndim != 2 or len(vectors) != n_texts or vectors.dtype.kind != "f":
            raise InferenceError(f"the encoder gives {vectors.dtype} of shape {vectors.shape} for {n_texts} texts")
        width = self._changes.generation.dense.vectors.shape[1]
        if width and vectors.shape[1] != width:
            raise InferenceError(
                f"the encoder gives {vectors.shape[1]} dimensions, the index has {width}: another model?"
            )
        if not np.isfinite(vectors).all():
            raise InferenceError("the encoder gives values that are no finite numbers")


def _without_vectors(texts: list[str]) -> Queries:
    return Queries(texts, np.zeros((len(texts), 0), dtype=np.float32))


def is_picklable(encoder: Encoder | None) -> bool:
    """Whether an encoder that a caller gave can go to another process; of a service's client that is not sure."""
    try:
        pickle.dumps(encoder)
    except Exception:
        return False
    return True


def cleaned_wordings(asked: list[str], variants: Sequence[Sequence[str]], present: list[int]) -> list[list[str]]:
    """Each present query with its other wordings, blank ones left out.

    Raises:
        InputError: There are not as many lists of wordings as queries, or one is no list of texts.
    """
    if len(variants) != len(asked) or any(isinstance(each, str) for each in variants):
        raise InputError(f"variants must hold a list of wordings for each of the {len(asked)} queries")
    cleaned = {at: [clean_text(wording, "a wording") for wording in variants[at]] for at in present}
    return [[asked[at], *(wording for wording in cleaned[at] if wording.strip())] for at in present]
