"""Plots as a file of their own, without the report's style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_COLOURS = ("#2563eb", "#16a34a", "#dc2626", "#9333ea", "#d97706", "#0891b2", "#db2777", "#57534e")
_STYLE = "text{font:12px sans-serif;fill:#333}.grid{stroke:#ddd}polyline{fill:none}.thick{stroke-width:2}" + "".join(
    f".s{at}{{stroke:{colour};fill:{colour}}}polyline.s{at}{{fill:none}}" for at, colour in enumerate(_COLOURS)
)
_GAP = 12


def write_plots(drawings: Sequence[str], path: Path) -> None:
    """Writes drawings of ``benchmarks.report.svg``, one below the other, as one SVG file.

    Args:
        drawings: The drawings, all of one width; at least one.
        path: The file.
    """
    body, top = [], 0.0
    for drawn in drawings:
        head, _, rest = drawn.partition(">")
        _, _, width, height = head.partition('viewBox="')[2].rstrip('"').split()
        body.append(f'<svg y="{top:.0f}" width="{width}" height="{height}" viewBox="0 0 {width} {height}">{rest}')
        top += float(height) + _GAP
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top:.0f}"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(body)}</svg>\n',
        encoding="utf-8",
    )
