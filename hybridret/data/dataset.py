"""Queries with judgements."""

from __future__ import annotations

import json
from collections.abc import Collection
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from hybridret.data.readers import PYTHON_DOCS
from hybridret.data.tables import read_jsonl, read_lines
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
    judgements = folder / "qrels" / f"{split}.tsv"
    if not judgements.is_file():
        present = ", ".join(sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))) or "none"
        raise CorpusError(f"{folder} has no split {split} (qrels/{split}.tsv); there are {present}")
    qrels, lines = _read_qrels(judgements)
    queries = {}
    for number, record in read_jsonl(folder / "queries.jsonl"):
        query, text = record.get("_id"), record.get("text")
        if not isinstance(query, str) or not isinstance(text, str):
            raise CorpusError(f"{folder / 'queries.jsonl'}:{number}: _id and text must be strings")
        if query in queries:
            raise CorpusError(f"{folder / 'queries.jsonl'}:{number}: query {query!r} is there twice")
        queries[query] = text
    if missing := [query for query in qrels if query not in queries]:
        place = f"{judgements}:{lines[missing[0]]}"
        raise CorpusError(f"{place}: query {missing[0]!r} is not in {folder / 'queries.jsonl'}")
    return queries, qrels


def _read_qrels(path: Path) -> tuple[Qrels, dict[str, int]]:
    """Judgements, and the line of each query's first one."""
    qrels: Qrels = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), 1):
        fields = line.rstrip("\r\n").split("\t")
        if not line.strip() or (number == 1 and fields[0] == "query-id"):
            continue
        try:
            query, doc, grade = fields
            if abs(int(grade)) > _HIGHEST_GRADE:
                raise ValueError("its grade is too high")
            qrels.setdefault(query, {})[doc] = int(grade)
            lines.setdefault(query, number)
        except ValueError as error:
            raise CorpusError(
                f"{path}:{number}: query-id, corpus-id and a whole number up to {_HIGHEST_GRADE:,} are wanted: {line!r}"
            ) from error
    return qrels, lines
