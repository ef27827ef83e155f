"""Heat maps as SVG: shares over two keys, a panel for each setting; numbers in, text out.

Every cell says its share, so nothing rests on colour; cells have grounds of their own, so that a map reads the same on
light and on dark pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from ccf_core.evaluation.report.figure import INK

CELL_WIDTH, CELL_HEIGHT, GAP = 46, 24, 2
LEFT, TOP = 60, 66
#: Panels stand side by side as long as they fit this width.
WIDTH = 1100
LIGHT, DARK = (0xF4, 0xF1, 0xEA), (0x1D, 0x4F, 0x8C)


@dataclass(frozen=True)
class Panel:
    """``cells`` are shares, 0 to 1, by (column, row); a pair without one is drawn empty."""

    name: str
    cells: Mapping[tuple[str, str], float]


def svg(
    title: str, x_label: str, y_label: str, columns: Sequence[str], rows: Sequence[str], panels: Sequence[Panel]
) -> str:
    """Draw panels line by line, all with the same columns and rows. ValueError if there is nothing to draw."""
    if not (panels and columns and rows):
        raise ValueError("a heat map needs a panel, a column and a row")
    panel_width = LEFT + len(columns) * CELL_WIDTH + 24
    panel_height = TOP + len(rows) * CELL_HEIGHT + 22
    across = min(max(1, WIDTH // panel_width), len(panels))
    width, height = panel_width * across, 34 + panel_height * -(-len(panels) // across)
    parts = [f'<text x="16" y="24" fill="{INK}" font-size="15" font-weight="600">{escape(title)}</text>']
    for number, panel in enumerate(panels):
        x, y = number % across * panel_width, 34 + number // across * panel_height
        parts += _panel(panel, x, y, x_label, y_label, columns, rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12">\n<title>{escape(title)}</title>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _panel(
    panel: Panel, x: float, y: float, x_label: str, y_label: str, columns: Sequence[str], rows: Sequence[str]
) -> list[str]:
    middle = x + LEFT + len(columns) * CELL_WIDTH / 2
    parts = [
        f'<g class="panel"><title>{escape(panel.name)}</title>',
        f'<text x="{x + LEFT}" y="{y + 18}" fill="{INK}" font-weight="600">{escape(panel.name)}</text>',
        f'<text x="{middle:.0f}" y="{y + TOP - 28}" fill="{INK}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text transform="translate({x + 14} {y + TOP + len(rows) * CELL_HEIGHT / 2:.0f}) rotate(-90)" fill="{INK}" '
        f'text-anchor="middle">{escape(y_label)}</text>',
    ]
    for number, column in enumerate(columns):
        at = x + LEFT + (number + 0.5) * CELL_WIDTH
        parts.append(_words(at, y + TOP - 8, column, INK, "middle"))
    for number, row in enumerate(rows):
        top = y + TOP + number * CELL_HEIGHT
        parts.append(_words(x + LEFT - 8, top + CELL_HEIGHT / 2 + 4, row, INK, "end"))
        for place, column in enumerate(columns):
            left = x + LEFT + place * CELL_WIDTH
            parts.append(_cell(left, top, panel.cells.get((column, row)), f"{panel.name}, {column}, {row}"))
    return [*parts, "</g>"]


def _words(x: float, y: float, words: str, colour: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}" text-anchor="{anchor}">{escape(words)}</text>'


def _cell(left: float, top: float, share: float | None, name: str) -> str:
    box = f'<rect x="{left:.0f}" y="{top:.0f}" width="{CELL_WIDTH - GAP}" height="{CELL_HEIGHT - GAP}"'
    if share is None:
        return f'{box} fill="none" stroke="{INK}" stroke-opacity="0.3"><title>{escape(name)}: not run</title></rect>'
    ground = "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(LIGHT, DARK, strict=True))
    ink = "#ffffff" if share > 0.5 else "#222222"
    x, y = left + (CELL_WIDTH - GAP) / 2, top + (CELL_HEIGHT - GAP) / 2 + 4
    return f'{box} fill="#{ground}"><title>{escape(name)}</title></rect>' + _words(
        x, y, f"{100 * share:.0f}", ink, "middle"
    )
