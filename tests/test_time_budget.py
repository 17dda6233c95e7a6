"""Which errors are failures, what a database that fails says, and how many threads a time budget costs."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import numpy as np
import pytest

from hybridret import HybridRetriever
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder
from hybridret.errors import BundleError, InferenceError, InputError, MissingExtraError, ModelError, RetrievalError
from hybridret.guard import MOST_OVERDUE, SETUP_ERRORS, ask, is_overdue
from hybridret.hybrid import HybridIndex
from hybridret.types import Document

WORDS = [f"{first}{vowel}n" for first in "bdfgklmprst" for vowel in "aeiou"]
PLENTY = 600.0


def documents() -> list[Document]:
    generator = np.random.default_rng(0)
    return [Document(f"d{at:02}", " ".join(generator.choice(WORDS, size=6)), {"group": at % 4}) for at in range(40)]


@pytest.fixture
def index(embeddings: Any) -> HybridIndex:
    return HybridIndex.build(documents(), EmbeddingsEncoder(embeddings), Config(docid_levels=2, docid_codes=8))


@pytest.fixture
def released() -> Iterator[Event]:
    """Set at the end, so that threads left behind come to theirs."""
    event = Event()
    yield event
    event.set()


def raising(*_: Any) -> Any:
    raise RuntimeError("broken")


@pytest.mark.parametrize("seconds", [None, PLENTY])
@pytest.mark.parametrize("error", [*SETUP_ERRORS, InferenceError, RetrievalError, MemoryError, ValueError])
def test_errors_of_the_setup_go_through_and_all_others_are_failures(
    error: type[Exception], seconds: float | None
) -> None:
    def refuse() -> None:
        raise error("no")

    if error in (InputError, BundleError, MissingExtraError, ModelError):
        with pytest.raises(error, match="no"):
            ask({"one": refuse}, seconds)
    else:
        assert ask({"one": refuse}, seconds).failures == {"one": f"{error.__name__}: no"}
    assert ask({"one": refuse}, seconds, raised=()).failures == {"one": f"{error.__name__}: no"}


def test_a_part_that_ends_its_thread_is_a_failure_too() -> None:
    def leave() -> None:
        raise SystemExit(3)

    assert ask({"one": leave}, PLENTY).failures == {"one": "SystemExit: 3"}


def test_an_encoder_that_is_not_there_is_said_and_not_left_out(embeddings: Any, tmp_path: Any) -> None:
    HybridIndex.build(documents(), EmbeddingsEncoder(embeddings), path=tmp_path / "b")
    opened = HybridIndex.open(tmp_path / "b")
    for seconds in (None, PLENTY):
        with pytest.raises(ModelError, match="give it as embedding_model"):
            opened.search(["ban"], time_budget=seconds)


def test_an_encoder_that_was_down_on_opening_comes_back(embeddings: Any, tmp_path: Any) -> None:
    HybridIndex.build(documents(), EmbeddingsEncoder(embeddings), path=tmp_path / "b")
    embeddings.before = raising
    opened = HybridIndex.open(tmp_path / "b", EmbeddingsEncoder(embeddings))
    assert "cannot encode: broken" in opened.search(["ban"])[0][0].failed["dense"]
    embeddings.before = lambda: None
    assert opened.search(["ban"])[0][0].failed == {}


def test_partial_results_can_be_refused(index: HybridIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    strict = HybridRetriever(index=index, allow_partial_results=False)
    assert strict.invoke("ban den fin")
    monkeypatch.setattr(index._changes.generation.dense, "search", raising, raising=False)
    with pytest.raises(RetrievalError, match="the answer would be without dense: RuntimeError: broken"):
        strict.invoke("ban den fin")
    with pytest.raises(RetrievalError, match="allow_partial_results=True takes it"):
        index.search(["ban", "den"], allow_partial_results=False)
    assert strict.invoke("ban den fin", allow_partial_results=True)
    monkeypatch.undo()
    monkeypatch.setattr(index.encoder, "encode_queries", raising)
    with pytest.raises(RetrievalError, match="the answer would be without dense: the encoder failed"):
        strict.invoke("ban den fin")


# The documents' database


class Broken:
    """A connection whose disk is gone."""

    in_transaction = False

    def execute(self, *_: Any) -> Any:
        raise sqlite3.OperationalError("disk I/O error")


def test_a_database_that_fails_is_one_clear_error(index: HybridIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    store, retriever = index._changes.store, HybridRetriever(index=index)
    assert retriever.invoke("ban", filter={"group": 1})
    faults: dict[str, Any] = {
        "disk I/O error": lambda patch: patch.setattr(store, "_reader", Broken()),
        "RuntimeError: broken": lambda patch: patch.setattr(store, "by_key", raising, raising=False),
        "documents are missing that the index knows": lambda patch: patch.setattr(store, "by_key", lambda keys: {}),
    }
    for message, put_in in faults.items():
        for seconds in (None, PLENTY):
            with monkeypatch.context() as patch:
                put_in(patch)
                with pytest.raises(BundleError, match=message):
                    retriever.invoke("ban", time_budget=seconds)


def test_a_database_that_hangs_is_an_error_in_time(
    index: HybridIndex, monkeypatch: pytest.MonkeyPatch, released: Event
) -> None:
    retriever, before = HybridRetriever(index=index), threading.active_count()
    monkeypatch.setattr(index._changes.store, "by_key", lambda keys: released.wait())
    for at in range(20):
        reason = "its time was over" if at < MOST_OVERDUE else "overdue and have not ended"
        with pytest.raises(BundleError, match=f"the documents' database could not be read: .*{reason}"):
            retriever.invoke("ban", time_budget=0.3 if at < MOST_OVERDUE else PLENTY)
    assert threading.active_count() - before <= MOST_OVERDUE


# Threads


def test_a_part_that_hangs_is_refused_at_once_until_its_calls_end(released: Event) -> None:
    owner, hang = object(), {"slow": released.wait}
    before = threading.active_count()
    for _ in range(MOST_OVERDUE):
        assert ask(hang, 0.01, owner).failures == {"slow": "TimeoutError: its time was over"}
    for _ in range(100):
        asked = ask({**hang, "quick": lambda: True}, PLENTY, owner)
        assert asked.results == {"quick": True}
        assert "4 calls before this one are overdue" in asked.failures["slow"]
    assert threading.active_count() - before <= MOST_OVERDUE
    assert ask({"slow": lambda: 1}, PLENTY, object()).results == {"slow": 1}, "another one's part of the same name"
    released.set()
    _until(lambda: not is_overdue("slow", owner))
    assert ask({"slow": lambda: 2}, PLENTY, owner).results == {"slow": 2}


def test_a_forked_process_begins_without_overdue_calls(run_python: Callable[..., Any]) -> None:
    code = """
import os, threading
from hybridret.guard import MOST_OVERDUE, ask, is_overdue
owner, never = object(), threading.Event()
for _ in range(MOST_OVERDUE):
    ask({"slow": never.wait}, 0.01, owner)
assert is_overdue("slow", owner)
child = os.fork()
if not child:
    os._exit(0 if ask({"slow": lambda: 1}, 60.0, owner).results == {"slow": 1} else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert "overdue" not in done.stderr


def test_many_callers_at_once_leave_no_more_behind_than_they_are(released: Event) -> None:
    owner, before, callers = object(), threading.active_count(), 12
    for _ in range(3):
        threads = [threading.Thread(target=ask, args=({"slow": released.wait}, 0.05, owner)) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert threading.active_count() - before <= callers


def test_docid_does_not_wait_for_a_dense_search_that_is_refused(
    index: HybridIndex, monkeypatch: pytest.MonkeyPatch, released: Event
) -> None:
    monkeypatch.setattr(index._changes.generation.dense, "search", lambda *_: released.wait(), raising=False)
    for _ in range(MOST_OVERDUE):
        index.search(["ban"], time_budget=0.4)
    start = time.monotonic()
    hit = index.search(["ban"], time_budget=PLENTY)[0][0]
    assert time.monotonic() - start < 0.1 * PLENTY, "guides are waited for until .65 of the budget"
    assert list(hit.details) == ["bm25", "docid"]


@pytest.mark.parametrize("seconds", [math.inf, 1e10, 1e300, np.float64(60), np.float32(60), 60])
def test_a_budget_without_end_is_none(index: HybridIndex, seconds: Any) -> None:
    expected = index.search(["ban den"], 3)
    assert index.search(["ban den"], 3, time_budget=seconds) == expected
    retriever = HybridRetriever(index=index, k=3)
    plain = retriever.invoke("ban den")
    ways: list[dict[str, Any]] = [{}, {"reranker": lambda query, texts: np.arange(len(texts), 0, -1)}]
    for settings in ways:
        found = retriever.model_copy(update=settings).invoke("ban den", time_budget=seconds, history=["fin"][:0])
        assert [document.id for document in found] == [document.id for document in plain]
    split = retriever.model_copy(update={"split_queries": True})
    assert split.invoke("ban den", time_budget=seconds) == split.invoke("ban den")


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, -math.inf, "1", True])
@pytest.mark.parametrize(
    "settings", [{}, {"reranker": raising}, {"split_queries": True}], ids=["plain", "reranker", "split"]
)
def test_a_budget_that_is_no_time_is_refused_wherever_it_is_given(
    index: HybridIndex, seconds: Any, settings: dict[str, Any]
) -> None:
    retriever = HybridRetriever(index=index, **settings)
    with pytest.raises(InputError, match=rf"time_budget must be a number of seconds above 0, not {seconds!r}"):
        retriever.invoke("ban", time_budget=seconds)


@pytest.mark.parametrize("bound", [math.nan, "much", [0.5]])
def test_a_min_score_that_is_no_number_is_refused(index: HybridIndex, bound: Any) -> None:
    with pytest.raises(InputError, match="min_score must be a number, not"):
        HybridRetriever(index=index).invoke("ban", min_score=bound)


def test_a_language_model_is_given_one_budget_for_all_that_it_is_asked(index: HybridIndex, released: Event) -> None:
    prompts: list[str] = []

    def hang(prompt: str) -> str:
        prompts.append(prompt)
        released.wait()
        return ""

    retriever = HybridRetriever(index=index, split_queries=True, n_variants=2, llm=hang)
    start, seconds = time.monotonic(), 2.0
    (found,) = retriever.batch(["ban den"], time_budget=seconds, history=["fin"])
    assert time.monotonic() - start < 1.2 * seconds
    assert len(prompts) == 1, "the time of the others was over before they were asked"
    assert found[0].metadata["hybridret"]["understanding"]["failed"]


def _until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits for what threads are about to bring."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)
