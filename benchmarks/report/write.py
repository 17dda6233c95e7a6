"""Writing the report: the same sections as HTML and Markdown, the numbers as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.collection import Collection
from benchmarks.quality import PRIMARY
from benchmarks.report.sections import Section, Table, sections

TOP, SHOWN_QUESTIONS, SNIPPET = 5, 300, 200
_HERE = Path(__file__).parent
_TITLE = "hybridret: which retriever, at what cost"


def write_report(
    folder: Path, result: Mapping[str, Any], collections: Iterable[Collection], files: Mapping[str, Path]
) -> None:
    """Writes ``report.html``, ``report.md`` and ``report.json``.

    Args:
        folder: Where.
        result: What was measured.
        collections: What was asked.
        files: By collection the file by question; see ``quality.write_questions``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = sections(result)
    asked = {each.name: explorable(each, files[each.name]) for each in collections}
    (folder / "report.html").write_text(page(told, asked), encoding="utf-8")
    (folder / "report.md").write_text(markdown(told), encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def markdown(told: Iterable[Section]) -> str:
    """The sections as Markdown, without figures."""
    lines = [f"# {_TITLE}", ""]
    for section in told:
        lines += [f"## {section.title}", ""]
        lines += [f"- {line}" for line in section.lines]
        lines += [""] if section.lines else []
        for table in section.tables:
            lines += [f"### {table.caption}", "", *markdown_table(table), ""]
            lines += [table.note, ""] if table.note else []
    return "\n".join(lines)


def markdown_table(table: Table) -> list[str]:
    """A table's lines."""
    ruler = "|" + "|".join(["---", *["---:"] * (len(table.columns) - 1)]) + "|"
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (table.columns, *table.rows)]
    head, *rows = ("| " + " | ".join(row) + " |" for row in cells)
    return [head, ruler, *rows]


def page(told: Iterable[Section], asked: Mapping[str, Any]) -> str:
    """The HTML page: style, script and data are inside it."""
    data = json.dumps(asked, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    body = "".join(_section(section) for section in told)
    template = (_HERE / "page.html").read_text(encoding="utf-8")
    for name, text in {
        "TITLE": escape(_TITLE),
        "STYLE": (_HERE / "page.css").read_text(encoding="utf-8"),
        "BODY": body,
        "DATA": data,
        "SCRIPT": (_HERE / "page.js").read_text(encoding="utf-8"),
    }.items():
        template = template.replace(f"<!--{name}-->", text)
    return template


def explorable(collection: Collection, path: Path) -> dict[str, Any]:
    """Questions with each system's best documents, evenly taken where there are many, and the documents' beginnings."""
    with path.open(encoding="utf-8") as file:
        questions = [json.loads(line) for line in file]
    step = max(1, -(-len(questions) // SHOWN_QUESTIONS))
    shown = [
        {
            "text": question["text"],
            "right": [doc_id for doc_id, grade in question["judged"].items() if grade > 0],
            "systems": {
                name: {"hits": [doc_id for doc_id, _ in own["hits"][:TOP]], "value": round(own["measures"][PRIMARY], 3)}
                for name, own in question["systems"].items()
            },
        }
        for question in questions[::step]
    ]
    named = {doc_id for each in shown for own in each["systems"].values() for doc_id in own["hits"]}
    named |= {doc_id for each in shown for doc_id in each["right"]}
    texts = {
        document.doc_id: " ".join(document.text.split())[:SNIPPET]
        for document in collection.documents
        if document.doc_id in named
    }
    return {"measure": PRIMARY, "all": len(questions), "questions": shown, "texts": texts}


def _section(section: Section) -> str:
    parts = [f"<section><h2>{escape(section.title)}</h2>"]
    if section.lines:
        parts.append("<ul>" + "".join(f"<li>{escape(line)}</li>" for line in section.lines) + "</ul>")
    if section.figures:
        figures = "".join(
            f"<figure>{each.svg}<figcaption>{escape(each.caption)}</figcaption></figure>" for each in section.figures
        )
        parts.append(f'<div class="figures">{figures}</div>')
    parts += [_table(table) for table in section.tables]
    return "".join([*parts, "</section>"])


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="wide" tabindex="0"><table><caption>{escape(table.caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}"
    )
