"""Stamp the parts of a page, so that the page can tell which of them it shows.

Updates reach a page on two ways, in the queue's stream and in answers to requests that are not queued. Neither waits
for the other, so the part sent last need not be the part shown: on a busy machine "queued" arrives after the outcome,
and would stay. Each part therefore begins with a stamp, which the page sends back with every poll.
"""

from __future__ import annotations

#: ``js`` of an event: of an input that begins with a stamp, the stamp alone is sent.
SEND_STAMPS = "(...values) => values.map(value => /^<!--[0-9a-f]{16}-->/.exec(value)?.[0] ?? value)"

STAMP = len("<!--0123456789abcdef-->")


def stamped(html: str) -> str:
    """Put a stamp before a part of a page: a comment with its hash."""
    return f"<!--{hash(html) & 0xFFFF_FFFF_FFFF_FFFF:016x}-->{html}"


def is_of(shown: str | None, part: str) -> bool:
    """Tell whether what a page shows, or its stamp, is of this stamped part."""
    return bool(shown) and part.startswith(str(shown)[:STAMP])
