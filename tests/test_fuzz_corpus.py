"""Damaged corpora, queries and judgements: each is read, or refused by file and line; nothing else happens."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hybridret.data.dataset import read_dataset
from hybridret.data.readers import read_corpus
from hybridret.errors import HybridretError

N_EACH = 1200
LINES = {
    "corpus.jsonl": [
        '{"_id": "a", "title": "Pumps", "text": "Press reset.", "year": 2020, "tags": ["x", null, 1.5]}',
        '{"_id": "b", "title": "", "text": "Zwölf kg — 猫"}',
        '{"_id": "c", "text": "no title", "nested": {"deep": {"er": true}}}',
    ],
    "corpus.csv": [
        "_id,title,text,year",
        'a,Pumps,"Press ""reset"", wait",2020',
        "b,,Zwölf kg — 猫,2021",
        "c,x,y,2022",
    ],
    "queries.jsonl": ['{"_id": "q1", "text": "how to reset?"}', '{"_id": "q2", "text": "how heavy?"}'],
    "qrels/test.tsv": ["query-id\tcorpus-id\tscore", "q1\ta\t1", "q2\tb\t2"],
}
PIECES = [
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "NaN",
    "1e999",
    "-",
    "\t",
    "\r",
    "\n",
    "\0",
]
PIECES += [
    "\ufeff",
    "\u2028",
    "é",
    "🦓",
    "9" * 400,
    "[" * 3000,
    '{"a":' * 3000,
    "true",
    "_id",
    "text",
    " ",
    "''",
    '"""',
]


def damaged(rng: random.Random, lines: list[str]) -> bytes:
    """A file of these lines with one to three things wrong."""
    lines = list(lines)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        line = lines[at]
        place = rng.randrange(len(line) + 1)
        until = rng.randrange(place, len(line) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            lines[at] = line[:place] + rng.choice(PIECES) + line[place:]
        elif kind == 1:
            lines[at] = line[:place] + line[until:]
        elif kind == 2:
            lines[at] = line[:place] + rng.choice(PIECES) + line[until:]
        elif kind == 3:
            lines.insert(at, line)
        elif kind == 4 and len(lines) > 1:
            del lines[at]
        else:
            other = rng.choice(lines)
            lines[at] = line[:place] + other[rng.randrange(len(other) + 1) :]
    content = bytearray("\n".join(lines).encode("utf-8", "surrogatepass") + rng.choice([b"\n", b""]))
    if content and rng.random() < 0.2:
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content)


def refusal(folder: Path, name: str) -> str | None:
    try:
        if name.startswith("corpus"):
            read_corpus(str(folder / name))
        else:
            read_dataset(str(folder), "test", {"a", "b", "c"})
    except HybridretError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", LINES)
def test_a_damaged_file_is_read_or_refused_by_name(tmp_path: Path, name: str, write_jsonl: Callable[..., Path]) -> None:
    for other, lines in LINES.items():
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).write_text("\n".join(lines) + "\n", encoding="utf-8")
    rng = random.Random(f"1 {name}")
    refused, placed = 0, 0
    for _ in range(N_EACH):
        (tmp_path / name).write_bytes(damaged(rng, LINES[name]))
        message = refusal(tmp_path, name)
        if message is not None:
            refused += 1
            assert str(tmp_path) in message
            placed += re.search(rf"{re.escape(name)}:\d+", message) is not None
    assert N_EACH // 10 < refused < N_EACH
    assert placed > refused // 2


def test_a_line_that_is_read_comes_back_as_json_has_it(tmp_path: Path) -> None:
    rng = random.Random(2)
    read = 0
    for _ in range(300):
        content = damaged(rng, LINES["corpus.jsonl"])
        (tmp_path / "corpus.jsonl").write_bytes(content)
        try:
            documents = read_corpus(str(tmp_path / "corpus.jsonl"))
        except HybridretError:
            continue
        records = [json.loads(line) for line in content.decode("utf-8-sig").split("\n") if line.strip()]
        assert len(documents) == len(records)
        for document, record in zip(documents, records, strict=True):
            if isinstance(record.get("_id"), str):
                assert document.doc_id == record["_id"]
        read += 1
    assert read > 30
