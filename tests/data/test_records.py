"""Documents as other libraries and tools write them, and tables as people have them."""

from __future__ import annotations

import csv
import datetime
import gzip
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document as LangChainDocument
from langchain_core.load import dumpd

from hybridret.data.readers import read_corpus
from hybridret.data.records import FieldNames
from hybridret.errors import CorpusError
from hybridret.types import Document

TEXTS = {"p7": "Hold the reset key.", "p9": "It weighs twelve kilograms; dry.", "p12": "Change the oil."}
EXPECTED = [Document(doc_id, text, {"source": f"{doc_id}.pdf"}) for doc_id, text in TEXTS.items()]
NODE = {"embedding": None, "excluded_embed_metadata_keys": [], "relationships": {}, "class_name": "TextNode"}
LAYOUTS: dict[str, Any] = {
    "LangChain": lambda doc_id, text, meta: {"id": doc_id, "metadata": meta, "page_content": text, "type": "Document"},
    "LangChain dumpd": lambda doc_id, text, meta: dumpd(LangChainDocument(id=doc_id, page_content=text, metadata=meta)),
    "Haystack": lambda doc_id, text, meta: {
        "id": doc_id, "content": text, "dataframe": None, "blob": None, "meta": meta, "score": None, "embedding": [0.1],
    },
    "LlamaIndex": lambda doc_id, text, meta: {"id_": doc_id, "text": text, "extra_info": meta, **NODE},
    "LlamaIndex 0.12": lambda doc_id, text, meta: {
        "id_": doc_id, "metadata": meta, "text_resource": {"text": text, "path": None}, "image_resource": None, **NODE,
    },
    "LlamaIndex store": lambda doc_id, text, meta: {
        "__data__": {"id_": doc_id, "text": text, "metadata": meta, **NODE}, "__type__": "1",
    },
    "Tevatron": lambda doc_id, text, meta: {"docid": doc_id, "title": "", "text": text, **meta},
    "BEIR": lambda doc_id, text, meta: {"_id": doc_id, "title": "", "text": text, "metadata": meta},
    "Pyserini": lambda doc_id, text, meta: {"id": doc_id, "contents": text, **meta},
    "TREC": lambda doc_id, text, meta: {"DOCNO": doc_id, "Body": text, **meta},
    "MS MARCO": lambda doc_id, text, meta: {"pid": doc_id, "passage": text, **meta},
}  # fmt: skip


def records_of(layout: str) -> list[dict[str, Any]]:
    return [LAYOUTS[layout](doc_id, text, {"source": f"{doc_id}.pdf"}) for doc_id, text in TEXTS.items()]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ending", [".jsonl", ".json", ".ndjson", ".jsonl.gz", ".json.gz"])
def test_layouts_of_json_give_the_same_documents(tmp_path: Path, layout: str, ending: str) -> None:
    records = records_of(layout)
    is_array = ".jsonl" not in ending and ending != ".ndjson"
    text = json.dumps(records, indent=1) if is_array else "".join(json.dumps(record) + "\n" for record in records)
    file = tmp_path / f"zoo{ending}"
    file.write_bytes(gzip.compress(text.encode()) if ending.endswith(".gz") else text.encode())
    assert read_corpus(str(file)) == EXPECTED


@pytest.mark.parametrize(
    "wrap",
    [
        lambda records: {"documents": records},
        lambda records: {"docstore/data": {str(at): each for at, each in enumerate(records)}},
    ],
)
def test_an_object_that_holds_the_documents_is_opened(tmp_path: Path, wrap: Any) -> None:
    file = tmp_path / "zoo.json"
    file.write_text(json.dumps(wrap(records_of("LlamaIndex store"))))
    assert read_corpus(str(file)) == EXPECTED


@pytest.mark.parametrize("written", ["array in .jsonl", "lines in .json"])
def test_json_by_the_other_name_is_read(tmp_path: Path, written: str) -> None:
    records = records_of("BEIR")
    if written == "array in .jsonl":
        file, text = tmp_path / "zoo.jsonl", json.dumps(records)
    else:
        file, text = tmp_path / "zoo.json", "\n".join(map(json.dumps, records))
    file.write_text(text)
    assert read_corpus(str(file)) == EXPECTED


def test_a_langchain_document_without_an_id_is_called_after_its_line(tmp_path: Path) -> None:
    document = LangChainDocument(page_content="Hold the reset key.", metadata={"source": "manual.pdf"})
    (tmp_path / "docs.jsonl").write_text(document.model_dump_json() + "\n")
    expected = Document("docs.jsonl:1", "Hold the reset key.", {"source": "manual.pdf"})
    assert read_corpus(str(tmp_path / "docs.jsonl")) == [expected]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_tables_as_spreadsheets_write_them(tmp_path: Path, encoding: str, delimiter: str, ending: str) -> None:
    lines = [delimiter.join(("ID", "Title", "Text", "Price"))]
    lines += [
        delimiter.join(('"7"', "Café", '"Pumpe, klein; ""neu"" | rot"', "1")),
        delimiter.join(("8", "", "Öl", "")),
    ]
    content = "\r\n".join(lines).encode(encoding)
    file = tmp_path / f"zoo{ending}"
    file.write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
    assert read_corpus(str(file)) == [
        Document("7", 'Café Pumpe, klein; "neu" | rot', {"Title": "Café", "Price": "1"}),
        Document("8", "Öl", {"Price": ""}),
    ]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS.filter(str.strip), CELLS), min_size=1, max_size=6),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_that_csv_writes_is_read(tmp_path: Path, rows: Any, delimiter: str, quoting: int) -> None:
    file = tmp_path / "zoo.csv"
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
        writer.writerow(("id", "text", "note", "more"))
        writer.writerows((f"d{at}", *row[1:], row[0]) for at, row in enumerate(rows))
    found = read_corpus(str(file))
    expected = [Document(f"d{at}", row[1].strip(), {"note": row[2], "more": row[0]}) for at, row in enumerate(rows)]
    assert found == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'p7\tHold the "reset key.\np9\tIt weighs 12 kg.\n',
            [("p7", 'Hold the "reset key.'), ("p9", "It weighs 12 kg.")],
        ),
        ("D1\thttp://a\tReset\tHold the key.\n", [("D1", "Hold the key.")]),
        ("docid\ttext\nD1\tHold the key.\n", [("D1", "Hold the key.")]),
    ],
)
def test_ms_marcos_tables_have_no_header(tmp_path: Path, text: str, expected: Any) -> None:
    (tmp_path / "collection.tsv").write_text(text)
    found = read_corpus(str(tmp_path / "collection.tsv"))
    assert [(each.doc_id, each.text.removeprefix("Reset ")) for each in found] == expected


def test_values_of_parquet_and_json_become_metadata_or_are_left_out(tmp_path: Path) -> None:
    day, moment = datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3, 4)
    table = {
        "id": [7.0, 8.0], "text": ["a", "b"], "day": [day, None], "moment": pa.array([moment, None]),
        "price": [Decimal("1.50"), Decimal("2")], "rating": [math.nan, 0.5], "tags": [["x", "y"], []],
    }  # fmt: skip
    pq.write_table(pa.table(table), tmp_path / "zoo.parquet")
    first, second = read_corpus(str(tmp_path / "zoo.parquet"))
    assert first == Document("7", "a", {"day": day, "moment": moment, "price": 1.5, "tags": ["x", "y"]})
    assert second == Document("8", "b", {"price": 2, "rating": 0.5, "tags": []})
    (tmp_path / "zoo.jsonl").write_text('{"id": 1, "text": "a", "rating": NaN, "inner": {"deep": [1, NaN]}}')
    assert read_corpus(str(tmp_path / "zoo.jsonl"))[0].metadata == {"inner": {"deep": [1, None]}}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            FieldNames(text="story"),
            Document("zoo.jsonl:1", "Reset A long tale", {"title": "Reset", "key": "k1", "meta": {}}),
        ),
        (FieldNames(text="meta.plot", id="key", title="story"), Document("k1", "A long tale twist", {})),
    ],
)
def test_fields_are_named_by_the_caller(tmp_path: Path, names: FieldNames, expected: Document) -> None:
    record = {"key": "k1", "title": "Reset", "story": "A long tale", "meta": {"plot": "twist", "year": 2020}}
    (tmp_path / "zoo.jsonl").write_text(json.dumps(record))
    (found,) = read_corpus(str(tmp_path / "zoo.jsonl"), names)
    assert (found.doc_id, found.text) == (expected.doc_id, expected.text)
    assert found.metadata["year"] == 2020


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"id": "x", "text": "a", "content": "b"}', r"a\.jsonl:1: both text and content .*--text-field"),
        ("a.csv", b"id,text\n1,a\n2,b,c\n", r"a\.csv:3: the row has not as many fields"),
        ("a.csv", b"id,text,text\n1,a,b\n", r"a\.csv:1: the header names 'text' twice"),
        ("a.csv", b"id,text\n1,a\0b\n", r"a\.csv:2: not text: there is a zero byte"),
        ("a.parquet", b"id,text\n1,a\n", r"a\.parquet: not Parquet"),
        ("a.jsonl.gz", b'{"id": "x", "text": "a"}', r"a\.jsonl\.gz cannot be read: Not a gzipped file"),
        ("a.json", b'{"a": 1}', r"a\.json: an array of JSON objects"),
        ("a.json", b'[{"id": "x", "text": "a"},\n "b"]', r"a\.json: entry 2: a JSON object is wanted, not str"),
        (
            "a.jsonl",
            b'{"id": "x", "text": "a", "meta": {"y": 1}, "y": 2}',
            r"a\.jsonl:1: field 'y' stands beside 'meta'",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        read_corpus(str(tmp_path / name))


def test_bytes_are_refused_with_file_row_and_field(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "text": ["b"], "image": [b"\x00\x01"]}), tmp_path / "zoo.parquet")
    with pytest.raises(CorpusError, match=r"zoo\.parquet:1: field 'image' is b.*\(bytes\), which metadata cannot hold"):
        read_corpus(str(tmp_path / "zoo.parquet"))
