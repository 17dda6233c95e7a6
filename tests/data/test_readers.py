"""Reading corpora: every format gives the same documents, and a fault is named by file and line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hybridret.data.readers import find_source, read_corpus
from hybridret.data.tables import read_jsonl
from hybridret.errors import CorpusError
from hybridret.types import Document

RECORDS: list[dict[str, Any]] = [
    {"_id": "cat", "title": "Cat", "text": 'purrs, "often"\nand sleeps', "legs": 4},
    {"_id": "fish", "title": "", "text": "swims", "legs": 0},
]
DOCUMENTS = [
    Document("cat", 'Cat purrs, "often"\nand sleeps', {"title": "Cat", "legs": 4}),
    Document("fish", "swims", {"legs": 0}),
]


def test_a_beir_folder_and_its_corpus_file_give_title_space_body_and_other_fields(
    tmp_path: Path, write_jsonl: Callable[..., Path]
) -> None:
    file = write_jsonl(tmp_path / "zoo" / "corpus.jsonl", *RECORDS)
    assert read_corpus(str(file)) == DOCUMENTS
    assert read_corpus(str(file.parent)) == DOCUMENTS


def test_csv_gives_the_same_documents_with_text_values(tmp_path: Path) -> None:
    with (tmp_path / "zoo.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, RECORDS[0])
        writer.writeheader()
        writer.writerows(RECORDS)
    wanted = [
        document._replace(metadata={**document.metadata, "legs": legs})
        for document, legs in zip(DOCUMENTS, ["4", "0"], strict=True)
    ]
    assert read_corpus(str(tmp_path / "zoo.csv")) == wanted


def test_parquet_gives_the_same_documents(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "zoo.parquet")
    assert read_corpus(str(tmp_path / "zoo.parquet")) == DOCUMENTS


@pytest.mark.parametrize("id_field", ["_id", "id", "doc_id"])
@pytest.mark.parametrize("text_field", ["text", "page_content", "content", "contents"])
def test_other_names_of_the_fields_are_known(
    tmp_path: Path, write_jsonl: Callable[..., Path], id_field: str, text_field: str
) -> None:
    file = write_jsonl(tmp_path / "zoo.jsonl", {id_field: "cat", text_field: "purrs"})
    assert read_corpus(str(file)) == [Document("cat", "purrs", {})]


def test_whole_number_ids_become_strings_and_missing_ids_file_and_line(
    tmp_path: Path, write_jsonl: Callable[..., Path]
) -> None:
    file = write_jsonl(tmp_path / "zoo.jsonl", {"_id": 7, "text": "a"}, {"text": "b"})
    assert [document.doc_id for document in read_corpus(str(file))] == ["7", "zoo.jsonl:2"]


def test_null_metadata_are_left_out(tmp_path: Path, write_jsonl: Callable[..., Path]) -> None:
    file = write_jsonl(tmp_path / "zoo.jsonl", {"_id": "cat", "text": "purrs", "title": None, "legs": None})
    assert read_corpus(str(file)) == [Document("cat", "purrs", {})]


def test_byte_order_mark_blank_lines_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    lines = [json.dumps(record) for record in RECORDS]
    (tmp_path / "zoo.jsonl").write_bytes("\r\n\r\n".join(["\ufeff" + lines[0], lines[1], ""]).encode())
    assert read_corpus(str(tmp_path / "zoo.jsonl")) == DOCUMENTS


def test_a_folder_of_text_is_read_in_order_chunked_and_named_by_path(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.txt").write_text("short", encoding="utf-8")
    (tmp_path / "deep" / "a.md").write_text("# One\n\n" + "word " * 300 + "\n\n# Two\n\nend", encoding="utf-8")
    (tmp_path / "ignored.bin").write_text("pass", encoding="utf-8")
    documents = read_corpus(str(tmp_path))
    assert documents[0] == Document("b.txt", "short", {"source": "b.txt"})
    assert [document.doc_id for document in documents[1:]] == [f"deep/a.md#{i}" for i in range(len(documents) - 1)]
    assert len(documents) >= 3
    for number, document in enumerate(documents[1:]):
        heading = "Two" if number == len(documents) - 2 else "One"
        assert document.metadata == {"source": "deep/a.md", "heading": heading, "parent": "deep/a.md", "chunk": number}
        assert len(document.text) <= 1000


def test_a_collection_is_found_by_path_before_its_name_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "zoo").mkdir(parents=True)
    monkeypatch.setenv("HYBRIDRET_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert find_source("zoo") == str(tmp_path / "data" / "zoo")
    assert find_source("python-docs") == "python-docs"
    assert find_source("nowhere") == "nowhere"
    (tmp_path / "zoo").mkdir()
    assert find_source("zoo") == "zoo"


def test_names_are_left_alone_without_a_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYBRIDRET_DATA", raising=False)
    assert find_source("scifact") == "scifact"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{not json", r"zoo\.jsonl:2: not JSON"),
        ('["a list"]', r"zoo\.jsonl:2: a JSON object is wanted, not list"),
        ('"text"', r"zoo\.jsonl:2: a JSON object is wanted, not str"),
        ('{"_id": "x", "prose": "no text"}', r"zoo\.jsonl:2: no column text or .*; there are _id, prose"),
        ('{"_id": "x", "text": 5}', r"zoo\.jsonl:2: .*must be strings, not 5"),
        ('{"_id": "x", "text": null}', r"zoo\.jsonl:2: .*must be strings, not None"),
        ('{"_id": "x", "text": "t", "title": ["a"]}', r"zoo\.jsonl:2: .*must be strings"),
        ('{"_id": 1.5, "text": "t"}', r"zoo\.jsonl:2: .*must be strings, not 1\.5"),
        ('{"_id": true, "text": "t"}', r"zoo\.jsonl:2: .*must be strings, not True"),
        ('{"_id": "", "text": "t"}', r"zoo\.jsonl:2: document 1 has an id that is empty"),
        ('{"_id": "cat", "text": "t"}', r"zoo\.jsonl:2: document id 'cat' is given twice"),
        ("[" * 100_000, r"zoo\.jsonl:2: not JSON"),
    ],
)
def test_a_faulty_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "zoo.jsonl"
    file.write_text('{"_id": "cat", "text": "purrs"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=message):
        read_corpus(str(file))


def test_a_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    file = tmp_path / "zoo.jsonl"
    good = b'{"_id": "cat", "text": "purrs"}\n'
    file.write_bytes(good + b"\n" + b'{"_id": "x", "text": "caf\xe9"}\n')
    with pytest.raises(CorpusError, match=r"zoo\.jsonl:3: not UTF-8"):
        read_corpus(str(file))


def test_lines_before_a_fault_are_read_lazily(tmp_path: Path) -> None:
    (tmp_path / "zoo.jsonl").write_text('{"_id": "cat"}\nnonsense\n', encoding="utf-8")
    records = read_jsonl(tmp_path / "zoo.jsonl")
    assert next(records) == (1, {"_id": "cat"})
    with pytest.raises(CorpusError):
        next(records)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("_id,prose\ncat,purrs\n", r"zoo\.csv:2: no column text"),
        ("_id,text\ncat,purrs\nfish\n", r"zoo\.csv:3: the row has not as many fields"),
        ("_id,text\ncat,purrs,4\n", r"zoo\.csv:2: the row has not as many fields"),
        ('_id,text\ncat,"purrs\n', r"zoo\.csv:\d: not CSV"),
        ("_id,text\n", "holds no documents"),
        ("", "holds no documents"),
    ],
)
def test_a_faulty_csv_row_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "zoo.csv").write_text(content, encoding="utf-8")
    with pytest.raises(CorpusError, match=message):
        read_corpus(str(tmp_path / "zoo.csv"))


def test_long_csv_fields_are_read(tmp_path: Path) -> None:
    (tmp_path / "zoo.csv").write_text("_id,text\ncat," + "p" * 200_000 + "\n", encoding="utf-8")
    assert len(read_corpus(str(tmp_path / "zoo.csv"))[0].text) == 200_000


@pytest.mark.parametrize("content", [b"", b"PAR1 but not really", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_file_that_is_not_parquet_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "zoo.parquet").write_bytes(content)
    with pytest.raises(CorpusError, match=r"zoo\.parquet: not Parquet"):
        read_corpus(str(tmp_path / "zoo.parquet"))


def test_a_missing_parquet_column_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([{"_id": "cat", "prose": "purrs"}]), tmp_path / "zoo.parquet")
    with pytest.raises(CorpusError, match=r"zoo\.parquet:1: no column text .*there are _id, prose"):
        read_corpus(str(tmp_path / "zoo.parquet"))


def test_parquet_without_rows_is_empty(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"_id": pa.array([], pa.string()), "text": pa.array([], pa.string())}), tmp_path / "z.parquet"
    )
    with pytest.raises(CorpusError, match="holds no documents"):
        read_corpus(str(tmp_path / "z.parquet"))


def test_a_source_that_is_no_corpus_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there is no corpus"):
        read_corpus(str(tmp_path / "absent"))
    (tmp_path / "zoo.xyz").write_bytes(b"%PDF")
    with pytest.raises(CorpusError, match=r"zoo\.xyz is no corpus: known are .*\.jsonl"):
        read_corpus(str(tmp_path / "zoo.xyz"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="holds no documents"):
        read_corpus(str(tmp_path / "empty"))
    (tmp_path / "zoo.jsonl").write_text("\n\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="holds no documents"):
        read_corpus(str(tmp_path / "zoo.jsonl"))


def test_a_name_too_long_for_a_path_is_no_corpus() -> None:
    with pytest.raises(CorpusError):
        read_corpus("x" * 300)
