"""BEIR's files: ``queries.jsonl``, judgements, and answers, in a folder or one by one."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from finetune.formats.problems import Problem
from finetune.formats.records import Faults, Parsed, Passage, Record
from hybridret.data.judgements import Fault, read_judgements, read_queries
from hybridret.data.tables import read_jsonl


def read_beir(queries: Path, qrels: Path, answers: Path | None) -> Parsed:
    """Reads questions; passages are ids without texts.

    Args:
        queries: What ``read_queries`` reads; a query without a judgement is passed over.
        qrels: What ``read_judgements`` reads. Grades above 0 are positives, others negatives.
        answers: JSON lines with ``_id`` and ``answers``, of which the first is taken, or ``answer``.
    """
    judged: dict[str, dict[str, int]] = {}
    first_named: dict[str, str] = {}
    for judgement in read_judgements(qrels):
        if isinstance(judgement, Fault):
            yield Problem(*judgement)
            continue
        place, query_id, doc_id, grade = judgement
        first_named.setdefault(query_id, place)
        if judged.setdefault(query_id, {}).setdefault(doc_id, grade) != grade:
            yield Problem(place, f"query {query_id!r} and document {doc_id!r} are judged twice, differently")
    texts: dict[str, tuple[str, str]] = {}
    for query in read_queries(queries):
        if isinstance(query, Fault):
            yield Problem(*query)
            continue
        query_id, faults = query.query_id, Faults(query.place)
        if query_id not in judged:
            continue
        text = faults.text(query.text, "text")
        if query_id in texts and not faults.found:
            faults.found.append(Problem(faults.place, f"query id {query_id!r} is given twice"))
        yield from faults.found
        texts.setdefault(query_id, (faults.place, text))
    known = yield from _read_answers(answers)
    for query_id, grades in judged.items():
        if query_id not in texts:
            yield Problem(first_named[query_id], f"query {query_id!r} is not in {queries}")
            continue
        place, text = texts[query_id]
        if not text:
            continue
        right = {doc_id: grade for doc_id, grade in grades.items() if grade > 0}
        positives = [Passage(doc_id, None) for doc_id in right]
        negatives = [Passage(doc_id, None) for doc_id, grade in grades.items() if grade <= 0]
        if positives:
            yield Record(
                place, query_id, text, positives, negatives, answer=known.get(query_id), grades=list(right.values())
            )
        else:
            yield Problem(place, f"query {query_id!r} has no judgement above 0", fatal=False)


def _read_answers(path: Path | None) -> Generator[Problem, None, dict[str, str]]:
    known: dict[str, str] = {}
    for number, record in [] if path is None else read_jsonl(path):
        faults = Faults(f"{path}:{number}")
        query_id = faults.name(record.get("_id"), "_id")
        given = record["answer"] if "answer" in record else record.get("answers")
        if isinstance(given, list):
            given = given[0] if given else None
        answer = faults.text(given, "the answer")
        yield from faults.found
        if not faults.found:
            known.setdefault(query_id, answer)
    return known
