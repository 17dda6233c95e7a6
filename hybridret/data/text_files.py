"""Texts of the files that people have: text, Markdown, HTML, PDF, Word, reStructuredText, notebooks and code.

Headings become Markdown's (``# Heading``), whatever the format, so that one splitter knows them all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hybridret.data.tables import read_text
from hybridret.errors import CorpusError, require

EXTRA = "files"
CODE_SUFFIXES = (
    *(".py", ".js", ".jsx", ".ts", ".tsx", ".java", ".kt", ".scala", ".go", ".rs", ".c", ".h", ".cc", ".cpp", ".hpp"),
    *(".cs", ".rb", ".php", ".swift", ".r", ".jl", ".sh", ".sql", ".lua", ".pl"),
)
_FENCES = (("---", "YAML"), ("+++", "TOML"))
_DROPPED = ("script", "style", "nav", "header", "footer", "aside", "template", "noscript", "svg", "form", "button")
_BLOCKS = (
    "p",
    "div",
    "section",
    "article",
    "main",
    "blockquote",
    "pre",
    "dl",
    "dt",
    "dd",
    "figure",
    "figcaption",
    "br",
)


class Part(NamedTuple):
    """A part of a file that is a text of its own, such as a page.

    Attributes:
        text: The text.
        metadata: What is known of it.
    """

    text: str
    metadata: dict[str, Any]


def read_parts(path: Path) -> list[Part]:
    """Reads a file that holds text.

    Args:
        path: The file; its ending says what it is, see ``TEXT_READERS``.

    Returns:
        Its parts; none where it is empty.

    Raises:
        CorpusError: It cannot be read, is not what its ending says, or holds no text; one line names the file.
        MissingExtraError: The library that reads it is not installed.
    """
    return [part for part in TEXT_READERS[path.suffix.lower()](path) if part.text.strip()]


def _read_plain(path: Path) -> list[Part]:
    return [Part(read_text(path), {})]


def _read_markdown(path: Path) -> list[Part]:
    text, metadata = split_front_matter(read_text(path), path)
    return [Part(text, metadata)]


def split_front_matter(text: str, path: Path) -> tuple[str, dict[str, Any]]:
    """Takes front matter, YAML between lines of ``---`` or TOML between lines of ``+++``, off a text.

    A line of dashes that is only a rule, for it is not closed or holds no fields, stays in the text.

    Args:
        text: The text.
        path: The file, for messages.

    Raises:
        CorpusError: The front matter is closed and has fields, but cannot be read.
    """
    lines = text.split("\n")
    for fence, language in _FENCES:
        if lines[0].rstrip() != fence:
            continue
        end = next((at for at, line in enumerate(lines[1:], 1) if line.rstrip() in (fence, "...")), None)
        if end is None:
            continue
        inside = "\n".join(lines[1:end])
        if not re.search(r"^\s*[\w\"'-]+\s*[:=]", inside, re.MULTILINE):
            continue
        try:
            fields = _load_yaml(inside) if language == "YAML" else _load_toml(inside)
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise CorpusError(f"{path}: the front matter is not {language}: {reason}") from error
        if isinstance(fields, dict):
            return "\n".join(lines[end + 1 :]), {str(name): value for name, value in fields.items()}
    return text, {}


def _load_yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _load_toml(text: str) -> Any:
    try:
        import tomllib
    except ImportError as error:  # Python 3.10
        raise ValueError("Python 3.11 or later is needed to read it") from error
    return tomllib.loads(text)


def _read_html(path: Path) -> list[Part]:
    soup_type = require("bs4", EXTRA).BeautifulSoup
    content = path.read_bytes()
    if b"\0" in content[:1024] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CorpusError(f"{path}: not HTML: there is a zero byte")
    soup = soup_type(content, "lxml")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    for element in soup(["head", *_DROPPED]):
        element.decompose()
    for image in soup("img"):
        image.replace_with(f" {image.get('alt') or ''} ")
    for row in soup("tr"):
        cells = [" ".join(cell.get_text(" ").split()) for cell in row(["td", "th"])]
        row.replace_with("\n" + " | ".join(cell for cell in cells if cell) + "\n")
    for level in range(1, 7):
        for heading in soup(f"h{level}"):
            heading.replace_with(f"\n\n{'#' * level} {' '.join(heading.get_text(' ').split())}\n\n")
    for item in soup("li"):
        item.insert_before("\n- ")
    for block in soup(list(_BLOCKS)):
        block.insert_before("\n")
        block.insert_after("\n")
    lines = [" ".join(line.split()) for line in soup.get_text().split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return [Part(text, {"title": title} if title else {})]


def _read_pdf(path: Path) -> list[Part]:
    pypdf = require("pypdf", EXTRA)
    try:
        reader = pypdf.PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise CorpusError(f"{path}: it has a password; save it without one")
        pages = [page.extract_text() for page in reader.pages]
        title = (reader.metadata or {}).get("/Title")
    except CorpusError:
        raise
    except Exception as error:  # pypdf raises errors of many kinds on damaged files
        raise CorpusError(
            f"{path}: not a readable PDF: {' '.join(str(error).split()) or type(error).__name__}"
        ) from error
    if not any(page.strip() for page in pages):
        raise CorpusError(f"{path}: none of its {len(pages)} pages holds text; run text recognition (OCR) on it first")
    known = {"title": title} if isinstance(title, str) and title.strip() else {}
    return [Part(page, {**known, "page": number}) for number, page in enumerate(pages, 1)]


def _read_word(path: Path) -> list[Part]:
    docx = require("docx", EXTRA)
    try:
        document = docx.Document(str(path))
    except Exception as error:  # python-docx raises errors of many kinds on what is no Word file
        raise CorpusError(f"{path}: not a Word file (.docx): {' '.join(str(error).split())}") from error
    title = document.core_properties.title
    blocks = [_word_block(block) for block in document.iter_inner_content()]
    text = "\n\n".join(block for block in blocks if block.strip())
    if not text:
        raise CorpusError(f"{path}: it holds no text")
    return [Part(text, {"title": title} if title else {})]


def _word_block(block: Any) -> str:
    """A paragraph, as a heading or an item of a list where it is one, or a table row by row."""
    if hasattr(block, "rows"):
        rows = []
        for row in block.rows:
            cells = ["\n".join(map(_word_block, cell.iter_inner_content())) for cell in row.cells]
            rows.append(" | ".join(dict.fromkeys(" ".join(cell.split()) for cell in cells)))
        return "\n".join(rows)
    style = block.style.name if block.style is not None else ""
    found = re.fullmatch(r"Heading (\d)", style or "")
    text = "".join(node.text or "" for node in block._p.iter() if node.tag.endswith("}t"))
    if found and text.strip():
        return f"{'#' * int(found[1])} {text.strip()}"
    return f"# {text.strip()}" if style == "Title" else f"- {text}" if (style or "").startswith("List") else text


def _read_rest(path: Path) -> list[Part]:
    core, nodes = require("docutils.core", EXTRA), require("docutils.nodes", EXTRA)
    settings = {"report_level": 5, "halt_level": 6, "file_insertion_enabled": False, "raw_enabled": False}
    tree = core.publish_doctree(read_text(path), settings_overrides=settings)
    lines: list[str] = []

    def walk(node: Any, depth: int) -> None:
        if isinstance(node, nodes.system_message | nodes.comment | nodes.docinfo):
            return
        if isinstance(node, nodes.title):
            lines.append(f"{'#' * max(1, min(6, depth))} {node.astext()}")
        elif isinstance(node, nodes.TextElement):
            lines.append(node.astext())
        else:
            for child in node.children:
                walk(child, depth + isinstance(node, nodes.section))

    walk(tree, 1)
    title = tree.get("title")
    return [Part("\n\n".join(lines), {"title": title} if title else {})]


def _read_notebook(path: Path) -> list[Part]:
    try:
        content = json.loads(read_text(path))
        cells = (
            content["cells"] if "cells" in content else [c for sheet in content["worksheets"] for c in sheet["cells"]]
        )
        texts = ["".join(cell.get("source", cell.get("input", ""))) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorpusError(f"{path}: not a Jupyter notebook: {type(error).__name__}: {error}") from error
    if not any(text.strip() for text in texts):
        raise CorpusError(f"{path}: the notebook has no cell with a text")
    return [Part("\n\n".join(text for text in texts if text.strip()), {})]


TEXT_READERS: dict[str, Callable[[Path], list[Part]]] = {
    ".txt": _read_plain,
    ".text": _read_plain,
    ".md": _read_markdown,
    ".markdown": _read_markdown,
    ".mdx": _read_markdown,
    ".html": _read_html,
    ".htm": _read_html,
    ".xhtml": _read_html,
    ".pdf": _read_pdf,
    ".docx": _read_word,
    ".rst": _read_rest,
    ".ipynb": _read_notebook,
    **dict.fromkeys(CODE_SUFFIXES, _read_plain),
}
"""What reads a file's text, by the end of its name."""
_MARKDOWN = tuple(suffix for suffix in TEXT_READERS if suffix not in (".txt", ".text", ".pdf", *CODE_SUFFIXES))


def has_headings(path: Path) -> bool:
    """Whether a file's text may have Markdown's headings, its own or those of its format."""
    return path.suffix.lower() in _MARKDOWN
