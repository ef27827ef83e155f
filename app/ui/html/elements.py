"""Elements that several parts of the page are made of. Text given to them is escaped here, unless it says HTML."""

from __future__ import annotations

from collections.abc import Iterable

from app.documents.names import name_beside
from app.ui.html.escape import escape

#: The line with ticks that stands under the head and fills while a file is compressed.
RULER = '<div class="ruler" aria-hidden="true"></div>'
#: Kinds of notice and the sign that tells them apart without colour.
NOTICES = {"info": "i", "success": "✓", "warning": "▲", "error": "✕"}


def notice(kind: str, text: str) -> str:
    """Make a sentence to the user stand out; ``kind`` is a key of ``NOTICES``, anything else raises ValueError."""
    if kind not in NOTICES:
        raise ValueError(f"A notice is one of {', '.join(NOTICES)}, not {kind!r}.")
    role = "alert" if kind == "error" else "status"
    sign = f'<span class="ccf-sign" aria-hidden="true">{NOTICES[kind]}</span>'
    return f'<div class="ccf-notice ccf-{kind}" role="{role}">{sign}<span dir="auto">{escape(text)}</span></div>'


def notes(sentences: Iterable[str], kind: str = "info") -> str:
    """Make a notice of each of a result's notes."""
    return "".join(notice(kind, sentence) for sentence in sentences)


def note(text: str, status: bool = False) -> str:
    """Make a quiet paragraph; ``status``: screen readers say it when it changes."""
    return f'<p class="wb-note"{_STATUS if status else ""}>{escape(text)}</p>'


def progress(text: str, label: str, done: float | None = None) -> str:
    """Say what goes on, with a bar that screen readers call ``label``; ``done`` is the share done, if known."""
    share = "" if done is None else f' max="1" value="{done:.3f}"'
    return f'<p class="wb-note"{_STATUS}>{escape(text)} <progress{share} aria-label="{escape(label)}"></progress></p>'


def button(act: str, label: str, of: object = "", name: str = "") -> str:
    """Make a button that raises the event ``act``; ``name`` tells screen readers what it works on."""
    said = f' aria-label="{escape(f"{label} {name}")}"' if name else ""
    return f'<button type="button" class="wb-link" data-act="{act}" data-of="{of}"{said}>{label}</button>'


def file_beside(title: str, filename: str, css: str) -> str:
    """Show the name of a document's file, if it says more than the title."""
    name = name_beside(title, filename)
    return f'<span class="{css}" dir="auto">{escape(name)}</span>' if name else ""


def facts(rows: Iterable[tuple[str, str, str]], css: str = "wb-cost") -> str:
    """List (name, value, definition); the definition shows on hover."""
    cells = "".join(
        f'<div title="{escape(means)}"><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>'
        for name, value, means in rows
    )
    return f'<dl class="{css}">{cells}</dl>'


def table(css: str, heads: Iterable[tuple[str, str]], rows: Iterable[Iterable[str]], label: str = "") -> str:
    """Make a table; each of ``heads`` is (name, definition on hover), the first cell of a row is its heading.

    With a ``label`` the keyboard can scroll it where it is wider than the page.
    """
    head = "".join(f'<th scope="col"{_title(means)}>{escape(name)}</th>' for name, means in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for first, *cells in rows
    )
    region = f' tabindex="0" role="region" aria-label="{escape(label)}"' if label else ""
    return (
        f'<div class="wb-scroll"{region}><table class="wb-table {css}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _title(means: str) -> str:
    return f' title="{escape(means)}"' if means else ""


_STATUS = ' role="status"'
