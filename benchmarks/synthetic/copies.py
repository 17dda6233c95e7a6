"""Corpora that hold every document several times, as versions, mirrors and syndicated pages do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.collection import Collection
from benchmarks.synthetic.patterns import make_collection
from hybridret.types import Document

_SEED = 51


def copy_id(doc_id: str, copy: int) -> str:
    """What a copy is called; copy 0 is the document itself."""
    return doc_id if copy == 0 else f"{doc_id}~copy{copy}"


def copy_documents(documents: Sequence[Document], times: int, seed: int = _SEED) -> list[Document]:
    """Every document so many times, in random order.

    Args:
        documents: The documents.
        times: How often each is to be there, at least once.
        seed: Of the order.

    Raises:
        ValueError: ``times`` is below 1, or a copy would be called as a document is.
    """
    if times < 1:
        raise ValueError(f"times must be at least 1, not {times}")
    copied = [
        Document(copy_id(each.doc_id, copy), each.text, each.metadata) for each in documents for copy in range(times)
    ]
    if len({each.doc_id for each in copied}) < len(copied):
        raise ValueError("a copy would be called as a document is")
    return [copied[at] for at in np.random.default_rng(seed).permutation(len(copied))]


def with_copies(collection: Collection, times: int, seed: int = _SEED) -> Collection:
    """A collection with every document so many times; a copy is as relevant as what it is a copy of.

    Args:
        collection: Any collection.
        times: How often each document is to be there.
        seed: Of the documents' order.
    """
    qrels = {
        query: {copy_id(doc_id, copy): grade for doc_id, grade in grades.items() for copy in range(times)}
        for query, grades in collection.dataset.qrels.items()
    }
    return make_collection(
        f"{collection.name}-x{times}",
        copy_documents(collection.documents, times, seed),
        collection.dataset.queries,
        qrels,
    )
