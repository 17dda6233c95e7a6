"""Faults put into each retriever in turn: an answer comes all the same, in time, and says what was left out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import numpy as np
import pytest

from hybridret import HybridRetriever
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder
from hybridret.errors import InputError, RetrievalError
from hybridret.guard import Budget, ask
from hybridret.hybrid import HybridIndex
from hybridret.types import RETRIEVERS, Document, Run

WORDS = [f"{first}{vowel}n" for first in "bdfgklmprst" for vowel in "aeiou"]
N_QUERIES = 100


def documents() -> list[Document]:
    generator = np.random.default_rng(0)
    return [Document(f"d{at:02}", " ".join(generator.choice(WORDS, size=6)), {}) for at in range(40)]


def queries() -> list[str]:
    generator = np.random.default_rng(1)
    return [" ".join(generator.choice(WORDS, size=3)) for _ in range(N_QUERIES)]


@pytest.fixture
def index(embeddings: Any) -> HybridIndex:
    config = Config(docid_levels=2, docid_codes=8, depth=10)
    return HybridIndex.build(documents(), EmbeddingsEncoder(embeddings), config)


@pytest.fixture
def released() -> Iterator[Event]:
    """Set at the end, so that threads left behind come to theirs."""
    event = Event()
    yield event
    event.set()


def part(index: HybridIndex, name: str) -> Any:
    return index._changes.generation.retriever(name)


def raising(*_: Any) -> Any:
    raise RuntimeError("broken")


GARBAGE: dict[str, Callable[..., Any]] = {
    "raises": raising,
    "no numbers": lambda queries, *_: [Run(np.arange(3), np.full(3, np.nan)) for _ in queries.texts],
    "endless": lambda queries, *_: [Run(np.arange(3), np.array([np.inf, 1.0, 0.0])) for _ in queries.texts],
    "rows out of range": lambda queries, *_: [Run(np.array([0, 10**6]), np.array([2.0, 1.0])) for _ in queries.texts],
    "negative rows": lambda queries, *_: [Run(np.array([-1]), np.array([2.0])) for _ in queries.texts],
    "too few answers": lambda *_: [],
    "more rows than scores": lambda queries, *_: [Run(np.arange(3), np.zeros(2)) for _ in queries.texts],
    "nothing at all": lambda *_: None,
}


@pytest.mark.parametrize("fault", GARBAGE)
@pytest.mark.parametrize("name", RETRIEVERS)
def test_a_failing_search_is_left_out_of_every_answer(
    index: HybridIndex, monkeypatch: pytest.MonkeyPatch, name: str, fault: str
) -> None:
    monkeypatch.setattr(part(index, name), "search", GARBAGE[fault], raising=False)
    answers = index.search(queries(), 5)
    assert [len(hits) for hits in answers] == [5] * N_QUERIES
    others = [other for other in RETRIEVERS if other != name]
    for hits in answers:
        for hit in hits:
            assert list(hit.details) == others
            assert list(hit.failed) == [name]
            assert np.isfinite(hit.score)


@pytest.mark.parametrize("name", RETRIEVERS)
def test_what_is_left_answers_as_if_it_had_been_asked_alone(
    index: HybridIndex, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    others = [other for other in RETRIEVERS if other != name]
    expected = [index.search([query], 5, retrievers=others)[0] for query in queries()[:10]]
    monkeypatch.setattr(part(index, name), "search", raising, raising=False)
    for hits, wanted in zip(index.search(queries()[:10], 5), expected, strict=True):
        assert [hit._replace(failed={}) for hit in hits] == [hit._replace(failed={}) for hit in wanted]


@pytest.mark.parametrize("name", RETRIEVERS)
def test_a_failing_scorer_is_left_out_too(index: HybridIndex, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(part(index, name), "score", lambda *_: [np.array([np.nan])], raising=False)
    for hits in index.search(queries()[:20], 5):
        assert {tuple(hit.failed) for hit in hits} == {(name,)}
        assert len(hits) == 5


def test_only_the_query_that_fails_loses_a_retriever(index: HybridIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    bm25, poison = part(index, "bm25"), queries()[3]
    search = bm25.search

    def choosy(asked: Any, *more: Any) -> Any:
        if poison in asked.texts:
            raise RuntimeError("poisoned")
        return search(asked, *more)

    healthy = index.search(queries()[:6], 5)
    monkeypatch.setattr(bm25, "search", choosy, raising=False)
    found = index.search(queries()[:6], 5)
    assert found[:3] + found[4:] == healthy[:3] + healthy[4:]
    assert {hit.failed["bm25"] for hit in found[3]} == {"RuntimeError: poisoned"}


@pytest.mark.parametrize("name", RETRIEVERS)
def test_a_hanging_retriever_does_not_hold_the_answer_up(
    index: HybridIndex, monkeypatch: pytest.MonkeyPatch, released: Event, name: str
) -> None:
    budget = 1.0
    monkeypatch.setattr(part(index, name), "search", lambda *_: released.wait(), raising=False)
    start = time.monotonic()
    hits = index.search(queries()[:1], 5, time_budget=budget)[0]
    assert time.monotonic() - start < 1.2 * budget
    assert {tuple(hit.failed.items()) for hit in hits} == {((name, "TimeoutError: its time was over"),)}


@pytest.mark.parametrize("fault", [*GARBAGE, "hangs"])
def test_docid_searches_unguided_where_dense_fails(
    index: HybridIndex, monkeypatch: pytest.MonkeyPatch, released: Event, fault: str
) -> None:
    monkeypatch.setattr("hybridret.generative.retriever.EXHAUSTIVE_UP_TO", 0)
    seen, docid = [], part(index, "docid")
    search = docid.search
    monkeypatch.setattr(docid, "search", lambda *asked: seen.append(asked[-1]) or search(*asked), raising=False)
    expected = index.search(queries()[:1], 5, retrievers=["docid", "bm25"])[0]
    index.search(queries()[:1], 5)
    assert seen[0] is None
    assert seen[1] is not None
    monkeypatch.setattr(part(index, "dense"), "search", GARBAGE.get(fault, lambda *_: released.wait()), raising=False)
    hits = index.search(queries()[:1], 5, retrievers=["docid", "bm25", "dense"], time_budget=1.0)[0]
    assert seen[2] is None
    assert [hit._replace(failed={}) for hit in hits] == expected
    assert set(hits[0].failed) == {"dense"}


def test_a_hanging_encoder_leaves_bm25(embeddings: Any, index: HybridIndex, released: Event) -> None:
    expected = index.search(["ban den"], 5, retrievers=["bm25"])[0]
    embeddings.before = lambda: released.wait() and None
    hits = index.search(["ban den"], 5, time_budget=1.0)[0]
    assert [(hit.doc_id, hit.details) for hit in hits] == [(hit.doc_id, hit.details) for hit in expected]
    assert hits[0].failed["dense"] == "the encoder failed: TimeoutError: its time was over"


def test_with_time_enough_the_answer_is_the_usual_one(index: HybridIndex) -> None:
    assert index.search(queries()[:5], 5, time_budget=60.0) == index.search(queries()[:5], 5)


def test_all_failing_is_an_error_that_names_them(index: HybridIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RETRIEVERS:
        monkeypatch.setattr(part(index, name), "search", raising, raising=False)
    with pytest.raises(RetrievalError, match=r"dense: RuntimeError: broken; bm25: .*; docid: "):
        index.search(["ban"], 5)


def test_the_langchain_user_sees_documents_a_flag_and_a_warning(
    index: HybridIndex, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(part(index, "dense"), "search", raising, raising=False)
    with caplog.at_level(logging.WARNING):
        found = HybridRetriever(index=index, time_budget=30.0, with_scores=True).invoke("ban den", k=3)
    assert len(found) == 3
    told = found[0].metadata["hybridret"]
    assert told["dense"] == {"rank": None, "score": None, "failed": "RuntimeError: broken"}
    assert "dense was left out of an answer: RuntimeError: broken" in caplog.text
    plain = HybridRetriever(index=index).batch(["ban den", "den"], k=3)
    for document in (document for found in plain for document in found):
        assert document.metadata == {"hybridret": {"dense": {"failed": "RuntimeError: broken"}}}
    monkeypatch.undo()
    assert all(document.metadata == {} for document in HybridRetriever(index=index).invoke("ban den", k=3))


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_budget_that_is_no_time_is_refused(index: HybridIndex, seconds: float) -> None:
    with pytest.raises(InputError, match="time_budget must be a number of seconds above 0"):
        index.search(["ban"], 5, time_budget=seconds)


def test_errors_of_the_package_are_answers_and_go_through() -> None:
    def refuse() -> None:
        raise InputError("no")

    for seconds in (None, 5.0):
        with pytest.raises(InputError, match="no"):
            ask({"one": refuse}, seconds)


def test_a_budget_counts_down_from_its_making() -> None:
    assert Budget(None).left(0.5) is None
    budget = Budget(1000.0)
    left = budget.left(0.5)
    assert left is not None
    assert 400 < left <= 500
    assert Budget(1e-9).left(1.0) == 0.0


def test_an_empty_run_of_every_retriever_is_an_empty_answer(
    index: HybridIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(asked: Any, *_: Any) -> list[Run]:
        return [Run(np.zeros(0, dtype=np.int64), np.zeros(0)) for _ in asked.texts]

    for name in RETRIEVERS:
        monkeypatch.setattr(part(index, name), "search", nothing, raising=False)
    assert index.search(queries()[:3], 5) == [[], [], []]
    assert index.search(queries()[:1], 5, weights={"dense": 1, "docid": 1}, diversity=0.5) == [[]]
    assert index.search(queries()[:1], 5, retrievers=["bm25"]) == [[]]


@pytest.mark.parametrize("missing", ["dense", "bm25"])
def test_where_a_part_of_the_ranker_is_missing_the_configured_weights_decide(
    index: HybridIndex, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    index.fit()
    names = [name for name in RETRIEVERS if name != missing]
    by_rule = [index.search([query], 5, retrievers=names, weights=index.config.weights)[0] for query in queries()[:10]]
    assert [index.search([query], 5, retrievers=names)[0] for query in queries()[:10]] == by_rule
    monkeypatch.setattr(part(index, missing), "search", raising, raising=False)
    for found, wanted in zip(index.search(queries()[:10], 5), by_rule, strict=True):
        assert [hit._replace(failed={}) for hit in found] == [hit._replace(failed={}) for hit in wanted]
