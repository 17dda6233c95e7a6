"""Faults of every kind in every part: what comes out all the same is right, of the filter, and costs few threads."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import pytest
from langchain_core.documents import BaseDocumentCompressor
from langchain_core.documents import Document as LangChainDocument

from hybridret import HybridRetriever
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder
from hybridret.errors import InputError, ModelError, RetrievalError
from hybridret.fusion import USUAL
from hybridret.guard import MOST_OVERDUE
from hybridret.hybrid import HybridIndex
from hybridret.types import RETRIEVERS, Document, Hit, Run

WORDS = [f"{first}{vowel}n" for first in "bdfgklmprst" for vowel in "aeiou"]
N_DOCUMENTS, N_QUERIES, GROUPS, PLENTY, SHORT = 40, 1000, 4, 600.0, 0.2


def documents() -> list[Document]:
    generator = np.random.default_rng(0)
    return [
        Document(f"d{at:02}", " ".join(generator.choice(WORDS, size=6)), {"group": at % GROUPS})
        for at in range(N_DOCUMENTS)
    ]


@pytest.fixture
def index(embeddings: Any) -> HybridIndex:
    made = HybridIndex.build(documents(), EmbeddingsEncoder(embeddings), Config(docid_levels=2, docid_codes=8))
    made.delete(["d07", "d11"])
    return made


@pytest.fixture
def released() -> Iterator[Event]:
    """Set at the end, so that threads left behind come to theirs."""
    event = Event()
    yield event
    event.set()


def raising(*_: Any) -> Any:
    raise RuntimeError("broken")


def lone_probability(index: HybridIndex, name: str, text: str, score: float) -> float:
    """Of one retriever, by the definitions of ``USUAL``, the evidence and the words that no document has."""
    generation, (slope, offset) = index._changes.generation, USUAL[name]
    if name == "dense":
        mean, deviation = generation.spread
        return 1 / (1 + math.exp(-(slope * (score - mean) / deviation + offset)))
    postings, terms = generation.bm25.postings, generation.bm25.tokenizer(text)
    if score <= 0:
        return 0.0
    n_alive = len(index)
    ceiling = (postings.k1 + 1) * sum(max(0.0, postings.idf(term)) for term in terms)
    rarest = math.log(1 + (n_alive + 0.5) / 0.5)
    present = {term: max(0.0, postings.idf(term)) for term in terms if postings.document_count(term)}
    absent = {term for term in terms if term not in present}
    known = sum(present.values()) / (sum(present.values()) + rarest * len(absent))
    return 1 / (1 + math.exp(-(slope * known * score / ceiling + offset)))


def nonsense(index: HybridIndex) -> dict[str, Callable[..., Any]]:
    """Answers of a retriever that cannot be, by what is wrong with them."""
    generation = index._changes.generation
    dead = int(np.flatnonzero(~generation.alive)[0])

    def runs(rows: Any, scores: Any) -> Callable[..., Any]:
        return lambda queries, *_: [Run(np.array(rows), np.array(scores)) for _ in queries.texts]

    def hidden(queries: Any, k: int, allowed: Any, ties: Any) -> list[Run]:
        rows = np.flatnonzero(~allowed.mask)[:3]
        return [Run(rows, np.arange(len(rows))[::-1].astype(float)) for _ in queries.texts]

    return {
        "NaN": runs([0, 1], [math.nan, 0.0]),
        "infinite": runs([0, 1], [math.inf, 0.0]),
        "beyond the index": runs([0, 10**6], [2.0, 1.0]),
        "negative rows": runs([-1], [2.0]),
        "rows that are no whole numbers": runs([0.5], [2.0]),
        "a table of rows": runs([[0, 1]], [[2.0, 1.0]]),
        "more rows than scores": runs([0, 1, 2], [2.0, 1.0]),
        "a row twice": runs([1, 1], [2.0, 2.0]),
        "a deleted row": runs([dead], [99.0]),
        "hidden by the filter": hidden,
        "worst first": runs([0, 1], [0.0, 1.0]),
        "too few answers": lambda *_: [],
        "words": lambda queries, *_: ["much"] * len(queries.texts),
        "nothing": lambda *_: None,
    }


NONSENSE = [
    "NaN", "infinite", "beyond the index", "negative rows", "rows that are no whole numbers", "a table of rows",
    "more rows than scores", "a row twice", "a deleted row", "hidden by the filter", "worst first", "too few answers",
    "words", "nothing",
]  # fmt: skip


@pytest.mark.parametrize("fault", NONSENSE)
@pytest.mark.parametrize("name", RETRIEVERS)
def test_nonsense_of_a_retriever_is_as_if_it_had_not_been_asked(
    index: HybridIndex, monkeypatch: pytest.MonkeyPatch, name: str, fault: str
) -> None:
    others = [other for other in RETRIEVERS if other != name]
    expected = index.search(["ban den fin"], 5, {"group": 1}, others)[0]
    part = index._changes.generation.retriever(name)
    monkeypatch.setattr(part, "search", nonsense(index)[fault], raising=False)
    found = index.search(["ban den fin"], 5, {"group": 1})[0]
    assert list(found[0].failed) == [name]
    assert [(hit.doc_id, hit.details) for hit in found] == [(hit.doc_id, hit.details) for hit in expected]
    assert {int(hit.doc_id[1:]) % GROUPS for hit in found} == {1}


ENCODER_FAULTS: dict[str, Callable[[Sequence[str]], Any]] = {
    "raises": raising,
    "no memory": lambda texts: (_ for _ in ()).throw(MemoryError("out of memory")),
    "an error of the package": lambda texts: (_ for _ in ()).throw(ModelError("the model is away")),
    "NaN": lambda texts: np.full((len(texts), 32), np.nan, dtype=np.float32),
    "another width": lambda texts: np.ones((len(texts), 5), dtype=np.float32),
    "one vector for all": lambda texts: np.ones(32, dtype=np.float32),
    "too many": lambda texts: np.ones((len(texts) + 1, 32), dtype=np.float32),
    "words": lambda texts: np.array([["a"] * 32] * len(texts)),
    "nothing": lambda texts: None,
}


@pytest.mark.parametrize("seconds", [None, PLENTY])
@pytest.mark.parametrize("fault", ENCODER_FAULTS)
def test_without_an_encoder_bm25_answers_by_its_own_probability(
    index: HybridIndex, monkeypatch: pytest.MonkeyPatch, fault: str, seconds: float | None
) -> None:
    text = "ban den fin zanzibar"
    by_words = index.search([text], 5, retrievers=["bm25"])[0]
    monkeypatch.setattr(index.encoder, "encode_queries", ENCODER_FAULTS[fault])
    found = index.search([text], 5, time_budget=seconds)[0]
    assert [hit.doc_id for hit in found] == [hit.doc_id for hit in by_words]
    for hit in found:
        assert set(hit.failed) == {"dense", "docid"}
        assert hit.failed["dense"].startswith("the encoder failed: ")
        assert hit.score == pytest.approx(lone_probability(index, "bm25", text, hit.details["bm25"].score))
    bound = (found[0].score + found[1].score) / 2 if found[0].score > found[1].score else found[0].score
    passing = [hit for hit in found if hit.score >= bound]
    assert index.search([text], 5, time_budget=seconds, min_score=bound)[0] == passing


def test_only_one_of_words_that_a_query_has_is_no_answer_to_it(
    index: HybridIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index.encoder, "encode_queries", raising)
    alone = index.search(["ban"], 1)[0][0]
    among_strangers = index.search(["who painted the chapel of zanzibar ban"], 1)[0][0]
    assert alone.doc_id == among_strangers.doc_id
    assert alone.details == among_strangers.details, "what it says of the document is the same"
    assert among_strangers.score < 0.1 < alone.score


def test_dense_that_is_left_alone_has_its_own_probability(index: HybridIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    by_meaning = index.search(["ban den fin"], 5, retrievers=["dense"])[0]
    for name in ("bm25", "docid"):
        monkeypatch.setattr(index._changes.generation.retriever(name), "search", raising, raising=False)
    found = index.search(["ban den fin"], 5)[0]
    assert [hit.doc_id for hit in found] == [hit.doc_id for hit in by_meaning]
    for hit in found:
        assert hit.score == pytest.approx(lone_probability(index, "dense", "", hit.details["dense"].score))


def test_what_no_probability_can_be_had_of_reaches_no_min_score(
    index: HybridIndex, embeddings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("dense", "bm25"):
        monkeypatch.setattr(index._changes.generation.retriever(name), "search", raising, raising=False)
    found = index.search(["ban den fin"], 5)[0]
    assert len(found) == 5
    assert {hit.score for hit in found} == {0.0}, "untrained docids weigh nothing: they tell an order and no more"
    with caplog.at_level(logging.WARNING):
        assert index.search(["ban den fin"], 5, min_score=1e-9) == [[]]
    assert "an answer is empty: without dense and bm25 no document reaches min_score" in caplog.text

    convex = HybridIndex.build(documents(), EmbeddingsEncoder(embeddings), Config(fusion="convex"))
    assert convex.search(["ban den fin"], 5, min_score=0.5)[0], "its own scale is the caller's choice"
    monkeypatch.setattr(convex._changes.generation.dense, "search", raising, raising=False)
    assert convex.search(["ban den fin"], 5)[0][0].score == 1.0, "whatever is best is 1 by the convex sum"
    assert convex.search(["ban den fin"], 5, min_score=0.5) == [[]]


def test_a_retriever_that_weighs_nothing_is_not_missed(index: HybridIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    for weights in (None, {"dense": 0.3, "bm25": 0.7}, {"bm25": 1.0}):
        healthy = index.search(["ban den fin"], 5, weights=weights)[0]
        with monkeypatch.context() as patch:
            patch.setattr(index._changes.generation.docid, "search", raising, raising=False)
            if weights == {"bm25": 1.0}:
                patch.setattr(index._changes.generation.dense, "search", raising, raising=False)
            found = index.search(["ban den fin"], 5, weights=weights, min_score=healthy[2].score)[0]
        expected = [(hit.doc_id, hit.score) for hit in healthy if hit.score >= healthy[2].score]
        assert [(hit.doc_id, hit.score) for hit in found] == expected


def test_a_retriever_that_was_asked_for_alone_keeps_its_own_scale(index: HybridIndex) -> None:
    found = index.search(["ban den fin"], 5, retrievers=["bm25"])[0]
    assert found[0].score > 1
    bound = found[1].score
    assert index.search(["ban den fin"], 5, retrievers=["bm25"], min_score=bound)[0] == [
        hit for hit in found if hit.score >= bound
    ]


def test_a_scorer_that_fails_takes_its_own_candidates_with_it(
    index: HybridIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index._changes.generation.docid, "search", lambda queries, *_: [
        Run(np.array([3, 5]), np.array([-1.0, -2.0])) for _ in queries.texts
    ], raising=False)  # fmt: skip
    for name in ("dense", "bm25"):
        monkeypatch.setattr(index._changes.generation.retriever(name), "score", raising, raising=False)
    for seconds in (None, PLENTY):
        found = index.search(["ban den fin"], 5, time_budget=seconds)[0]
        assert [(hit.doc_id, list(hit.details)) for hit in found] == [("d03", ["docid"]), ("d05", ["docid"])]


# A thousand queries


class Case(NamedTuple):
    """A query and what is done to it.

    Attributes:
        part: Where the fault is.
        fault: Which.
        settings: Of the search.
    """

    part: str
    fault: str
    settings: dict[str, Any]


def cases() -> Iterator[tuple[str, Case]]:
    generator = np.random.default_rng(7)
    asked = [*WORDS, "zanzibar", "chapel", "painted"]
    for _ in range(N_QUERIES):
        part = str(generator.choice(["encoder", *RETRIEVERS]))
        fault = str(
            generator.choice(["raises", "hangs", "hangs", *(NONSENSE if part != "encoder" else ENCODER_FAULTS)])
        )
        settings: dict[str, Any] = {"k": int(generator.integers(1, 6))}
        if fault == "hangs" or generator.random() < 0.3:
            settings["time_budget"] = PLENTY
        if generator.random() < 0.5:
            settings["min_score"] = float(generator.choice([0.02, 0.1, 0.3, 0.5, 0.9]))
        if generator.random() < 0.7 or fault == "hidden by the filter":
            settings["filter"] = {"group": int(generator.integers(GROUPS))}
        if generator.random() < 0.3:
            settings["weights"] = {name: float(generator.integers(0, 3)) for name in RETRIEVERS}
        if generator.random() < 0.2:
            settings["diversity"] = 0.5
        yield " ".join(generator.choice(asked, size=int(generator.integers(1, 5)))), Case(part, fault, settings)


def test_a_thousand_queries_with_faults(index: HybridIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {document.doc_id: document.metadata["group"] for document in documents()}
    before, empty, planned = threading.active_count(), 0, list(cases())
    assert len(planned) == N_QUERIES
    for part in ["", "encoder", *RETRIEVERS]:
        released, n_hanging = Event(), 0
        for text, case in planned:
            hangs = case.fault == "hangs"
            if hangs != bool(part) or (hangs and case.part != part):
                continue
            n_hanging += hangs
            is_short = hangs and n_hanging <= MOST_OVERDUE
            settings = {**case.settings, **({"time_budget": SHORT} if is_short else {})}
            with monkeypatch.context() as patch:
                put_in(patch, index, case, released)
                try:
                    found = index.search([text], **settings)[0]
                    full = (
                        index.search([text], **{**settings, "min_score": None})[0] if "min_score" in settings else found
                    )
                except RetrievalError:
                    assert is_short, "all others were late as well"
                    continue
            check_answer(index, text, found, settings, groups)
            empty += not found
            if not is_short:
                lost = {"dense", "docid"} if case.part == "encoder" else {case.part}
                assert {name for hit in full for name in hit.failed} == lost
                expected = [hit for hit in full if hit.score >= settings.get("min_score", 0.0)]
                assert found == expected
            assert threading.active_count() - before <= MOST_OVERDUE
        if part:
            assert n_hanging > 2 * MOST_OVERDUE, "it was asked again and again while it hung"
        released.set()
        _until(lambda: threading.active_count() <= before)
    assert empty > 50, "min_score stopped answers"


def put_in(patch: pytest.MonkeyPatch, index: HybridIndex, case: Case, released: Event) -> None:
    faults: dict[str, Any] = {"raises": raising, "hangs": lambda *_: released.wait()}
    if case.part == "encoder":
        patch.setattr(index.encoder, "encode_queries", (faults | ENCODER_FAULTS)[case.fault])
    else:
        retriever = index._changes.generation.retriever(case.part)
        patch.setattr(retriever, "search", (faults | nonsense(index))[case.fault], raising=False)


def check_answer(
    index: HybridIndex, text: str, found: list[Hit], settings: dict[str, Any], groups: Mapping[str, int]
) -> None:
    assert len({hit.doc_id for hit in found}) == len(found) <= settings["k"]
    for hit in found:
        assert hit.doc_id in index.ids()
        assert groups[hit.doc_id] == settings.get("filter", {}).get("group", groups[hit.doc_id])
        assert 0.0 <= hit.score <= 1.0
        assert hit.score >= settings.get("min_score", 0.0)
        (name, detail), *others = hit.details.items()
        weights = settings.get("weights") or {"dense": 1, "bm25": 1}
        if not others and name != "docid" and weights[name] and any(weights.get(lost) for lost in hit.failed):
            assert hit.score == pytest.approx(lone_probability(index, name, text, detail.score))


def test_the_langchain_user_gets_nothing_off_topic_during_an_outage(embeddings: Any) -> None:
    texts = [f"Chapter {at} describes how pump number {at} is cleaned and started by its operator" for at in range(60)]
    retriever = HybridRetriever.from_texts(
        texts, ids=[str(at) for at in range(60)], embedding_model=embeddings, with_scores=True, fit=False
    )
    off_topic = "who painted the ceiling of the chapel in chapter house"
    assert retriever.invoke(off_topic, min_score=0.5) == []
    embeddings.before = raising
    assert retriever.invoke(off_topic, min_score=0.5) == []
    for document in retriever.invoke(off_topic):
        assert document.metadata["hybridret"]["score"] < 0.5
        assert document.metadata["hybridret"]["dense"]["failed"]
    (best, *_) = retriever.invoke("how is pump number 12 cleaned in chapter 12")
    assert best.id == "12"
    highest = max(each.metadata["hybridret"]["score"] for each in retriever.invoke(off_topic))
    assert best.metadata["hybridret"]["score"] > 3 * highest


# The reranker


class Stranger(BaseDocumentCompressor):
    """Gives a document that nobody handed to it."""

    def compress_documents(
        self, documents: Sequence[LangChainDocument], query: str, callbacks: Any = None
    ) -> list[LangChainDocument]:
        return [*documents[1:], LangChainDocument(id="d00", page_content="hidden", metadata={"group": 0})]


@pytest.mark.parametrize("fault", ["raises", "an error of the package", "hangs", "nonsense", "a stranger"])
def test_a_failing_reranker_leaves_the_first_stage_whatever_min_score_is(
    index: HybridIndex, released: Event, fault: str
) -> None:
    def refuse(query: str, texts: Sequence[str]) -> Any:
        raise InputError("too long")

    rerankers: dict[str, Any] = {
        "raises": raising,
        "an error of the package": refuse,
        "hangs": lambda query, texts: released.wait(),
        "nonsense": lambda query, texts: [math.nan] * len(texts),
        "a stranger": Stranger(),
    }
    before, plain = threading.active_count(), HybridRetriever(index=index, k=3, filter={"group": 1}, with_scores=True)
    second = plain.model_copy(update={"reranker": rerankers[fault]})
    bound = plain.invoke("ban den fin")[1].metadata["hybridret"]["score"]
    for at in range(30):
        seconds = None if at % 2 else PLENTY
        if fault == "hangs":
            seconds = 0.3 if at < MOST_OVERDUE else PLENTY
        settings = {} if at % 3 else {"min_score": bound}
        found, expected = (
            second.invoke("ban den fin", time_budget=seconds, **settings),
            plain.invoke("ban den fin", **settings),
        )
        assert [(each.id, each.metadata["hybridret"]["score"]) for each in found] == [
            (each.id, each.metadata["hybridret"]["score"]) for each in expected
        ]
        assert all(each.metadata["hybridret"]["reranker"]["failed"] for each in found)
    assert threading.active_count() - before <= MOST_OVERDUE


def _until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits for what threads are about to bring."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)
