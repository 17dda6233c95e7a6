"""What is asked in place of a query, by rules and by a language model, and how the answers come together."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from threading import Event
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage

from hybridret import HybridRetriever
from hybridret.bm25 import Tokenizer
from hybridret.errors import InputError
from hybridret.guard import Budget
from hybridret.understanding import Turn, Understanding, averaged, covered, in_context, turns, united

TWO = "Which animals make honey? Where do fish swim?"
PARTS = ["Which animals make honey?", "Where do fish swim?"]


class Scripted:
    """A language model that notes its prompts and answers by what the prompt begins with."""

    def __init__(self, **replies: str) -> None:
        self.replies, self.prompts = replies, list[str]()

    def __call__(self, prompt: str) -> str:
        self.prompts.append(prompt)
        (reply,) = [reply for start, reply in self.replies.items() if prompt.startswith(start)]
        return reply


def ids(documents: list[Any]) -> list[str]:
    return [document.id for document in documents]


# Understanding alone


def test_without_options_a_query_is_what_it_is() -> None:
    assert Understanding()(TWO) == ([TWO], [[]], None)


def test_a_split_query_is_one_for_each_thing() -> None:
    assert Understanding(split=True)(TWO).queries == PARTS


def test_without_a_language_model_the_users_last_turns_follow_each_part() -> None:
    history = [Turn("user", text) for text in "abcd"] + [Turn("assistant", "no")]
    understood = Understanding(split=True)(TWO, history)
    assert understood.queries == [f"{part} d c b" for part in PARTS]
    assert in_context("q", []) == "q"


def test_a_language_model_puts_the_conversation_into_the_query() -> None:
    llm = Scripted(Rewrite="How heavy is the\npump?")
    history = [Turn("user", "tell me of the pump"), Turn("assistant", "It pumps.")]
    assert Understanding(llm=llm)("how heavy?", history).queries == ["How heavy is the pump?"]
    (prompt,) = llm.prompts
    assert "user: tell me of the pump\nassistant: It pumps." in prompt
    assert "Last question: how heavy?" in prompt


def test_a_query_that_needs_no_context_gets_none() -> None:
    llm = Scripted(Rewrite="how heavy is lead?")
    assert Understanding(llm=llm)("how heavy is lead?", [Turn("user", "hello")]).queries == ["how heavy is lead?"]


def test_a_language_model_splits_and_finds_other_wordings() -> None:
    llm = Scripted(If="1. bees\n2) fish\n\n- bees", Word="x\ny\nz")
    understood = Understanding(split=True, n_variants=2, llm=llm)("bees, fish")
    assert understood == (["bees", "fish"], [["x", "y"], ["x", "y"]], None)


def test_a_chat_model_is_asked_too() -> None:
    understood = Understanding(split=True, llm=FakeListChatModel(responses=["bees\nfish"]))("bees, fish")
    assert understood.queries == ["bees", "fish"]


def test_content_of_several_blocks_is_read() -> None:
    class Blocks:
        def invoke(self, input: str) -> AIMessage:
            return AIMessage([{"type": "text", "text": "bees\n"}, {"type": "text", "text": "fish"}])

    assert Understanding(split=True, llm=Blocks())("bees, fish").queries == ["bees", "fish"]


def failing(prompt: str) -> str:
    raise RuntimeError("quota")


FAULTS: dict[str, tuple[Any, str]] = {
    "raises": (failing, "the language model: RuntimeError: quota"),
    "says nothing": (lambda prompt: " \n ", "the language model: it said nothing"),
    "no text": (lambda prompt: 5, "the language model: TypeError: a int is no text"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_where_the_language_model_fails_rules_stand_in(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    llm, why = FAULTS[fault]
    with caplog.at_level(logging.WARNING):
        understood = Understanding(split=True, n_variants=2, llm=llm)(TWO, [Turn("user", "animals")])
    assert understood == ([f"{part} animals" for part in PARTS], [[], []], why)


def test_more_parts_than_a_query_can_have_are_not_believed() -> None:
    llm = Scripted(If="\n".join("abcdefghi"))
    assert Understanding(split=True, llm=llm)(TWO).queries == PARTS


@pytest.fixture
def released() -> Iterator[Event]:
    event = Event()
    yield event
    event.set()


def test_a_language_model_that_hangs_is_not_waited_for(released: Event) -> None:
    def hang(prompt: str) -> str:
        released.wait()
        return "late"

    understood = Understanding(split=True, llm=hang)(TWO, budget=Budget(0.05))
    assert understood == (PARTS, [[], []], "the language model: TimeoutError: its time was over")
    assert Understanding(split=True, llm=hang)(TWO, budget=Budget(1e-9)) == understood


def test_other_wordings_need_a_language_model() -> None:
    with pytest.raises(InputError, match="n_variants needs llm"):
        Understanding(n_variants=1)


def test_conversations_are_read_in_every_usual_form() -> None:
    history = ["a", ("assistant", "b"), {"role": "user", "content": "c"}, HumanMessage("d"), AIMessage("e")]
    told = [("user", "a"), ("assistant", "b"), ("user", "c"), ("human", "d"), ("ai", "e")]
    assert turns(history) == told


@pytest.mark.parametrize("history", ["one text", [5], [("user",)], [{"text": "a"}], [("user", 5)]])
def test_what_is_no_conversation_is_refused(history: Any) -> None:
    with pytest.raises(InputError, match="history"):
        turns(history)


# Wordings of one query


def test_wordings_are_averaged_and_brought_to_unit_length() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8], [1, 0], [-1, 0]], dtype=np.float32)
    found = averaged(vectors, [2, 1, 2])
    expected = [[1 / np.sqrt(2), 1 / np.sqrt(2)], [0.6, 0.8], [0, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert found.dtype == np.float32


def test_wordings_are_united_without_repeating_terms() -> None:
    tokenizer = Tokenizer()
    assert united(["heavy pumps", "the pump's weight", "weights of pump.parts"], tokenizer) == (
        "heavy pumps weight pump.parts"
    )
    assert united(["alone"], tokenizer) == "alone"


# Coverage


def merged(answers: list[list[tuple[str, float]]], k: int) -> list[tuple[str, float]]:
    return covered(answers, k, lambda item: item[0], lambda item: item[1])


def test_every_answers_best_items_are_there() -> None:
    first, second = [("a", 0.9), ("b", 0.8), ("c", 0.7)], [("x", 0.2), ("b", 0.85)]
    assert merged([first, second], 4) == [("a", 0.9), ("x", 0.2), ("b", 0.85), ("c", 0.7)]
    assert merged([second, first], 2) == [("a", 0.9), ("x", 0.2)]
    assert merged([first], 2) == first[:2]
    assert merged([[], second], 5) == second
    assert merged([[], []], 5) == []


def test_as_many_items_come_as_there_are_up_to_k() -> None:
    generator = np.random.default_rng(0)
    for _ in range(100):
        answers = []
        for _ in range(int(generator.integers(1, 5))):
            drawn = generator.choice(20, size=int(generator.integers(0, 8)), replace=False)
            answers.append(
                [(f"d{at}", float(score)) for at, score in zip(drawn, generator.random(len(drawn)), strict=True)]
            )
        for answer in answers:
            answer.sort(key=lambda item: -item[1])
        k = int(generator.integers(1, 12))
        found = [name for name, _ in merged(answers, k)]
        everything = {name for answer in answers for name, _ in answer}
        assert len(found) == len(set(found)) == min(k, len(everything))
        if k >= len(answers):
            assert all(answer[0][0] in found for answer in answers if answer)


# Through the retriever


@pytest.fixture
def retriever(retriever: HybridRetriever) -> HybridRetriever:
    return retriever.model_copy(update={"with_scores": True})


def test_each_part_of_a_query_is_answered(retriever: HybridRetriever) -> None:
    split = retriever.model_copy(update={"split_queries": True})
    found = split.invoke(TWO, k=4)
    alone = [retriever.invoke(part, k=4) for part in PARTS]
    assert {alone[0][0].id, alone[1][0].id} <= set(ids(found)[:2])
    for document in found:
        told = document.metadata["hybridret"]["understanding"]
        assert told["queries"] == [
            part for part, answer in zip(PARTS, alone, strict=True) if document.id in ids(answer)
        ]
        best = max(each.metadata["hybridret"]["score"] for answer in alone for each in answer if each.id == document.id)
        assert document.metadata["hybridret"]["score"] == best


def test_a_query_for_one_thing_is_answered_as_ever(retriever: HybridRetriever) -> None:
    split = retriever.model_copy(update={"split_queries": True})
    for query in ("who purrs", "which animals swim and also fly?"):
        expected, found = retriever.invoke(query), split.invoke(query)
        assert ids(found) == ids(expected)
        assert [each.metadata["hybridret"]["score"] for each in found] == [
            each.metadata["hybridret"]["score"] for each in expected
        ]


def test_a_conversation_comes_with_the_call(retriever: HybridRetriever) -> None:
    found = retriever.invoke("what do they eat?", history=["tell me about cows", ("assistant", "cats purr")])
    expected = retriever.invoke("what do they eat? tell me about cows")
    assert ids(found) == ids(expected)
    assert found[0].metadata["hybridret"]["understanding"] == {"queries": ["what do they eat? tell me about cows"]}
    with pytest.raises(InputError, match="history must be a list"):
        retriever.invoke("what?", history="cows")


def test_other_wordings_are_averaged_and_united(retriever: HybridRetriever, embeddings: Any) -> None:
    index = retriever.index
    plain = index.search(["honey"], 3)[0]
    assert index.search(["honey"], 3, variants=[[]])[0] == plain
    assert index.search(["honey"], 3, variants=[["  "]])[0] == plain
    found = index.search(["honey", "milk"], 8, variants=[["flower bees"], []])
    assert found[1] == index.search(["milk"], 8)[0]
    united_terms = {hit.doc_id: hit.details["bm25"].score for hit in index.search(["honey flower bees"], 8)[0]}
    vectors = averaged(index.encoder.encode_queries(["honey", "flower bees"]), [2])[0]
    documents = {document.doc_id: document.text for document in index.get(sorted(index.ids()))}
    for hit in found[0]:
        assert hit.details["bm25"].score == united_terms[hit.doc_id]
        cosine = float(index.encoder.encode_documents([documents[hit.doc_id]])[0] @ vectors)
        assert hit.details["dense"].score == pytest.approx(cosine, abs=1e-6)


@pytest.mark.parametrize("variants", [[], [["a"], ["b"]], ["text"]])
def test_wordings_that_do_not_fit_the_queries_are_refused(retriever: HybridRetriever, variants: Any) -> None:
    with pytest.raises(InputError, match="variants must hold a list"):
        retriever.index.search(["honey"], 3, variants=variants)


def test_the_language_models_wordings_are_asked(retriever: HybridRetriever) -> None:
    llm = Scripted(Word="flower bees")
    found = retriever.model_copy(update={"n_variants": 1, "llm": llm}).invoke("honey", k=3)
    expected = retriever.index.search(["honey"], 3, variants=[["flower bees"]])[0]
    assert [(each.id, each.metadata["hybridret"]["score"]) for each in found] == [
        (hit.doc_id, hit.score) for hit in expected
    ]


def test_a_failing_language_model_costs_no_answer_and_is_said(retriever: HybridRetriever) -> None:
    options = {"split_queries": True, "n_variants": 2, "llm": failing}
    found = retriever.model_copy(update=options).invoke(TWO, k=3)
    assert ids(found) == ids(retriever.model_copy(update={"split_queries": True}).invoke(TWO, k=3))
    for document in found:
        told = document.metadata["hybridret"]["understanding"]
        assert told["failed"] == "the language model: RuntimeError: quota"


def test_a_hanging_language_model_leaves_time_for_the_answer(retriever: HybridRetriever, released: Event) -> None:
    def hang(prompt: str) -> str:
        released.wait()
        return "late"

    slow = HybridRetriever(index=retriever.index, k=3, with_scores=True, split_queries=True, llm=hang, time_budget=2.0)
    found = slow.invoke(TWO)
    assert len(found) == 3
    assert not any("failed" in found[0].metadata["hybridret"][name] for name in ("dense", "bm25", "docid"))


async def test_batches_coroutines_filters_thresholds_and_rerankers_work_on_parts(retriever: HybridRetriever) -> None:
    seen: list[str] = []

    def reranker(query: str, texts: list[str]) -> list[float]:
        seen.append(query)
        return [-len(text) for text in texts]

    split = retriever.model_copy(update={"split_queries": True, "k": 3})
    alone = [split.invoke(query) for query in (TWO, "who purrs")]
    assert split.batch([TWO, "who purrs"]) == alone == await split.abatch([TWO, "who purrs"])
    assert ids(split.invoke(TWO, filter={"legs": 0})) == ["fish"]
    assert split.invoke(TWO, min_score=1.1) == []
    split.model_copy(update={"reranker": reranker}).invoke(TWO)
    assert seen == PARTS


@pytest.mark.parametrize("query", ["", "   "])
def test_a_blank_query_still_finds_nothing(retriever: HybridRetriever, query: str) -> None:
    assert retriever.model_copy(update={"split_queries": True}).invoke(query) == []


@pytest.mark.parametrize(("settings", "told"), [({"n_variants": 2}, "n_variants needs llm"), ({"llm": 5}, "not a int")])
def test_options_that_cannot_be_are_refused(retriever: HybridRetriever, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        HybridRetriever(index=retriever.index, **settings)
