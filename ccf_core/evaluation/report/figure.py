"""Rate-distortion figures as SVG: numbers in, text out. It knows nothing of tasks.

Text is mid-grey and the ground transparent, so that a figure reads on light and on dark pages; lines differ in the
shape of their markers as well as in colour, and are named where they end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 44, 52
INK = "#777777"
COLOURS = ("#2f7fc1", "#d2691e", "#3a9a5b", "#b05cb0", "#c94a4a", "#8a8a2a", "#2a9d9d", "#8468cf")


@dataclass(frozen=True)
class Point:
    """A value and its 95% interval at a ratio."""

    ratio: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Level:
    """A value that does not depend on the ratio."""

    name: str
    value: float


#: Draws a sign at (x, y).
Draw = Callable[[float, float], str]


def _polygon(*corners: tuple[float, float]) -> Draw:
    def draw(x: float, y: float) -> str:
        return f'<polygon points="{" ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)}"/>'

    return draw


MARKERS: tuple[Draw, ...] = (
    lambda x, y: f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>',
    _polygon((-4, -4), (4, -4), (4, 4), (-4, 4)),
    _polygon((0, -5.5), (5, 4), (-5, 4)),
    _polygon((0, -6), (6, 0), (0, 6), (-6, 0)),
    _polygon((0, 5.5), (5, -4), (-5, -4)),
    _polygon((-1.5, -5.5), (1.5, -5.5), (1.5, -1.5), (5.5, -1.5), (5.5, 1.5), (1.5, 1.5), (1.5, 5.5), (-1.5, 5.5),
             (-1.5, 1.5), (-5.5, 1.5), (-5.5, -1.5), (-1.5, -1.5)),
    _polygon((-5, 0), (-2.5, -5), (2.5, -5), (5, 0), (2.5, 5), (-2.5, 5)),
    _polygon((-5.5, 0), (4, -5), (4, 5)),
)  # fmt: skip


def svg(title: str, y_label: str, lines: Sequence[Line], levels: Sequence[Level] = ()) -> str:
    """Draw shares (0 to 1, in %) against the ratio on a logarithmic axis, as one document of SVG.

    ValueError if there is no point to draw.
    """
    points = [point for line in lines for point in line.points]
    if not points:
        raise ValueError("a figure needs a point")
    ratios = sorted({point.ratio for point in points})
    values = [v for p in points for v in (p.value, p.low, p.high)] + [level.value for level in levels]
    low, high = (
        math.floor(min(values) * 10) / 10,
        max(math.ceil(max(values) * 10), math.floor(min(values) * 10) + 1) / 10,
    )

    def x_of(ratio: float) -> float:
        first, last = math.log2(ratios[0]) - 0.3, math.log2(ratios[-1]) + 0.3
        return LEFT + (math.log2(ratio) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y_of(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [*_axes(title, y_label, ratios, low, high, x_of, y_of)]
    labels: list[Label] = []
    for index, level in enumerate(levels):
        y = y_of(level.value)
        dashes = ("7 4", "2 4", "9 3 2 3", "4 2")[index % 4]
        stroke = f'stroke="{INK}" stroke-width="1.5" stroke-dasharray="{dashes}"'
        parts.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" {stroke}/>')
        labels.append(Label(y, level.name, INK, partial(_dash, stroke)))
    for index, line in enumerate(lines):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        # Side by side, so that intervals at one ratio do not hide one another.
        shift = (index - (len(lines) - 1) / 2) * 5
        drawn = [(x_of(p.ratio) + shift, p) for p in sorted(line.points, key=lambda p: p.ratio)]
        path = " ".join(f"{x:.1f},{y_of(p.value):.1f}" for x, p in drawn)
        bars = "".join(
            f'<line class="interval" x1="{x:.1f}" x2="{x:.1f}" y1="{y_of(p.low):.1f}" y2="{y_of(p.high):.1f}"/>'
            for x, p in drawn
        )
        markers = "".join(marker(x, y_of(p.value)) for x, p in drawn)
        parts.append(
            f'<g class="line" stroke="{colour}" fill="{colour}"><title>{escape(line.name)}</title>'
            f'<polyline points="{path}" fill="none" stroke-width="2"/>'
            f'<g stroke-width="1.2">{bars}</g><g stroke="none">{markers}</g></g>'
        )
        labels.append(Label(y_of(drawn[-1][1].value), line.name, colour, marker))
    parts += _labels(labels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="13">\n<title>{escape(title)}</title>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _dash(stroke: str, x: float, y: float) -> str:
    return f'<path d="M{x - 8:.1f} {y:.1f}h16" {stroke}/>'


def _axes(
    title: str,
    y_label: str,
    ratios: Sequence[float],
    low: float,
    high: float,
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [
        f'<text x="{LEFT}" y="22" fill="{INK}" font-size="15" font-weight="600">{escape(title)}</text>',
        f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="{INK}"/>',
        f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 12}" fill="{INK}" text-anchor="middle">'
        "text tokens for each slot (ratio)</text>",
        f'<text transform="translate(18 {(TOP + bottom) / 2}) rotate(-90)" fill="{INK}" text-anchor="middle">'
        f"{escape(y_label)}</text>",
    ]
    for ratio in ratios:
        x = x_of(ratio)
        parts.append(
            f'<text class="x" x="{x:.1f}" y="{bottom + 20}" fill="{INK}" text-anchor="middle">{ratio:g}x</text>'
        )
    tenths = range(round(low * 10), round(high * 10) + 1, 2 if high - low > 0.55 else 1)
    for value in (tenth / 10 for tenth in tenths):
        y = y_of(value)
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{INK}" stroke-opacity="0.25"/>'
            f'<text class="y" x="{LEFT - 8}" y="{y + 4:.1f}" fill="{INK}" text-anchor="end">{100 * value:.0f}%</text>'
        )
    return parts


@dataclass(frozen=True)
class Label:
    """A name, where it would best stand, and the sign of what it names."""

    y: float
    name: str
    colour: str
    sign: Draw


def _labels(wanted: Sequence[Label], apart: float = 16.0) -> list[str]:
    """Write names at the ends of lines, pushed apart where they would lie on one another."""
    ordered = sorted(wanted, key=lambda label: label.y)
    placed: list[float] = []
    for label in ordered:
        placed.append(max(label.y, placed[-1] + apart) if placed else label.y)
    limit = HEIGHT - 8.0
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - apart
    x = WIDTH - RIGHT + 18
    return [
        f'<g class="name" fill="{label.colour}">{label.sign(x, y)}'
        f'<text x="{x + 14}" y="{y + 4:.1f}">{escape(label.name)}</text></g>'
        for y, label in zip(placed, ordered, strict=True)
    ]
