"""The curves of ``benchmarks.continual`` as one SVG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report.standalone import write_plots
from benchmarks.report.svg import lines

_PANELS = (
    ("old_alone", "docid, old questions, old half alone"),
    ("old", "docid, old questions, all documents"),
    ("new", "docid, new questions"),
)


def draw(arms: Mapping[str, Sequence[Mapping[str, Any]]], split: str, path: Path) -> None:
    """Draws Recall@10 of docids after each batch, a panel each for old and new questions, a curve for each arm."""
    drawings = []
    for side, title in _PANELS:
        curves = []
        for name, steps in arms.items():
            shown = [step for step in steps if step[split][side]]
            curves.append((name, [(float(step["documents"]), float(step[split][side]["docid"])) for step in shown]))
        drawings.append(lines([each for each in curves if each[1]], "documents", f"Recall@10: {title}", title))
    write_plots(drawings, path)
