"""Questions from outside the domain, which tell whether a model has forgotten what it could."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources

from finetune.gate.exam import Exam, sampled
from hybridret.data.dataset import read_dataset
from hybridret.data.readers import PYTHON_DOCS, read_corpus
from hybridret.types import Document

_DOCUMENTS, _SAME, _SEED = 1000, 0.1, 0


def general_exam(domain: Sequence[Document]) -> Exam:
    """The exam of general ability: on Python's documentation, or on everyday matters where that is the domain.

    Args:
        domain: The corpus that is trained on; where a tenth of it stands in Python's documentation, that is the domain.
    """
    documents = read_corpus(PYTHON_DOCS)
    known = {document.text for document in documents}
    if sum(document.text in known for document in domain) < _SAME * len(domain):
        return _python_docs(documents)
    return everyday_exam()


def everyday_questions() -> list[str]:
    """The questions of ``everyday_exam``, which hardly any corpus answers."""
    return list(everyday_exam().queries.values())


def everyday_exam() -> Exam:
    """Hand-written questions on everyday matters, several passages to each topic."""
    text = resources.files("finetune.gate").joinpath("everyday.jsonl").read_text(encoding="utf-8")
    documents, queries, qrels = [], {}, {}
    for line in text.splitlines():
        record = json.loads(line)
        documents.append(Document(record["_id"], record["text"], {}))
        queries[record["_id"]] = record["question"]
        qrels[record["_id"]] = {record["_id"]: 1}
    return Exam("everyday matters", documents, queries, qrels)


def _python_docs(documents: list[Document]) -> Exam:
    """The dev questions over the documents that were judged for them and others drawn at random, 1,000 in all."""
    dataset = read_dataset(PYTHON_DOCS, "dev", {document.doc_id for document in documents})
    return sampled(Exam("Python's documentation", documents, dataset.queries, dataset.qrels), _DOCUMENTS, _SEED)
