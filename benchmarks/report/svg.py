"""Plots as inline SVG: colours come from the page's style sheet, every mark has its value as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, ROW, LEFT, RIGHT, TOP, AXIS = 440, 24, 118, 18, 8, 42
_TICKS, _GAP, _LETTER, _PLOT = 5, 13, 6.9, 250
SERIES = 8
"""How many colours the style sheet has."""


class Point(NamedTuple):
    """A mark of a plot.

    Attributes:
        label: What it is.
        x: Where it is.
        y: How high it is.
        low: Lower end of its interval, along x in an interval plot.
        high: Upper end.
    """

    label: str
    x: float
    y: float = 0.0
    low: float = 0.0
    high: float = 0.0


def interval_plot(points: Sequence[Point], axis: str, described: str) -> str:
    """Values with their intervals, a row each."""
    scale = _Scale(0.0, max(point.high for point in points) or 1.0, LEFT, WIDTH - RIGHT)
    body = []
    for at, point in enumerate(points):
        y = TOP + ROW * (at + 0.5)
        body += [
            _text(LEFT - 8, y + 4, point.label, "end"),
            _line(scale(point.low), y, scale(point.high), y, f"s{at % SERIES} thick"),
            f'<circle class="s{at % SERIES}" cx="{scale(point.x):.1f}" cy="{y:.1f}" r="5">'
            f"<title>{escape(point.label)}: {point.x:.3f} ({point.low:.3f} to {point.high:.3f})</title></circle>",
        ]
    bottom = TOP + ROW * len(points)
    return _svg(described, bottom + AXIS, [*_x_axis(scale, bottom, axis), *body])


def scatter(points: Sequence[Point], x_axis: str, y_axis: str, described: str) -> str:
    """Values over a logarithmic x axis, each point labelled."""
    right, bottom = WIDTH - RIGHT, TOP + _PLOT
    across = _Scale(
        math.log10(min(point.x for point in points)) - 0.15,
        math.log10(max(point.x for point in points)) + 0.15,
        48,
        right,
    )
    up = _Scale(
        min(point.y for point in points) * 0.9, max(point.y for point in points) * 1.05 or 1.0, bottom, TOP + 14
    )
    body, taken = [], -math.inf
    for tick in up.ticks():
        body += [
            _line(48, up(tick), right, up(tick), "grid"),
            _text(44, up(tick) + 4, f"{tick:g}", "end"),
        ]
    for power in range(math.floor(across.low), math.ceil(across.high) + 1):
        for step in (1, 2, 5):
            place = power + math.log10(step)
            if across.low <= place <= across.high:
                body += [
                    _line(across(place), TOP, across(place), bottom, "grid"),
                    _text(across(place), bottom + 16, f"{10**place:g}", "middle"),
                ]
    for at, point in sorted(enumerate(points), key=lambda each: up(each[1].y)):
        x, y = across(math.log10(point.x)), up(point.y)
        taken = max(y + 4, taken + _GAP)
        is_left = x + 10 + _LETTER * len(point.label) > right
        body += [
            f'<circle class="s{at % SERIES}" cx="{x:.1f}" cy="{y:.1f}" r="5">'
            f"<title>{escape(point.label)}: {point.x:.3g}, {point.y:.3f}</title></circle>",
            _text(x - 10 if is_left else x + 10, taken, point.label, "end" if is_left else "start"),
        ]
    body += [_text((48 + right) / 2, bottom + 34, x_axis, "middle"), _text(4, TOP + 4, y_axis, "start")]
    return _svg(described, bottom + AXIS, body)


def stacked_bars(rows: Sequence[tuple[str, Sequence[tuple[str, float]]]], axis: str, described: str) -> str:
    """Sums made of parts, a row each, with a legend."""
    scale = _Scale(0.0, max(sum(value for _, value in parts) for _, parts in rows) or 1.0, LEFT, WIDTH - RIGHT)
    names = list(dict.fromkeys(name for _, parts in rows for name, _ in parts))
    body = []
    for at, (label, parts) in enumerate(rows):
        y, start = TOP + ROW * at, 0.0
        body.append(_text(LEFT - 8, y + ROW / 2 + 4, label, "end"))
        for name, value in parts:
            width = scale(start + value) - scale(start)
            body.append(
                f'<rect class="s{names.index(name) % SERIES}" x="{scale(start):.1f}" y="{y + 4:.1f}" '
                f'width="{max(width - 1, 0.5):.1f}" height="{ROW - 8}">'
                f"<title>{escape(label)}, {escape(name)}: {value:.3g}</title></rect>"
            )
            start += value
    bottom = TOP + ROW * len(rows)
    legend, x, y = [], 10.0, bottom + AXIS + 4
    for at, name in enumerate(names):
        width = 26 + _LETTER * len(name)
        if x + width > WIDTH:
            x, y = 10.0, y + 18
        legend += [
            f'<rect class="s{at % SERIES}" x="{x:.1f}" y="{y - 9:.1f}" width="10" height="10"/>',
            _text(x + 14, y, name, "start"),
        ]
        x += width
    return _svg(described, y + 10, [*_x_axis(scale, bottom, axis), *body, *legend])


def lines(series: Sequence[tuple[str, Sequence[tuple[float, float]]]], x_axis: str, y_axis: str, described: str) -> str:
    """Curves over a common x axis, each labelled at its end."""
    xs = [x for _, curve in series for x, _ in curve]
    ys = [y for _, curve in series for _, y in curve]
    widest = _LETTER * max(len(name) for name, _ in series)
    bottom, right = TOP + _PLOT, WIDTH - RIGHT - widest
    across = _Scale(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1, 48, right)
    low = min(0.0, *ys)
    up = _Scale(low, max(ys) * 1.05 if max(ys) > low else low + 1.0, bottom, TOP + 14)
    body: list[str] = []
    for tick in up.ticks():
        body += [_line(48, up(tick), right, up(tick), "grid"), _text(44, up(tick) + 4, f"{tick:g}", "end")]
    for tick in across.ticks():
        body.append(_text(across(tick), bottom + 16, f"{tick:g}", "middle"))
    taken = -math.inf
    for at, (name, curve) in sorted(enumerate(series), key=lambda each: up(each[1][1][-1][1])):
        places = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in curve)
        body.append(
            f'<polyline class="s{at % SERIES} thick" points="{places}"><title>{escape(name)}</title></polyline>'
        )
        body += [
            f'<circle class="s{at % SERIES}" cx="{across(x):.1f}" cy="{up(y):.1f}" r="3.5">'
            f"<title>{escape(name)}, {x:g}: {y:.3g}</title></circle>"
            for x, y in curve
        ]
        taken = max(up(curve[-1][1]) + 4, taken + _GAP)
        body.append(_text(right + 8, taken, name, "start"))
    body += [_text((48 + right) / 2, bottom + 34, x_axis, "middle"), _text(4, TOP + 4, y_axis, "start")]
    return _svg(described, bottom + AXIS, body)


class _Scale:
    """Maps values to places in the drawing."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self._start, self._end = low, high, start, end

    def __call__(self, value: float) -> float:
        return self._start + (value - self.low) / (self.high - self.low) * (self._end - self._start)

    def ticks(self) -> list[float]:
        """Round values inside the scale."""
        rough = (self.high - self.low) / _TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
        first = math.ceil(self.low / step)
        return [round(at * step, 10) for at in range(first, math.floor(self.high / step) + 1)]


def _x_axis(scale: _Scale, bottom: float, name: str) -> list[str]:
    drawn = []
    for tick in scale.ticks():
        drawn += [
            _line(scale(tick), TOP, scale(tick), bottom, "grid"),
            _text(scale(tick), bottom + 16, f"{tick:g}", "middle"),
        ]
    return [*drawn, _text((LEFT + WIDTH - RIGHT) / 2, bottom + 34, name, "middle")]


def _line(x: float, y: float, x2: float, y2: float, style: str) -> str:
    return f'<line class="{style}" x1="{x:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(described: str, height: float, body: Sequence[str]) -> str:
    return (
        f'<svg role="img" aria-label="{escape(described, quote=True)}" viewBox="0 0 {WIDTH} {height:.0f}">'
        + "".join(body)
        + "</svg>"
    )
