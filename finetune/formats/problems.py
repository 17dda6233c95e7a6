"""What is wrong with a file of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

_SHOWN = 5


class Problem(NamedTuple):
    """Something wrong in a file.

    Attributes:
        place: File and line, ``FILE:LINE``, or file and query where the file has no lines.
        message: What is wrong.
        fatal: Whether the record cannot be used; else it can once cleaning has mended it.
    """

    place: str
    message: str
    fatal: bool = True


def problems_text(problems: Sequence[Problem]) -> str:
    """A report for people: each problem on its line, errors first, then how many of each sort there are."""
    lines = [
        f"{problem.place}: {'error' if problem.fatal else 'warning'}: {problem.message}"
        for problem in sorted(problems, key=lambda problem: not problem.fatal)
    ]
    counts = Counter("errors" if problem.fatal else "warnings" for problem in problems)
    lines.append(f"{counts['errors']} errors, {counts['warnings']} warnings")
    return "\n".join(lines)


def first_errors(problems: Sequence[Problem]) -> str:
    """The first fatal problems on one line, and how many more there are."""
    fatal = [problem for problem in problems if problem.fatal]
    shown = "; ".join(f"{problem.place}: {problem.message}" for problem in fatal[:_SHOWN])
    return shown + (f"; and {len(fatal) - _SHOWN} more" if len(fatal) > _SHOWN else "")
