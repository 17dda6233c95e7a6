"""Tables of texts: sentence-transformers' anchor, positive and negatives, and questions with their answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from finetune.formats.problems import Problem
from finetune.formats.records import Faults, Parsed, Passage, Record
from hybridret.data.records import find_field, is_missing
from hybridret.data.tables import record_reader
from hybridret.errors import CorpusError

ANCHORS = ("anchor", "query", "question", "sentence1")
ANSWERS = ("answer", "response")
_NEGATIVE = re.compile(r"negative([_-]?\d+)?")
_MARGINS = ("score", "scores", "label", "margin")


def read_triplets(path: Path) -> Parsed:
    """Reads sentence-transformers' pairs, triplets and n-tuples: ``anchor``, ``positive``, ``negative_1`` and so on.

    ``score`` or ``label`` beside one negative is the margin by which a teacher prefers the positive, as for
    ``MarginMSELoss``; a list of them, the margins of all negatives. They become soft labels: 0 for the positive, and
    for a negative less its margin.
    """
    for place, record in records(path):
        faults = Faults(place)
        names = sorted(name for name in record if _NEGATIVE.fullmatch(name.lower()) and not is_missing(record[name]))
        text = faults.text(record.get(find_field(record, ANCHORS) or ""), "anchor")
        positive = faults.text(record.get(find_field(record, ["positive"]) or ""), "positive")
        negatives = [
            faults.text(each, name)
            for name in names
            for each in (record[name] if isinstance(record[name], list) else [record[name]])
        ]
        margins = _margins(record, len(negatives), faults)
        if faults.found:
            yield from faults.found
            continue
        scores = [0.0, *(-margin for margin in margins)] if margins else []
        yield Record(place, None, text, [Passage(None, positive)], [Passage(None, each) for each in negatives], scores)


def _margins(record: Mapping[str, Any], n_negatives: int, faults: Faults) -> list[float]:
    field = find_field(record, _MARGINS)
    if field is None or is_missing(record[field]):
        return []
    values = record[field] if isinstance(record[field], list) else [record[field]]
    if not n_negatives:
        message = f"{field} stands beside no negative: it is the margin between a positive and negatives"
        faults.found.append(Problem(faults.place, message))
        return []
    return faults.scores([_number(value) for value in values], field, n_negatives)


def _number(value: Any) -> Any:
    """A number that a table of texts holds; other values as they are."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def read_answers(path: Path) -> Parsed:
    """Reads questions with answers: the answer is the passage, or the ``context`` where there is one, as in SQuAD."""
    for place, record in records(path):
        faults = Faults(place)
        text = faults.text(record.get(find_field(record, ("question", "query")) or ""), "question")
        context = find_field(record, ["context"])
        given = record[find_field(record, ANSWERS) or "answer"]
        answer = faults.text(given[0] if isinstance(given, list) and given else given, "answer")
        passage = answer if context is None else faults.text(record[context], "context")
        if faults.found:
            yield from faults.found
        else:
            yield Record(place, None, text, [Passage(None, passage)], [], answer=None if context is None else answer)


def read_dpr(path: Path) -> Parsed:
    """Reads DPR's arrays: ``question``, ``positive_ctxs``, ``negative_ctxs``, ``hard_negative_ctxs``, ``answers``.

    Karpukhin et al., "Dense Passage Retrieval for Open-Domain Question Answering", EMNLP 2020.
    """
    for place, record in records(path):
        faults = Faults(place)
        text = faults.text(record.get("question"), "question")
        positives = _contexts(faults, record.get("positive_ctxs"), "positive_ctxs", True)
        negatives = [
            passage
            for name in ("hard_negative_ctxs", "negative_ctxs")
            for passage in _contexts(faults, record.get(name), name, False)
        ]
        if faults.found:
            yield from faults.found
            continue
        answers = record.get("answers")
        answer = answers[0] if isinstance(answers, list) and answers and isinstance(answers[0], str) else None
        yield Record(place, None, text, positives, negatives, answer=answer)


def _contexts(faults: Faults, value: Any, name: str, needed: bool) -> list[Passage]:
    passages = []
    for place, item in enumerate(faults.items(value, name, needed)):
        if not isinstance(item, dict):
            faults.found.append(Problem(faults.place, f"{name}[{place}] must be an object with title and text"))
            continue
        text = faults.text(item.get("text"), f"{name}[{place}].text")
        doc_id = next((item[field] for field in ("passage_id", "psg_id", "id") if item.get(field)), None)
        title = item.get("title") or ""
        passages.append(Passage(None if doc_id is None else str(doc_id), f"{title} {text}".strip()))
    return passages


def read_named(path: Path) -> Parsed:
    """Reads Tevatron 2's lines: ``query_id``, ``query_text``, ``positive_document_ids``, ``negative_document_ids``."""
    for place, record in records(path):
        faults = Faults(place)
        query_id = faults.name(record.get("query_id"), "query_id")
        text = faults.text(record.get("query_text") or record.get("query"), "query_text")
        positives, negatives = (
            [Passage(faults.name(item, name), None) for item in faults.items(record.get(name), name, needed)]
            for name, needed in (("positive_document_ids", True), ("negative_document_ids", False))
        )
        if faults.found:
            yield from faults.found
        else:
            yield Record(place, query_id, text, positives, negatives)


def records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of a file of labels, each after its place.

    Raises:
        CorpusError: The file cannot be read, or is no table and no JSON file.
    """
    reader: Callable[[Path], Iterator[tuple[int, dict[str, Any]]]] | None = record_reader(path)
    if reader is None:
        raise CorpusError(f"{path} is no file of labels: a .jsonl, .json, .csv, .tsv or .parquet file is wanted")
    return ((f"{path}:{number}", record) for number, record in reader(path))
