"""LlamaIndex's pairs (``EmbeddingQAFinetuneDataset``): an object of ``queries``, ``corpus``, ``relevant_docs``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from finetune.formats.problems import Problem
from finetune.formats.records import Faults, Parsed, Passage, Record
from hybridret.data.tables import read_lines
from hybridret.errors import CorpusError

FIELDS = ("queries", "corpus", "relevant_docs")


def read_llama_index(path: Path) -> Parsed:
    """Reads a file; passages have ids and texts, places name the query since the file has one line."""
    content = load_object(path)
    if content is None:
        raise CorpusError(f"{path}: not one JSON object")
    for name in FIELDS:
        if not isinstance(content.get(name), dict):
            raise CorpusError(f"{path}: {name} must be an object")
    queries, corpus, relevant = (content[name] for name in FIELDS)
    for query_id in relevant:
        if query_id not in queries:
            yield Problem(f"{path}: query {query_id!r}", "is in relevant_docs but not in queries")
    for query_id, query in queries.items():
        faults = Faults(f"{path}: query {query_id!r}")
        text = faults.text(query, "the query")
        names = faults.texts(relevant.get(query_id), "relevant_docs", needed=True)
        passages = [_passage(faults, name, corpus) for name in names]
        if faults.found:
            yield from faults.found
        else:
            yield Record(faults.place, query_id, text, passages, [])


def _passage(faults: Faults, name: str, corpus: dict[str, Any]) -> Passage:
    if name and name not in corpus:
        faults.found.append(Problem(faults.place, f"document {name!r} is not in corpus"))
        return Passage(name, None)
    return Passage(name, faults.text(corpus.get(name), f"corpus[{name!r}]"))


def load_object(path: Path) -> dict[str, Any] | None:
    """The JSON object that a file is; None where it is something else, such as JSON lines."""
    try:
        content = json.loads("".join(read_lines(path)))
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
