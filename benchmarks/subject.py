"""The index that is measured, built anew under the clock or opened where it lies."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.collection import Collection
from benchmarks.updates import TimedEncoder
from hybridret.bm25 import BM25Retriever, Tokenizer
from hybridret.hybrid import HybridIndex
from hybridret.types import Encoder, Progress


@dataclass(frozen=True)
class Subject:
    """A collection and the index over it.

    Attributes:
        collection: What is asked.
        index: What answers, opened from the bundle.
        bundle: Where it lies.
    """

    collection: Collection
    index: HybridIndex
    bundle: Path


def build(collection: Collection, encoder: Encoder, bundle: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Builds a bundle and times it.

    Args:
        collection: What to index.
        encoder: The model.
        bundle: Where the bundle shall lie.
        progress: Told how far the work is.

    Returns:
        Seconds by part: encoding, the rest of indexing (postings, docids, database), the fit of the fusion, writing;
        and of bm25 alone, which is part of the rest.
    """
    timed = TimedEncoder(encoder)
    start = time.perf_counter()
    index = HybridIndex.build(collection.documents, timed, progress=progress)
    built = time.perf_counter()
    encoding = timed.seconds
    index.fit(progress=progress)
    fitted = time.perf_counter()
    index.save(bundle)
    saved = time.perf_counter()
    BM25Retriever(Tokenizer(index.config.language)).appended([document.text for document in collection.documents])
    return {
        "seconds": saved - start,
        "encode": encoding,
        "index": built - start - encoding,
        "bm25 alone": time.perf_counter() - saved,
        "fit": fitted - built,
        "save": saved - fitted,
        "documents": len(collection.documents),
    }


def open_subject(collection: Collection, bundle: Path, encoder: Encoder | None = None) -> Subject:
    """Opens what ``build`` has written, or the collection's own bundle, with its own encoder where none is given."""
    return Subject(collection, HybridIndex.open(bundle, encoder), bundle)
