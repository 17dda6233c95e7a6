"""What people use today, on the same data, the same vectors and the same machine, in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cost import THREADS, WARM_UP, K, drawn, throughput
from benchmarks.decode_cost import N_BEAMS, N_CODES, N_LEVELS, make_backbone, prefix_function, timed_decoding
from benchmarks.subject import Subject
from benchmarks.systems import DEPTH, Answer, Search, run
from benchmarks.timing import percentiles, pinned_threads, timed_in_turn
from hybridret.bm25 import Tokenizer
from hybridret.decoding import Trie
from hybridret.errors import InputError, require
from hybridret.generative import DocidRetriever

VOCABULARY = 32_128
NOT_RUN = "not run"
DSI_SECONDS = 60.0


class Peer(NamedTuple):
    """A system of others.

    Attributes:
        version: Of the package.
        search: Answers questions.
    """

    version: str
    search: Search


Make = Callable[[Subject], Peer]


def rank_bm25(subject: Subject) -> Peer:
    """rank-bm25's Okapi over the index's own terms: what LangChain's BM25Retriever is made of."""
    from rank_bm25 import BM25Okapi

    tokenize = Tokenizer(subject.index.config.language)
    ids = [document.doc_id for document in subject.collection.documents]
    scorer = BM25Okapi([tokenize(document.text) for document in subject.collection.documents])

    def search(texts: Sequence[str], k: int) -> list[Answer]:
        answers = []
        for text in texts:
            scores = scorer.get_scores(tokenize(text))
            answers.append({ids[at]: float(scores[at]) for at in np.argsort(-scores, kind="stable")[:k]})
        return answers

    return Peer(version("rank-bm25"), search)


def bm25s(subject: Subject) -> Peer:
    """bm25s as its documentation has it: its own tokens, English stop words and stemmer."""
    import Stemmer

    package = require("bm25s", "peers")
    stemmer = Stemmer.Stemmer("english")
    ids = [document.doc_id for document in subject.collection.documents]

    def tokens(texts: Sequence[str]) -> Any:
        return package.tokenize(list(texts), stopwords="en", stemmer=stemmer, show_progress=False)

    scorer = package.BM25()
    scorer.index(tokens([document.text for document in subject.collection.documents]), show_progress=False)

    def search(texts: Sequence[str], k: int) -> list[Answer]:
        found, scores = scorer.retrieve(tokens(texts), k=min(k, len(ids)), show_progress=False)
        return [
            {ids[at]: float(score) for at, score in zip(*each, strict=True)}
            for each in zip(found.tolist(), scores.tolist(), strict=True)
        ]

    return Peer(version("bm25s"), search)


def semantic_search(subject: Subject) -> Peer:
    """sentence-transformers' ``semantic_search`` over the index's own vectors, questions encoded by its encoder."""
    import torch
    from sentence_transformers import util

    generation, encoder = subject.index._changes.generation, subject.index.encoder
    rows = np.flatnonzero(generation.alive)
    ids = [generation.ids[row] for row in rows]
    vectors = torch.as_tensor(np.ascontiguousarray(generation.dense.vectors[rows]))

    def search(texts: Sequence[str], k: int) -> list[Answer]:
        asked = torch.as_tensor(encoder.encode_queries(list(texts)))
        found = util.semantic_search(asked, vectors, top_k=k, score_function=util.dot_score)
        return [{ids[int(hit["corpus_id"])]: float(hit["score"]) for hit in hits} for hits in found]

    return Peer(version("sentence-transformers"), search)


def ensemble(subject: Subject) -> Peer:
    """LangChain's ``EnsembleRetriever`` as it is (reciprocal ranks, c = 60) over its bm25 and FAISS retrievers.

    Bm25 gets the index's own terms and FAISS the index's own vectors, so that only the fusion differs.
    """
    from langchain_core.embeddings import Embeddings

    classic = require("langchain_classic.retrievers", "peers")
    retrievers = require("langchain_community.retrievers", "peers")
    stores = require("langchain_community.vectorstores", "peers")
    generation, encoder = subject.index._changes.generation, subject.index.encoder

    class Same(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            raise AssertionError("the documents are embedded already")

        def embed_query(self, text: str) -> list[float]:
            vector: list[float] = encoder.encode_queries([text])[0].tolist()
            return vector

    row_of = {generation.ids[row]: row for row in np.flatnonzero(generation.alive).tolist()}
    documents = [document for document in subject.collection.documents if document.doc_id in row_of]
    texts, facts = [document.text for document in documents], [{"id": document.doc_id} for document in documents]
    vectors = [generation.dense.vectors[row_of[document.doc_id]].tolist() for document in documents]
    store = stores.FAISS.from_embeddings(
        list(zip(texts, vectors, strict=True)), Same(), metadatas=facts, distance_strategy="MAX_INNER_PRODUCT"
    )
    words = retrievers.BM25Retriever.from_texts(
        texts, metadatas=facts, preprocess_func=Tokenizer(subject.index.config.language)
    )
    words.k = DEPTH
    both = classic.EnsembleRetriever(
        retrievers=[words, store.as_retriever(search_kwargs={"k": DEPTH})], weights=[0.5, 0.5], c=60, id_key="id"
    )

    def search(texts: Sequence[str], k: int) -> list[Answer]:
        found = [[document.metadata["id"] for document in both.invoke(text)][:k] for text in texts]
        return [{name: 1.0 / rank for rank, name in enumerate(names, 1)} for names in found]

    return Peer(version("langchain-classic"), search)


def dsi(subject: Subject) -> Peer:
    """A DSI-style T5-shaped model with atomic ids, trained from scratch for a minute."""
    from benchmarks.dsi import Dsi

    return Peer(version("transformers"), Dsi(subject, DSI_SECONDS))


PEERS: dict[str, Make] = {
    "LangChain ensemble": ensemble,
    "rank_bm25": rank_bm25,
    "bm25s": bm25s,
    "st semantic_search": semantic_search,
    "DSI (T5 from scratch, atomic ids)": dsi,
}
"""Peers by name. One that is not installed is reported as not run, with the line that installs it."""


def measured_peer(make: Make, subject: Subject, n_questions: int) -> dict[str, Any]:
    """Measures a peer.

    Args:
        make: Makes it.
        subject: Documents, vectors and questions.
        n_questions: How many questions are timed.

    Returns:
        Version, seconds to build, answers by query id, milliseconds at batch 1 and questions a second at batch 64; or
        ``not run`` and why.
    """
    queries = subject.collection.dataset.queries
    texts = drawn(list(queries.values()), n_questions)
    try:
        with pinned_threads(THREADS):
            start = time.perf_counter()
            peer = make(subject)
            seconds = time.perf_counter() - start
            answers = run(peer.search, queries)
            times = timed_in_turn({"peer": lambda at: peer.search([texts[at % len(texts)]], K)}, len(texts), WARM_UP)
            return {
                "version": peer.version,
                "build_seconds": seconds,
                "run": {query: list(answer.items()) for query, answer in answers.items()},
                "latency_ms": percentiles(times["peer"]),
                "questions_a_second": throughput(peer.search, texts),
            }
    except Exception as error:
        return {NOT_RUN: f"{type(error).__name__}: {' '.join(str(error).split())}"}


def generation(subject: Subject) -> dict[str, Any]:
    """Decoding this collection's docids with a random model: hybridret's beam search and transformers' ``generate``.

    Docids are cut to the levels that ``benchmarks.decode_cost`` times; the model has MiniLM's size and T5's vocabulary,
    the constraint is a ``prefix_allowed_tokens_fn`` over a dict trie.
    """
    docid = subject.index._changes.generation.docid
    try:
        if (
            not isinstance(docid, DocidRetriever)
            or docid.codes.shape[1] < N_LEVELS
            or docid.quantizer.n_codes > N_CODES
        ):
            raise InputError(f"needs docids of at least {N_LEVELS} levels and at most {N_CODES} codes")
        codes = np.unique(docid.codes[:, :N_LEVELS], axis=0)
        if len(codes) < N_BEAMS:
            raise InputError(f"needs at least {N_BEAMS} different docids")
        firsts = VOCABULARY + N_CODES * np.arange(N_LEVELS)
        with pinned_threads(THREADS):
            times = timed_decoding(make_backbone(VOCABULARY), Trie(codes), prefix_function(codes + firsts))
    except Exception as error:
        return {NOT_RUN: f"{type(error).__name__}: {error}"}
    return {"version": version("transformers"), "docids": len(codes), **times}
