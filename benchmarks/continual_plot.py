"""The curves of ``benchmarks.continual`` as one SVG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report.svg import lines

_COLOURS = ("#2563eb", "#16a34a", "#dc2626", "#9333ea")
_STYLE = "text{font:12px sans-serif;fill:#333}.grid{stroke:#ddd}polyline{fill:none}.thick{stroke-width:2}" + "".join(
    f".s{at}{{stroke:{colour};fill:{colour}}}polyline.s{at}{{fill:none}}" for at, colour in enumerate(_COLOURS)
)
_PANELS = (
    ("old_alone", "docid, old questions, old half alone"),
    ("old", "docid, old questions, all documents"),
    ("new", "docid, new questions"),
)


def draw(arms: Mapping[str, Sequence[Mapping[str, Any]]], split: str, path: Path) -> None:
    """Draws Recall@10 of docids after each batch, a panel each for old and new questions, a curve for each arm."""
    body, top = [], 0.0
    for side, title in _PANELS:
        curves = []
        for name, steps in arms.items():
            shown = [step for step in steps if step[split][side]]
            curves.append((name, [(float(step["documents"]), float(step[split][side]["docid"])) for step in shown]))
        drawn = lines([(name, curve) for name, curve in curves if curve], "documents", f"Recall@10: {title}", title)
        head, _, rest = drawn.partition(">")
        _, _, width, height = head.partition('viewBox="')[2].rstrip('"').split()
        body.append(f'<svg y="{top:.0f}" width="{width}" height="{height}" viewBox="0 0 {width} {height}">{rest}')
        top += float(height) + 12
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top:.0f}"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(body)}</svg>\n',
        encoding="utf-8",
    )
