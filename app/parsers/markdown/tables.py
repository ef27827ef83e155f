"""Widen Markdown tables to their longest row, for Markdown drops what is beyond the head's columns."""

import re

from markdown_it.token import Token

_BAR = re.compile(r"\\.|(`++)[^`]++\1(?!`)|`++|\|")


def widened(source: str, tokens: list[Token]) -> str:
    """Return a source whose tables have a head for every cell, and no bar that divides source code."""
    spans = [token.map for token in tokens if token.type == "table_open" and token.map]
    if not spans:
        return source
    lines = source.split("\n")
    for start, end in spans:
        rows = [_BAR.sub(_undivided, line) for line in lines[start:end]]
        widths = [_width(row) for row in rows]
        missing = max(widths) - widths[0]
        if missing > 0:
            rows[0] += "  |" * missing if _is_closed(rows[0]) else " |" + "  |" * missing
            rows[1] += "---|" * missing if _is_closed(rows[1]) else "|" + "---|" * missing
        lines[start:end] = rows
    return "\n".join(lines)


def _undivided(match: re.Match[str]) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", match.group()) if match.group(1) else match.group()


def _width(row: str) -> int:
    row = row.lstrip(" >\t")
    bars = sum(match.group() == "|" for match in _BAR.finditer(row))
    return bars + 1 - row.startswith("|") - _is_closed(row)


def _is_closed(row: str) -> bool:
    return row.rstrip().endswith("|") and not row.rstrip().endswith("\\|")
