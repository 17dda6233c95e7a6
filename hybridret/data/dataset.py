"""Queries with judgements."""

from __future__ import annotations

import json
from collections.abc import Collection
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from hybridret.data.judgements import Fault, find_judgements, find_queries, read_judgements, read_queries
from hybridret.data.readers import PYTHON_DOCS
from hybridret.errors import CorpusError

Qrels = dict[str, dict[str, int]]
_HIGHEST_GRADE = 1000
"""trec_eval, which measures, takes memory and time for each grade up to the highest."""


class Dataset(NamedTuple):
    """Queries of one split and the documents that answer them.

    Attributes:
        queries: Text by query id; only queries that have a judgement.
        qrels: Per query id, grade by document id.
        dropped: How many queries were left out because no document that answers them is in the corpus.
    """

    queries: dict[str, str]
    qrels: Qrels
    dropped: int


def read_dataset(source: str, split: str, doc_ids: Collection[str]) -> Dataset:
    """Reads the queries of a split.

    Args:
        source: ``python-docs`` or a BEIR folder.
        split: Its name, for example ``test``.
        doc_ids: Ids of the documents that can be found; a judgement of another document is dropped, and a query
            that has none left.

    Returns:
        The queries.

    Raises:
        CorpusError: A file is missing or a line is at fault; the message names file and line.
    """
    queries, qrels = _python_docs(split) if source == PYTHON_DOCS else _beir(Path(source), split)
    kept = {}
    for query, grades in qrels.items():
        present = {doc: grade for doc, grade in grades.items() if doc in doc_ids}
        if any(grade > 0 for grade in present.values()):
            kept[query] = present
    if not kept:
        raise CorpusError(f"{source}: no query of split {split} is answered by a document of the index")
    return Dataset({query: queries[query] for query in kept}, kept, len(qrels) - len(kept))


def _python_docs(split: str) -> tuple[dict[str, str], Qrels]:
    queries, qrels, splits = {}, {}, set()
    text = resources.files("hybridret.data.python_docs").joinpath("questions.jsonl").read_text(encoding="utf-8")
    for line in text.splitlines():
        question = json.loads(line)
        splits.add(question["split"])
        if question["split"] == split:
            queries[question["_id"]], qrels[question["_id"]] = question["text"], question["answers"]
    if split not in splits:
        raise CorpusError(f"{PYTHON_DOCS} has no split {split}; there are {', '.join(sorted(splits))}")
    return queries, qrels


def _beir(folder: Path, split: str) -> tuple[dict[str, str], Qrels]:
    qrels: Qrels = {}
    places: dict[tuple[str, str], str] = {}
    for judgement in read_judgements(find_judgements(folder, split)):
        if isinstance(judgement, Fault):
            raise CorpusError(f"{judgement.place}: {judgement.message}")
        place, query, doc, grade = judgement
        if abs(grade) > _HIGHEST_GRADE:
            raise CorpusError(f"{place}: the grade must be at most {_HIGHEST_GRADE:,}, not {grade}")
        if qrels.setdefault(query, {}).setdefault(doc, grade) != grade:
            before = places[query, doc]
            raise CorpusError(f"{place}: query {query!r} and document {doc!r} have another grade before, at {before}")
        places.setdefault((query, doc), place)
        places.setdefault((query, ""), place)
    queries: dict[str, str] = {}
    path = find_queries(folder)
    for found in read_queries(path):
        if isinstance(found, Fault):
            raise CorpusError(f"{found.place}: {found.message}")
        if found.query_id in queries:
            raise CorpusError(f"{found.place}: query {found.query_id!r} is given twice")
        queries[found.query_id] = found.text
    if missing := [query for query in qrels if query not in queries]:
        raise CorpusError(f"{places[missing[0], '']}: query {missing[0]!r} is not in {path}")
    return queries, qrels
