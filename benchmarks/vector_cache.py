"""Encoders for measuring: one that keeps its vectors on disk, and one whose cosines lie close together."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from hybridret.types import Encoder, FloatArray, IntArray, Progress

_AT_ONCE, _LOCK_SECONDS, _SLAB = 500, 60.0, 512
_QUERY, _DOCUMENT = "query", "document"


class CachedEncoder:
    """An encoder whose vectors are read from a folder where they were computed before.

    Args:
        encoder: What encodes texts that are new.
        folder: Where the vectors lie, one file for each model's name.

    Attributes:
        seconds_saved: Seconds that encoding has once taken of texts that were read since.
    """

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._encoder = encoder
        self.name, self.max_tokens = encoder.name, encoder.max_tokens
        self._path = folder / f"{re.sub(r'[^A-Za-z0-9.-]', '_', encoder.name)}.sqlite"
        self.seconds_saved = 0.0
        with closing(self._connect()) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB, seconds REAL)")

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """As the encoder does. *Shape:* (n_texts, dimension), float32."""
        return self._encoded(_QUERY, texts, self._encoder.encode_queries)

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> FloatArray:
        """As the encoder does. *Shape:* (n_texts, dimension), float32."""
        return self._encoded(_DOCUMENT, texts, lambda new: self._encoder.encode_documents(new, progress))

    def count_cut_tokens(self, texts: Sequence[str]) -> IntArray:
        """As the encoder does."""
        return self._encoder.count_cut_tokens(texts)

    def save(self, folder: Path) -> None:
        """As the encoder does."""
        self._encoder.save(folder)

    def _encoded(self, kind: str, texts: Sequence[str], encode: Callable[[list[str]], FloatArray]) -> FloatArray:
        keys = [hashlib.sha256(f"{kind}\0{text}".encode("utf-8", "surrogatepass")).digest() for text in texts]
        with closing(self._connect()) as database, database:
            vectors = self._read(database, keys)
            new = dict(zip(reversed(keys), reversed(texts), strict=True))
            waiting = sorted((item for item in new.items() if item[0] not in vectors), key=lambda item: -len(item[1]))
            for start in range(0, len(waiting), _SLAB):
                slab = dict(waiting[start : start + _SLAB])
                began = time.perf_counter()
                encoded = dict(zip(slab, encode(list(slab.values())), strict=True))
                seconds = (time.perf_counter() - began) / len(slab)
                rows = [(key, vector.astype(np.float32).tobytes(), seconds) for key, vector in encoded.items()]
                database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
                database.commit()
                vectors |= encoded
        return np.array([vectors[key] for key in keys], dtype=np.float32)

    def _read(self, database: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, FloatArray]:
        """The vectors that are there, by key."""
        vectors, distinct = {}, list(dict.fromkeys(keys))
        for start in range(0, len(distinct), _AT_ONCE):
            part = distinct[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(part))
            for key, vector, seconds in database.execute(f"SELECT * FROM vectors WHERE key IN ({marks})", part):
                vectors[key] = np.frombuffer(vector, dtype=np.float32)
                self.seconds_saved += seconds
        return vectors

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_LOCK_SECONDS)


class LiftedEncoder:
    """An encoder whose cosines are another one's, lifted: cosine 0 becomes the given number, 1 stays, orders stay.

    So are those of E5 and other models, for which all texts are alike. A vector v becomes (sqrt(1 - c) v, sqrt(c)).

    Args:
        encoder: The encoder.
        least: What cosine 0 becomes, from 0 to below 1.
    """

    def __init__(self, encoder: Encoder, least: float) -> None:
        self._encoder, self._least = encoder, least
        self.name, self.max_tokens = f"{encoder.name} from {least}", encoder.max_tokens

    @property
    def seconds_saved(self) -> float:
        """As the encoder's, where it keeps vectors."""
        return float(getattr(self._encoder, "seconds_saved", 0.0))

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """As the encoder does, lifted. *Shape:* (n_texts, dimension + 1), float32."""
        return self._lifted(self._encoder.encode_queries(texts))

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> FloatArray:
        """As the encoder does, lifted. *Shape:* (n_texts, dimension + 1), float32."""
        return self._lifted(self._encoder.encode_documents(texts, progress))

    def count_cut_tokens(self, texts: Sequence[str]) -> IntArray:
        """As the encoder does."""
        return self._encoder.count_cut_tokens(texts)

    def save(self, folder: Path) -> None:
        """As the encoder does."""
        self._encoder.save(folder)

    def _lifted(self, vectors: FloatArray) -> FloatArray:
        constant = np.full((len(vectors), 1), np.sqrt(self._least))
        return np.hstack([np.sqrt(1.0 - self._least) * vectors, constant]).astype(np.float32)
