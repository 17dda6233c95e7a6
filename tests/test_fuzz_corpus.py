"""Damaged corpora, queries and judgements: each is read, or refused by file and line; nothing else happens."""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hybridret.cli import main
from hybridret.data.dataset import read_dataset
from hybridret.data.readers import read_corpus
from hybridret.dense import TransformerEncoder
from hybridret.errors import HybridretError
from hybridret.hybrid import HybridIndex

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


def write_all(folder: Path) -> None:
    for name, lines in LINES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def damaged_line(rng: random.Random, line: bytes) -> bytes:
    content = bytearray(line)
    for _ in range(rng.choice([1, 1, 2])):
        place = rng.randrange(len(content) + 1)
        until = min(len(content), place + rng.choice([0, 1, 5]))
        new = [rng.choice(PIECES).encode("utf-8", "surrogatepass"), bytes([rng.randrange(256)]), b""]
        content[place:until] = rng.choice(new)
    return bytes(content)


@pytest.mark.parametrize("name", LINES)
def test_a_refusal_names_the_damaged_line_or_one_that_it_contradicts(tmp_path: Path, name: str) -> None:
    write_all(tmp_path)
    lines = [line.encode() for line in LINES[name]]
    rng = random.Random(f"3 {name}")
    refused = 0
    for _ in range(500):
        at = rng.randrange(len(lines))
        new = damaged_line(rng, lines[at])
        (tmp_path / name).write_bytes(b"\n".join([*lines[:at], new, *lines[at + 1 :]]) + b"\n")
        message = refusal(tmp_path, name)
        if message is None:
            continue
        refused += 1
        assert "\n" not in message
        match = re.match(rf"{re.escape(str(tmp_path))}/([a-z/.]+):(\d+): ", message)
        assert match, message
        number, last = int(match[2]), at + 1 + new.count(b"\n")
        is_later = "given twice" in message or name == "corpus.csv"
        if match[1] == name:
            assert at < number <= (len(lines) + last if is_later else last), (at, new, message)
        else:
            assert (name, match[1]) == ("queries.jsonl", "qrels/test.tsv"), message
    assert refused > 100


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> tuple[int, str, str]:
    out, error = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "argv", ["hybridret", *map(str, arguments)])
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return code, out.getvalue(), error.getvalue()


def assert_refused(code: int, error: str) -> None:
    assert code == 2
    assert "Traceback" not in error
    assert [line.startswith("hybridret: ") for line in error.splitlines()] == [True], error


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.csv"])
def test_the_command_line_indexes_what_is_read_and_refuses_the_rest(
    tmp_path: Path, name: str, tiny_encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridret.dense.make_encoder", lambda *_, **__: tiny_encoder)
    rng = random.Random(f"4 {name}")
    codes = []
    for number in range(60):
        (tmp_path / name).write_bytes(damaged(rng, LINES[name]))
        code, _, error = command(monkeypatch, "index", tmp_path / name, "-o", tmp_path / str(number))
        codes.append(code)
        if code == 0:
            wanted = {document.doc_id for document in read_corpus(str(tmp_path / name))}
            assert HybridIndex.open(tmp_path / str(number)).ids() == wanted
        else:
            assert_refused(code, error)
            assert not (tmp_path / str(number)).exists()
    assert set(codes) == {0, 2}


@pytest.mark.parametrize("name", ["queries.jsonl", "qrels/test.tsv"])
def test_the_command_line_measures_what_is_read_and_refuses_the_rest(
    tmp_path: Path, name: str, tiny_encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridret.persistence.load_model", lambda _: tiny_encoder._original)
    monkeypatch.setattr("hybridret.evaluation._TIMED_QUERIES", 1)
    write_all(tmp_path)
    HybridIndex.build(read_corpus(str(tmp_path)), tiny_encoder, path=tmp_path / "b")
    rng = random.Random(f"5 {name}")
    codes = []
    for _ in range(80):
        (tmp_path / name).write_bytes(damaged(rng, LINES[name]))
        code, out, error = command(monkeypatch, "evaluate", tmp_path / "b", tmp_path, "--json")
        codes.append(code)
        if code == 0:
            metrics = json.loads(out)["metrics"]
            assert set(metrics) == {"bm25", "dense", "docid", "hybrid"}
            assert all(0 <= value <= 1 for one in metrics.values() for key, value in one.items() if "@" in key)
        else:
            assert_refused(code, error)
    assert set(codes) == {0, 2}


@pytest.mark.parametrize(
    "grade", ["-1", "0", "1000", "1001", "2147483648", "-9223372036854775809", "9" * 40, "1_0", " 1", "٣"]
)
def test_any_grade_is_measured_or_refused_by_line(
    tmp_path: Path, grade: str, tiny_encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridret.persistence.load_model", lambda _: tiny_encoder._original)
    write_all(tmp_path)
    (tmp_path / "qrels" / "test.tsv").write_text(f"q1\ta\t1\nq1\tb\t{grade}\n", encoding="utf-8")
    HybridIndex.build(read_corpus(str(tmp_path)), tiny_encoder, path=tmp_path / "b")
    code, out, error = command(monkeypatch, "evaluate", tmp_path / "b", tmp_path, "--json")
    if code == 0:
        assert 0 <= json.loads(out)["metrics"]["bm25"]["nDCG@10"] <= 1
    else:
        assert_refused(code, error)
        assert "test.tsv:2: " in error
