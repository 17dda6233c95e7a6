"""Texts that embedding models were trained to see before queries and documents."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hybridret.errors import InputError

_log = logging.getLogger(__name__)


class Prompts(NamedTuple):
    """Texts put before queries and documents."""

    query: str
    document: str


BGE_PROMPTS = {
    "en": Prompts("Represent this sentence for searching relevant passages: ", ""),
    "zh": Prompts("为这个句子生成表示以用于检索相关文章：", ""),
}
"""The query instructions that BGE models were trained with, by the language tag in their names (Xiao et al.,
"C-Pack: Packaged Resources To Advance General Chinese Embedding", 2023, appendix)."""

TASK_PROMPTS = {
    "qa": Prompts(
        "Represent this query for retrieving relevant documents: ",
        "Represent this document for retrieval: ",
    ),
    "icl": Prompts(
        "Convert this example into vector to look for useful examples: ",
        "Convert this example into vector for retrieval: ",
    ),
    "chat": Prompts(
        "Embed this dialogue to find useful historical dialogues: ",
        "Embed this historical dialogue for retrieval: ",
    ),
    "lrlm": Prompts(
        "Embed this text chunk for finding useful historical chunks: ",
        "Embed this historical text chunk for retrieval: ",
    ),
    "tool": Prompts(
        "Transform this user request for fetching helpful tool descriptions: ",
        "Transform this tool description for retrieval: ",
    ),
    "convsearch": Prompts(
        "Encode this query and context for searching relevant passages: ",
        "Encode this passage for retrieval: ",
    ),
}
"""LLM-Embedder's tasks (Zhang et al., "Retrieve Anything To Augment Large Language Models", 2023, table 6)."""

_SEARCH = "Represent this sentence for searching relevant passages: "
_INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "


class Family(NamedTuple):
    """Models that were trained with the same prompts.

    Attributes:
        name: Found in a model's name, which is in lower case.
        prompts: Their prompts.
        pooling: How they pool; a model that pools otherwise is another one of the same name.
    """

    name: re.Pattern[str]
    prompts: Prompts
    pooling: str | None = None


FAMILIES = (
    Family(re.compile("llm-embedder"), TASK_PROMPTS["qa"], "cls"),
    Family(re.compile(r"bge-(small|base|large)-zh(?!-noinstruct)"), BGE_PROMPTS["zh"], "cls"),
    Family(re.compile(r"bge-(small|base|large)-en"), BGE_PROMPTS["en"], "cls"),
    Family(re.compile(r"(multilingual-e5-\w+-instruct|e5-mistral-7b-instruct)"), Prompts(_INSTRUCT, "")),
    Family(re.compile(r"(?<![a-z])e5-(small|base|large)"), Prompts("query: ", "passage: "), "mean"),
    Family(re.compile("mxbai-embed-large"), Prompts(_SEARCH, ""), "cls"),
    Family(re.compile("nomic-embed-text"), Prompts("search_query: ", "search_document: "), "mean"),
    Family(re.compile(r"arctic-embed-[a-z]+-v2"), Prompts("query: ", ""), "cls"),
    Family(re.compile("arctic-embed"), Prompts(_SEARCH, ""), "cls"),
    Family(re.compile(r"(qwen3-embedding|gte-qwen2-[\w.]+-instruct)"), Prompts(_INSTRUCT, ""), "lasttoken"),
)
"""Known families, by the cards of their models on the Hugging Face hub; GTE's first models and BGE-M3 want none."""

_OWN = (
    ("query", ("document", "passage")),
    ("retrieval.query", ("retrieval.passage",)),
    ("search_query", ("search_document",)),
    ("s2p_query", ()),
    ("web_search_query", ()),
)
"""What models' own configurations call the prompts of queries and documents (sentence-transformers, Jina, Nomic,
Stella)."""


def choose_prompts(
    model: str,
    own: Mapping[str, str | None],
    task: str | None = None,
    query_prompt: str | None = None,
    document_prompt: str | None = None,
    origins: Sequence[str] = (),
    pooling: str | None = None,
) -> Prompts:
    """Chooses the prompts of a model and a task.

    What the caller gives wins; then the task's prompts; then those the model brings along; then those of its family,
    which shows in its name, in the hub's cache (``models--BAAI--bge-small-en-v1.5/snapshots/HASH``), or in where its
    configuration says that it is from; else there are none.

    Args:
        model: Name or path of the model.
        own: The prompts in the model's own configuration, by their name there.
        task: One of ``TASK_PROMPTS``.
        query_prompt: Text before queries.
        document_prompt: Text before documents.
        origins: Other names of the model.
        pooling: How it pools token vectors: ``cls``, ``mean`` and so on; None: unknown.

    Returns:
        The prompts, empty where none is wanted.

    Raises:
        InputError: The task is unknown.
    """
    if task is not None and task not in TASK_PROMPTS:
        raise InputError(f"unknown task {task!r}; known are {', '.join(TASK_PROMPTS)}")
    chosen = TASK_PROMPTS[task] if task is not None else _own_prompts(own)
    if chosen is None:
        chosen = _prompts_of_family([model, *origins], pooling)
    return Prompts(
        chosen.query if query_prompt is None else query_prompt,
        chosen.document if document_prompt is None else document_prompt,
    )


def origins_of(model: Any) -> list[str]:
    """Where a SentenceTransformer says that it is from: its card's base model, and the path in its configuration."""
    config = getattr(getattr(model[0], "auto_model", None), "config", None)
    names = (getattr(model.model_card_data, "base_model", None), getattr(config, "_name_or_path", None))
    return [str(name) for name in names if name]


def pooling_of(model: Any) -> str | None:
    """How a SentenceTransformer pools token vectors, such as ``cls`` or ``mean``; None where no module says so."""
    modes = (getattr(module, "pooling_mode", None) for module in model)
    found = next((mode for mode in modes if mode), None)
    return str(found) if isinstance(found, str) else None


def _own_prompts(own: Mapping[str, str | None]) -> Prompts | None:
    for query, documents in _OWN:
        document = next((own[name] for name in documents if own.get(name)), None)
        if own.get(query) or document:
            return Prompts(own.get(query) or "", document or "")
    return None


def _prompts_of_family(names: Sequence[str], pooling: str | None) -> Prompts:
    for name in names:
        parts = re.split(r"[\\/]", name.lower().rstrip("\\/"))
        called = [parts[-1], *(part for part in parts if part.startswith("models--"))]
        family = next((each for each in FAMILIES if any(map(each.name.search, called))), None)
        if family is None:
            continue
        if pooling is None or family.pooling in (None, pooling):
            return family.prompts
        _log.warning(
            "%s has the name of a model that was trained with prompts, but pools otherwise (%s): it gets none; give "
            "them by --query-prompt (query_prompt) where they are wanted",
            name,
            pooling,
        )
        break
    return Prompts("", "")
