"""Folders of the files that people have, made with the real libraries: each is read, passed over or refused by name."""

from __future__ import annotations

import datetime
import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

import docx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fpdf import FPDF
from pypdf import PdfReader, PdfWriter

from hybridret.cli import main
from hybridret.data.chunk import Chunking
from hybridret.data.folders import ReadReport
from hybridret.data.readers import read_corpus, read_files
from hybridret.data.text_files import split_front_matter
from hybridret.errors import CorpusError, InputError, MissingExtraError
from hybridret.hybrid import HybridIndex

RECORD = {"id": "1", "text": "word-jsonl"}


def write_pdf(path: Path, *pages: str) -> None:
    pdf = FPDF()
    pdf.set_font("helvetica")
    for page in pages:
        pdf.add_page()
        if page:
            pdf.multi_cell(0, text=page)
    pdf.output(str(path))


def write_word(path: Path) -> None:
    document = docx.Document()
    document.add_heading("Pumps", 1)
    document.add_paragraph("Hold the word-docx key.")
    document.add_paragraph("first item", style="List Bullet")
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "weight", "12 kg"
    document.save(str(path))


def write_all(folder: Path) -> None:
    """A file of each kind that is read; each holds a word that names its kind."""
    texts = {
        "a.txt": "word-txt", "b.md": "---\ntitle: Rules\nyear: 2020\n---\n# Safety\n\nword-md", "g.py": '"""word-py"""',
        "c.html": "<html><head><title>Page</title><style>x</style></head><body><nav>menu</nav><h2>Part</h2><p>word-html"
        "<p>two<table><tr><td>oil<td>5 l</table><img alt='a valve'><script>bad()</script></body></html>",
        "f.rst": "Title\n=====\n\nword-rst\n\n.. note:: careful\n",
        "h.json": json.dumps([{**RECORD, "id": "h", "text": "word-json"}]), "i.jsonl": json.dumps(RECORD),
        "k.csv": "id;text\nk;word-csv", "l.tsv": "id\ttext\nl\tword-tsv",
        "m.ipynb": json.dumps({"cells": [{"cell_type": "markdown", "source": ["# Lab\n", "word-ipynb"]},
                                         {"cell_type": "code", "source": "x = 1", "outputs": [{"text": "gone"}]}]}),
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    write_pdf(folder / "d.pdf", "word-pdf first page", "second page")
    write_word(folder / "e.docx")
    (folder / "j.jsonl.gz").write_bytes(gzip.compress(json.dumps({"id": "j", "text": "word-gz"}).encode()))
    pq.write_table(pa.table({"id": ["n"], "text": ["word-parquet"]}), folder / "n.parquet")


KINDS = ["txt", "md", "html", "pdf", "docx", "rst", "py", "json", "jsonl", "gz", "csv", "tsv", "ipynb", "parquet"]


def test_a_folder_of_every_kind_is_indexed_by_the_command_with_its_defaults(
    tmp_path: Path, tiny_encoder: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_all(tmp_path / "docs")
    for name in (
        ".git/config.txt",
        "node_modules/x/readme.md",
        "env/pyvenv.cfg",
        "env/lib/a.py",
        "old/hybridret.sqlite",
    ):
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_text("hidden secret")
    (tmp_path / "docs" / ".hidden.md").write_text("hidden secret")
    (tmp_path / "docs" / "photo.png").write_bytes(b"\x89PNG")
    (tmp_path / "docs" / "empty.txt").write_text(" \n")
    (tmp_path / "docs" / "lie.pdf").write_text("<html>no pdf</html>")
    monkeypatch.setattr("hybridret.dense.make_encoder", lambda *_, **__: tiny_encoder)
    monkeypatch.setattr("hybridret.persistence.load_model", lambda _: tiny_encoder._original)
    monkeypatch.setattr(sys, "argv", ["hybridret", "index", str(tmp_path / "docs"), "-o", str(tmp_path / "b")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    printed = capsys.readouterr()
    report = [line for line in printed.err.splitlines() if "read" in line or "refused" in line]
    assert report[-1].startswith("14 files read, 7 passed over (2 hidden, 1 ")
    assert report[-1].endswith("), 1 refused")
    reasons = "virtual environment", "node_modules", "written by hybridret", ".png", "empty"
    assert all(f"1 {reason}" in report[-1] for reason in reasons)
    assert "refused: " in report[-2]
    assert "lie.pdf: not a readable PDF" in report[-2]
    assert f"Next: hybridret search {tmp_path / 'b'}" in printed.out
    index = HybridIndex.open(tmp_path / "b")
    texts = [document.text for document in index.get(sorted(index.ids()))]
    for kind in KINDS:
        assert sum(bool(re.search(rf"word-{kind}\b", text)) for text in texts) == 1, kind
    assert not any("secret" in text or "menu" in text or "bad()" in text or "gone" in text for text in texts)


def test_metadata_tell_page_heading_title_and_front_matter(tmp_path: Path) -> None:
    write_all(tmp_path)
    found = {document.doc_id: document for document in read_corpus(str(tmp_path))}
    assert found["b.md"].metadata == {"source": "b.md", "title": "Rules", "year": 2020, "heading": "Safety"}
    assert "title:" not in found["b.md"].text
    assert found["d.pdf#1"].metadata == {"source": "d.pdf", "page": 2, "parent": "d.pdf", "chunk": 1}
    assert found["c.html"].metadata["title"] == "Page"
    assert found["c.html"].metadata["heading"] == "Part"
    assert found["c.html"].text.splitlines()[-1].strip() == "a valve"
    assert "oil | 5 l" in found["c.html"].text
    assert found["e.docx"].metadata["heading"] == "Pumps"
    assert "weight | 12 kg" in found["e.docx"].text
    assert "- first item" in found["e.docx"].text
    assert found["f.rst"].metadata["heading"] == "Title"
    assert "careful" in found["f.rst"].text


@pytest.mark.parametrize("name", ["a.txt", "b.md", "c.html", "d.pdf", "e.docx", "f.rst", "g.py", "m.ipynb"])
def test_one_file_is_a_corpus(tmp_path: Path, name: str) -> None:
    write_all(tmp_path)
    documents, report = read_files(str(tmp_path / name))
    assert report.read == 1
    assert report.documents == len(documents)
    assert f"word-{name.partition('.')[2]}" in documents[0].text
    (tmp_path / "README.markdown").write_text("# Read me")
    assert read_corpus(str(tmp_path / "README.markdown"))[0].metadata["heading"] == "Read me"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\na: 1\n---\nbody", ("body", {"a": 1})),
        (
            "---\ndate: 2024-05-01\ntags: [x, y]\n---\nbody",
            ("body", {"date": datetime.date(2024, 5, 1), "tags": ["x", "y"]}),
        ),
        ("+++\na = 1\n+++\nbody", ("body", {"a": 1})),
        ("---\nonly a rule\n---\nbody", ("---\nonly a rule\n---\nbody", {})),
        ("---\na: 1\nnever closed", ("---\na: 1\nnever closed", {})),
        ("no front matter\n---\na: 1\n---", ("no front matter\n---\na: 1\n---", {})),
    ],
)
def test_front_matter_becomes_metadata_and_a_rule_stays(text: str, expected: Any) -> None:
    assert split_front_matter(text, Path("x.md")) == expected


def encrypted(path: Path) -> None:
    write_pdf(path.with_suffix(".open"), "secret")
    writer = PdfWriter()
    writer.append(PdfReader(path.with_suffix(".open")))
    writer.encrypt("password", algorithm="RC4-128")
    writer.write(path)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.pdf", lambda path: write_pdf(path, ""), "none of its 1 pages holds text; run text recognition"),
        ("a.pdf", encrypted, "it has a password; save it without one"),
        ("a.pdf", lambda path: path.write_text("<html>"), "not a readable PDF"),
        ("a.docx", lambda path: path.write_text("text"), "not a Word file"),
        ("a.ipynb", lambda path: path.write_text('{"cells": []}'), "the notebook has no cell with a text"),
        ("a.ipynb", lambda path: path.write_text("[]"), "not a Jupyter notebook"),
        ("a.txt", lambda path: path.write_bytes(b"a\0b"), "not text: there is a zero byte"),
        ("a.md", lambda path: path.write_text("---\na: [\n---\nbody"), "the front matter is not YAML"),
        ("a.csv", lambda path: path.write_text("x,y\n1,2\n"), "--text-field"),
    ],
)
def test_a_bad_file_is_refused_by_one_line_and_the_others_are_read(
    tmp_path: Path, name: str, write: Any, message: str
) -> None:
    write(tmp_path / name)
    with pytest.raises(CorpusError, match=message) as refused:
        read_corpus(str(tmp_path / name))
    assert str(tmp_path / name) in str(refused.value)
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "a.open").unlink(missing_ok=True)
    documents, report = read_files(str(tmp_path))
    assert [document.text for document in documents] == ["good"]
    assert [refused_name for refused_name, _ in report.refused] == [name]
    assert message.split(";", maxsplit=1)[0] in report.lines()[0]
    assert report.sentence() == "1 file read, 1 refused"


def test_a_folder_with_nothing_to_read_says_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(CorpusError, match=r"holds no documents: 0 files read, 1 passed over \(1 \.png\)"):
        read_corpus(str(tmp_path))


def test_an_id_of_two_tables_is_taken_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,first")
    (tmp_path / "b.csv").write_text("id,text\n1,second")
    documents, report = read_files(str(tmp_path))
    assert [document.text for document in documents] == ["first"]
    assert "document id '1' is in a.csv already" in report.refused[0][1]


def test_a_missing_library_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_all(tmp_path)
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(MissingExtraError, match=r"hybridret\[files\]"):
        read_corpus(str(tmp_path / "d.pdf"))
    report = read_files(str(tmp_path)).report
    assert [name for name, _ in report.refused] == ["d.pdf"]
    assert report.lines()[0].startswith("refused: d.pdf: ")
    assert "hybridret[files]" in report.lines()[0]


def test_text_of_another_encoding_is_read_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "latin.txt").write_bytes("Café".encode("cp1252"))
    (tmp_path / "wide.txt").write_bytes("Öl".encode("utf-16"))
    assert [document.text for document in read_corpus(str(tmp_path))] == ["Café", "Öl"]
    assert "latin.txt is not UTF-8" in caplog.text
    assert "wide.txt" not in caplog.text


def test_the_size_of_chunks_is_an_option(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("word " * 100)
    chunks = read_corpus(str(tmp_path), chunking=Chunking(50, 10))
    assert len(chunks) > 9
    assert all(len(chunk.text) <= 50 for chunk in chunks)
    for wrong in (Chunking(0, 0), Chunking(10, 10), Chunking(10, -1)):
        with pytest.raises(InputError, match="of chunks must be"):
            read_corpus(str(tmp_path), chunking=wrong)


def test_headings_are_those_above_a_chunk(tmp_path: Path) -> None:
    parts = ["# One", "intro " * 30, "## Two", "deep " * 30, "```\n# no heading\n```", "# Three", "end " * 30]
    (tmp_path / "a.md").write_text("\n\n".join(parts))
    chunks = read_corpus(str(tmp_path), chunking=Chunking(200, 0))
    headings = [(chunk.metadata["heading"], chunk.text.split()[-1]) for chunk in chunks]
    assert headings == [("One", "intro"), ("One > Two", "```"), ("Three", "end")]


def test_the_report_of_nothing_special_is_short() -> None:
    assert ReadReport(2, 5).lines() == ["2 files read"]
