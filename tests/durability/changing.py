"""What the durability tests share: an encoder without a model, random changes, and a look at a bundle from outside."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rank_bm25 import BM25Plus

from hybridret.bm25 import Tokenizer
from hybridret.check import check_bundle
from hybridret.config import Config
from hybridret.data.chunk import chunk_documents
from hybridret.dense import EmbeddingsEncoder
from hybridret.hybrid import HybridIndex
from hybridret.types import CHUNK_MARK, RETRIEVERS, Document

_WORDS = "pump valve reset button water steam boiler gauge lever motor belt wheel brake clutch gear axle".split()  # noqa: SIM905
_QUERY = "pump water"
_PARENTS = ["manual", "guide"]
"""Documents that are split where they are long."""
_LONG, _MANY = (400, 1500), 80
"""Words of a text that fills several pages of the database, and documents from which on deletions are large."""
Contents = dict[str, Document]


class HashedEmbeddings:
    """Sums of one random vector a word."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        vector: list[float] = np.sum([_vector(word) for word in [*text.split(), "[end]"]], axis=0).tolist()
        return vector


@lru_cache(maxsize=10_000)
def _vector(word: str) -> Any:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).normal(size=16)


def encoder() -> Any:
    return EmbeddingsEncoder(HashedEmbeddings())


class Change(NamedTuple):
    """What is done, and with which documents; of those to delete only the ids count."""

    kind: str
    documents: list[Document]


def build(folder: Path, seed: int, n: int = 60) -> Contents:
    rng = random.Random(seed)
    documents = [_document(rng, f"d{number}", -1) for number in range(n)]
    HybridIndex.build(documents, encoder(), Config(docid_levels=3), folder)
    return {document.doc_id: document for document in documents}


def next_change(rng: random.Random, contents: Contents, number: int) -> Change:
    kind = rng.choice(["add", "add", "upsert", "upsert", "split", "delete", "compact"])
    present = sorted(contents)
    if kind == "add":
        return Change(kind, [_document(rng, f"n{number}.{at}", number) for at in range(rng.choice([1, 2, 3, 12]))])
    if kind == "upsert":
        chosen = [*rng.sample(present, min(3, len(present))), f"u{number}"]
        return Change(kind, [_document(rng, doc_id, number) for doc_id in chosen])
    if kind == "split" and (parents := [parent for parent in _PARENTS if _can_be_split(parent, contents)]):
        return Change(kind, [_document(rng, rng.choice(parents), number)])
    if kind == "delete":
        chosen = rng.sample(present, min(rng.randint(1, 40 if len(present) > _MANY else 6), len(present)))
        whole = [Document(doc_id, "", {}) for doc_id in rng.sample(_PARENTS, rng.randint(0, 1))]
        return Change(kind, [*(contents[doc_id] for doc_id in chosen), *whole])
    return Change("compact", [])


def _can_be_split(parent: str, contents: Contents) -> bool:
    """Whether none of its chunks was replaced by a document of its own, whose id the index refuses to use again."""
    return not any(
        doc_id.startswith(f"{parent}{CHUNK_MARK}") and document.parent is None for doc_id, document in contents.items()
    )


def _document(rng: random.Random, doc_id: str, number: int) -> Document:
    n_words = rng.randint(*_LONG) if rng.random() < 0.35 else rng.randint(1, 9)
    text = " ".join([*rng.choices(_WORDS, k=n_words), f"v{number}"])
    return Document(doc_id, text, {"words": n_words, "change": number})


def apply(index: HybridIndex, change: Change) -> None:
    if change.kind == "delete":
        index.delete([document.doc_id for document in change.documents])
    elif change.kind == "compact":
        index.compact()
    else:
        index.add(change.documents, replace=change.kind != "add", chunk=change.kind == "split")


def changed(contents: Contents, change: Change) -> Contents:
    named = {document.doc_id: document for document in change.documents}
    if change.kind == "split":
        named = {chunk.doc_id: Document(*chunk) for chunk in chunk_documents(change.documents)}
    replaced = {document.doc_id for document in change.documents}
    kept = {
        doc_id: document
        for doc_id, document in contents.items()
        if doc_id not in replaced and document.parent not in replaced
    }
    return kept if change.kind == "delete" else kept | named


def history(contents: Contents, seed: int, first: int = 0) -> Iterator[tuple[Change, Contents]]:
    """Endless changes, each with the contents after it."""
    rng, number = random.Random(seed), first
    while True:
        change = next_change(rng, contents, number)
        contents, number = changed(contents, change), number + 1
        yield change, contents


def look(folder: Path) -> Contents:
    """The contents of a bundle that is sound, and of which all retrievers hold the same documents with these texts."""
    report = check_bundle(folder)
    assert report.faults == [], report.faults
    index = HybridIndex.open(folder, encoder())
    contents = {document.doc_id: document for document in index.get(sorted(index.ids()))}
    assert index.ids() == set(contents)
    assert len(index) == report.documents == len(contents)
    scores = {}
    for name in RETRIEVERS:
        hits = index.search([_QUERY], 10_000, retrievers=[name])[0]
        scores[name] = {hit.doc_id: hit.score for hit in hits}
        assert len(hits) == len(scores[name]), name
        assert scores[name].keys() == contents.keys(), (name, scores[name].keys() ^ contents.keys())
    assert_scores(scores["dense"], dense_scores(_QUERY, contents), 1e-5)
    assert_scores(scores["bm25"], bm25_scores(_QUERY, contents), 1e-9)
    return contents


def assert_scores(scores: dict[str, float], expected: dict[str, float], tolerance: float) -> None:
    wrong = {
        doc_id: (score, expected[doc_id])
        for doc_id, score in scores.items()
        if abs(score - expected[doc_id]) > tolerance
    }
    assert not wrong, f"scores of other texts: {wrong}"


def dense_scores(query: str, contents: Contents) -> dict[str, float]:
    if not contents:
        return {}
    vectors = encoder().encode_documents([document.text for document in contents.values()])
    return dict(zip(contents, (vectors @ encoder().encode_queries([query])[0]).tolist(), strict=True))


def bm25_scores(query: str, contents: Contents) -> dict[str, float]:
    if not contents:
        return {}
    tokenizer = Tokenizer("english")
    reference = BM25Plus([tokenizer.document_terms(document.text) for document in contents.values()], delta=0)
    return dict(zip(contents, reference.get_scores(tokenizer(query)).tolist(), strict=True))
