"""Tevatron's JSON lines: ``query_id``, ``query``, ``positive_passages``, ``negative_passages``.

A passage is an object with ``docid``, ``title`` and ``text`` (Gao et al., "Tevatron: An efficient and flexible toolkit
for dense retrieval", 2022).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune.formats.pairs import records
from finetune.formats.problems import Problem
from finetune.formats.records import Faults, Parsed, Passage, Record


def read_tevatron(path: Path) -> Parsed:
    """Reads a file; passages have ids and texts."""
    for place, record in records(path):
        faults = Faults(place)
        query_id = faults.name(record.get("query_id"), "query_id")
        text = faults.text(record.get("query"), "query")
        positives = _passages(faults, record.get("positive_passages"), "positive_passages", needed=True)
        negatives = _passages(faults, record.get("negative_passages"), "negative_passages", needed=False)
        if faults.found:
            yield from faults.found
        else:
            answers = record.get("answers")
            answer = answers[0] if isinstance(answers, list) and answers and isinstance(answers[0], str) else None
            yield Record(faults.place, query_id, text, positives, negatives, answer=answer)


def _passages(faults: Faults, value: Any, name: str, needed: bool) -> list[Passage]:
    passages = []
    for place, item in enumerate(faults.items(value, name, needed)):
        if not isinstance(item, dict):
            faults.found.append(Problem(faults.place, f"{name}[{place}] must be an object with docid, title and text"))
            continue
        doc_id = faults.name(item.get("docid"), f"{name}[{place}].docid")
        text = faults.text(item.get("text"), f"{name}[{place}].text")
        title = item.get("title") or ""
        passages.append(Passage(doc_id, f"{title} {text}".strip()))
    return passages
