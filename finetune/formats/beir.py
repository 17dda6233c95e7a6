"""BEIR's files: ``queries.jsonl``, judgements, and answers, in a folder or one by one."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

from finetune.formats.problems import Problem
from finetune.formats.records import Faults, Parsed, Passage, Record
from hybridret.data.tables import read_jsonl, read_lines


def read_beir(queries: Path, qrels: Path, answers: Path | None) -> Parsed:
    """Reads questions; passages are ids without texts.

    Args:
        queries: JSON lines with ``_id`` and ``text``; a query without a judgement is passed over.
        qrels: Tab-separated query id, document id and grade, under a header or not; TREC's four columns are known too.
            Grades above 0 are positives, others negatives.
        answers: JSON lines with ``_id`` and ``answers``, of which the first is taken, or ``answer``.
    """
    judged: dict[str, dict[str, int]] = {}
    first_named: dict[str, str] = {}
    for judgement in _read_qrels(qrels):
        if isinstance(judgement, Problem):
            yield judgement
            continue
        place, query_id, doc_id, grade = judgement
        first_named.setdefault(query_id, place)
        if judged.setdefault(query_id, {}).setdefault(doc_id, grade) != grade:
            yield Problem(place, f"query {query_id!r} and document {doc_id!r} are judged twice, differently")
    texts: dict[str, tuple[str, str]] = {}
    for number, record in read_jsonl(queries):
        faults = Faults(f"{queries}:{number}")
        query_id = faults.name(record.get("_id"), "_id")
        if not faults.found and query_id not in judged:
            continue
        text = faults.text(record.get("text"), "text")
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
        positives = [Passage(doc_id, None) for doc_id, grade in grades.items() if grade > 0]
        negatives = [Passage(doc_id, None) for doc_id, grade in grades.items() if grade <= 0]
        if positives:
            yield Record(place, query_id, text, positives, negatives, answer=known.get(query_id))
        else:
            yield Problem(place, f"query {query_id!r} has no judgement above 0", fatal=False)


def _read_qrels(path: Path) -> Iterator[tuple[str, str, str, int] | Problem]:
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split("\t") if "\t" in line else line.split()
        fields = [field.strip() for field in fields]
        if not line.strip() or (number == 1 and fields[0] in ("query-id", "query_id", "qid")):
            continue
        place = f"{path}:{number}"
        if len(fields) not in (3, 4):
            yield Problem(place, f"query id, document id and grade are wanted, not {line.strip()!r}")
            continue
        try:
            grade = int(fields[-1])
        except ValueError:
            yield Problem(place, f"the grade must be a whole number, not {fields[-1]!r}")
            continue
        yield place, fields[0], fields[-2], grade


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
