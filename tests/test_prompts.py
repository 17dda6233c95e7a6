"""The prompts that models and tasks want, in the words of their papers."""

from __future__ import annotations

import pytest

from hybridret.errors import InputError
from hybridret.models import DEFAULT_MODEL
from hybridret.prompts import choose_prompts

LLM_EMBEDDER = "BAAI/llm-embedder"
BGE_EN = "Represent this sentence for searching relevant passages: "
BGE_ZH = "为这个句子生成表示以用于检索相关文章："


def test_task_qa() -> None:
    expected = ("Represent this query for retrieving relevant documents: ", "Represent this document for retrieval: ")
    assert choose_prompts(LLM_EMBEDDER, {}, task="qa") == expected


def test_task_icl() -> None:
    assert choose_prompts(LLM_EMBEDDER, {}, task="icl") == (
        "Convert this example into vector to look for useful examples: ",
        "Convert this example into vector for retrieval: ",
    )


def test_task_chat() -> None:
    assert choose_prompts(LLM_EMBEDDER, {}, task="chat") == (
        "Embed this dialogue to find useful historical dialogues: ",
        "Embed this historical dialogue for retrieval: ",
    )


def test_task_lrlm() -> None:
    assert choose_prompts(LLM_EMBEDDER, {}, task="lrlm") == (
        "Embed this text chunk for finding useful historical chunks: ",
        "Embed this historical text chunk for retrieval: ",
    )


def test_task_tool() -> None:
    assert choose_prompts(LLM_EMBEDDER, {}, task="tool") == (
        "Transform this user request for fetching helpful tool descriptions: ",
        "Transform this tool description for retrieval: ",
    )


def test_task_convsearch() -> None:
    assert choose_prompts(LLM_EMBEDDER, {}, task="convsearch") == (
        "Encode this query and context for searching relevant passages: ",
        "Encode this passage for retrieval: ",
    )


@pytest.mark.parametrize("model", [LLM_EMBEDDER, "/models/LLM-Embedder"])
def test_llm_embedder_without_a_task_answers_questions(model: str) -> None:
    assert choose_prompts(model, {}) == choose_prompts(model, {}, task="qa")


@pytest.mark.parametrize(
    "model", ["BAAI/bge-small-en-v1.5", "BAAI/bge-large-en", "/models/bge-base-en-v1.5", "bge-small-en-v1.5"]
)
def test_english_bge_wants_its_query_instruction_and_none_for_documents(model: str) -> None:
    assert choose_prompts(model, {}) == (BGE_EN, "")


@pytest.mark.parametrize("model", ["BAAI/bge-large-zh-v1.5", "BAAI/bge-small-zh", "./bge-base-zh-v1.5"])
def test_chinese_bge_wants_its_query_instruction_and_none_for_documents(model: str) -> None:
    assert choose_prompts(model, {}) == (BGE_ZH, "")


@pytest.mark.parametrize("model", [DEFAULT_MODEL, "BAAI/bge-m3", "/bge-small-en/my-model", "intfloat/other-zh"])
def test_other_models_have_no_prompts(model: str) -> None:
    assert choose_prompts(model, {}) == ("", "")
    assert choose_prompts(model, {"query": "", "document": ""}) == ("", "")


def test_prompts_of_the_model_itself_win_over_its_name() -> None:
    own = {"query": "ask: ", "document": "tell: "}
    assert choose_prompts("BAAI/bge-small-en-v1.5", own) == ("ask: ", "tell: ")
    assert choose_prompts("BAAI/bge-small-en-v1.5", {"query": "ask: "}) == ("ask: ", "")
    assert choose_prompts("intfloat/e5-small", {"query": "query: ", "passage": "passage: "}) == ("query: ", "passage: ")


def test_empty_prompts_of_the_model_itself_leave_its_name_to_decide() -> None:
    assert choose_prompts("BAAI/bge-small-en-v1.5", {"query": "", "document": ""}) == (BGE_EN, "")


def test_task_wins_over_prompts_of_the_model_itself() -> None:
    chosen = choose_prompts("BAAI/bge-small-en-v1.5", {"query": "ask: ", "document": "tell: "}, task="tool")
    assert chosen == choose_prompts(LLM_EMBEDDER, {}, task="tool")


def test_prompts_given_win_over_everything_one_by_one() -> None:
    own = {"query": "ask: ", "document": "tell: "}
    assert choose_prompts("m", own, "qa", query_prompt="q: ", document_prompt="d: ") == ("q: ", "d: ")
    assert choose_prompts("m", own, query_prompt="q: ") == ("q: ", "tell: ")
    assert choose_prompts("m", own, document_prompt="") == ("ask: ", "")
    assert choose_prompts("BAAI/bge-small-en-v1.5", {}, query_prompt="") == ("", "")


def test_unknown_task_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'poetry'.*qa, icl, chat, lrlm, tool, convsearch"):
        choose_prompts(LLM_EMBEDDER, {}, task="poetry")
