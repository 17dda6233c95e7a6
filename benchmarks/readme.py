"""The README's figures, written from ``benchmarks/results``: ``python -m benchmarks readme``.

What stands between ``<!-- results: NAME -->`` and ``<!-- end of results -->``, each on a line of its own, is written
anew; all else stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.readme_figures import SENTENCES
from benchmarks.readme_tables import TABLES
from benchmarks.report.write import markdown_table
from benchmarks.results import FOLDER, read_result
from hybridret.errors import InputError

README = Path(__file__).parents[1] / "README.md"
FIGURES = "figures"
NAMES = (*TABLES, FIGURES)
_START = re.compile(r"<!--\s*results:\s*(.*?)\s*-->")
_END = "<!-- end of results -->"


def write_readme(readme: Path = README, results: Path = FOLDER) -> dict[str, Any]:
    """Writes the blocks of a README anew.

    Args:
        readme: The file.
        results: Where the results' files are.

    Returns:
        The file's name, its blocks, and whether anything changed.

    Raises:
        InputError: See ``rewritten``.
    """
    text = readme.read_text(encoding="utf-8")
    new = rewritten(text, readme, results)
    if new != text:
        readme.write_text(new, encoding="utf-8")
    return {"file": readme.name, "blocks": blocks(text), "changed": new != text}


def blocks(text: str) -> list[str]:
    """The names of a README's blocks, in order."""
    return [start[1] for line in text.split("\n") if (start := _START.fullmatch(line.strip()))]


def rewritten(text: str, place: Path, results: Path = FOLDER) -> str:
    """A README with its blocks as the results have them.

    Args:
        text: The README.
        place: Its file, for messages.
        results: Where the results' files are.

    Raises:
        InputError: A block is unknown, has no end or lacks its results; the message names file and line.
    """
    new: list[str] = []
    opened: int | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if start := _START.fullmatch(line.strip()):
            if opened is not None:
                break
            opened = number
            try:
                new += [line, "", *_block(start[1], results), ""]
            except InputError as error:
                raise InputError(f"{place}:{number}: {error}") from error
        elif line.strip() == _END:
            if opened is None:
                raise InputError(f"{place}:{number}: {_END} ends no results")
            opened = None
            new.append(line)
        elif opened is None:
            new.append(line)
    if opened is not None:
        raise InputError(f"{place}:{opened}: these results have no {_END}")
    return "\n".join(new)


def _block(name: str, results: Path) -> list[str]:
    if name in TABLES:
        table = _told(TABLES[name], name, results)
        return [*markdown_table(table), *(["", table.note] if table.note else [])]
    if name != FIGURES:
        raise InputError(f"there are no results {name!r}, only {', '.join(NAMES)}")
    return [
        f"- {line} ([{each}](benchmarks/results/{each}.json))"
        for each, told in SENTENCES.items()
        for line in _told(told, each, results)
    ]


def _told(tell: Callable[[Mapping[str, Any]], Any], name: str, results: Path) -> Any:
    """What a benchmark's file says."""
    document = read_result(name, results)
    try:
        return tell(document)
    except KeyError as error:
        raise InputError(f"{results / name}.json has no {error}; python -m benchmarks.{name} measures it") from error
    except InputError as error:
        raise InputError(f"{results / name}.json: {error}") from error
