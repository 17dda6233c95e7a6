"""The quarantine file: whole records, there before the change and gone where it fails."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridret.data.poison import Suspect, check_quarantine, quarantined
from hybridret.data.poison.quarantine import FIELD, record_of
from hybridret.data.readers import read_corpus
from hybridret.errors import InputError
from hybridret.types import Document

RECORDS: list[dict[str, Any]] = [
    {"_id": "a", "title": "Pump", "text": "How to start it", "year": 2020},
    {"_id": "b", "title": "Pump", "text": "Pump it"},
    {"_id": "c", "text": " no title\u200b", "tags": ["x", {"y": None}]},
    {"_id": "d", "title": "Only a title", "text": ""},
    {"_id": "e", "title": "  ", "text": "blank title"},
    {"_id": "f", "title": "bad \ud800", "text": "t", "x": "\udfff"},
    {"id": "g", "page_content": "other names", "note": "kept"},
    {"_id": "h", "title": "", "text": ""},
]


def read(path: Path, records: list[dict[str, Any]]) -> list[Document]:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return read_corpus(str(path))


def suspects(documents: list[Document]) -> list[Suspect]:
    return [Suspect(document, ["one reason", "another"]) for document in documents]


def hold(path: Path, document: Document) -> None:
    """Puts a document where it cannot be put."""
    with quarantined(path, suspects([document])):
        pytest.fail("the change ran")


def test_records_give_the_same_documents_again_with_the_reasons(tmp_path: Path) -> None:
    own = Document("own", "as it is", {"content": "kept", "meta": {"deep": 1}})
    documents = [*read(tmp_path / "c.jsonl", RECORDS), own]
    with quarantined(tmp_path / "q.jsonl", suspects(documents)):
        assert (tmp_path / "q.jsonl").is_file()
    again = read_corpus(str(tmp_path / "q.jsonl"))
    assert [each.metadata.pop(FIELD) for each in again] == [["one reason", "another"]] * len(documents)
    assert again == documents
    first = json.loads((tmp_path / "q.jsonl").read_text().splitlines()[0])
    assert first == {**RECORDS[0], FIELD: ["one reason", "another"]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.jsonl", "q.jsonl"]


def test_invisible_characters_are_seen_in_the_file(tmp_path: Path) -> None:
    with quarantined(tmp_path / "q.jsonl", suspects([Document("a", "x\u200b\u202e", {})])):
        pass
    assert '"x\\u200b\\u202e"' in (tmp_path / "q.jsonl").read_text(encoding="ascii")


@given(st.text(), st.text())
def test_a_title_stands_apart_from_the_text(title: str, body: str) -> None:
    text = f"{title} {body}".strip()
    record = record_of(Document("a", text, {"title": title} if title else {}))
    assert f"{record.get('title', '')} {record['text']}".strip() == text


def test_a_title_that_does_not_begin_the_text_leaves_it_whole() -> None:
    document = Document("a", "some text", {"title": 7})
    assert record_of(document) == {"_id": "a", "title": 7, "text": "some text"}
    assert record_of(document._replace(metadata={"title": "T"}))["text"] == "some text"


def test_without_suspects_no_file_is_written(tmp_path: Path) -> None:
    with quarantined(tmp_path / "q.jsonl", []):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_file_goes_where_the_change_fails(tmp_path: Path) -> None:
    documents = read(tmp_path / "c.jsonl", RECORDS)
    held: list[str] = []

    def changed() -> None:
        with quarantined(tmp_path / "q.jsonl", suspects(documents)):
            held.extend((tmp_path / "q.jsonl").read_text().splitlines())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        changed()
    assert len(held) == len(RECORDS)
    assert [path.name for path in tmp_path.iterdir()] == ["c.jsonl"]


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_what_lies_there_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "q.jsonl"
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"q\.jsonl exists; a quarantine file must be a new one"):
        check_quarantine(path)
    with pytest.raises(InputError, match="exists"):
        hold(path, Document("a", "x", {}))
    assert kind != "file" or path.read_text() == "mine"


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"q\.jsonl cannot be written: there is no folder .*nowhere"):
        check_quarantine(tmp_path / "nowhere" / "q.jsonl")
    long_name = tmp_path / ("x" * 255)
    with (
        pytest.raises(InputError, match="cannot be written"),
        quarantined(long_name, suspects([Document("a", "", {})])),
    ):
        pytest.fail("the change ran")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, b"x"])
def test_metadata_that_json_cannot_hold_name_the_document(tmp_path: Path, value: Any) -> None:
    bad = Document("odd", "x", {"value": value})
    with pytest.raises(InputError, match="metadata of document 'odd' are not JSON"):
        hold(tmp_path / "q.jsonl", bad)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_where_the_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(InputError, match=r"q\.jsonl cannot be written: No space left on device"):
        hold(tmp_path / "q.jsonl", Document("a", "x", {}))
    assert list(tmp_path.iterdir()) == []
