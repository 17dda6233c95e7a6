"""Answers of a help page, which say it in other words than the questions do, while questions share theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.collection import Collection
from benchmarks.synthetic.patterns import document_id, make_collection, typed
from hybridret.data.tables import read_jsonl
from hybridret.types import Document

_FILE, _SEED = Path(__file__).parents[1] / "data" / "synthetic_faq.jsonl", 61


def faq() -> Collection:
    """Some fifty answers, each asked for by two questions as written and as typed; their common words mislead."""
    generator = np.random.default_rng(_SEED)
    documents: list[Document] = []
    queries: dict[str, str] = {}
    qrels = {}
    for at, (_, record) in enumerate(read_jsonl(_FILE)):
        documents.append(Document(document_id(at), record["answer"], {}))
        written = record["questions"]
        for number, text in enumerate(dict.fromkeys([*written, *(typed(each, generator) for each in written)])):
            queries[f"q{at}-{number}"], qrels[f"q{at}-{number}"] = text, {document_id(at): 1}
    return make_collection("faq", documents, queries, qrels)
