"""Parse JSON: as it stands, or laid out in lines if it is written without them."""

import json
import re
from collections.abc import Iterator

from app.parsers.encoding import decode
from app.parsers.types import Draft, Limits

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++|"', re.S)
_LONG_LINE = 1_000
_DEEPEST = 40
_ESCAPED = re.compile(r"\\u[0-9a-fA-F]{4}")
#: A string of so many characters without a blank is a picture or a key, in letters.
_ENCODED = re.compile(r'"[^"\s\\]{1000,}"')


def read(data: bytes, limits: Limits) -> Draft:
    """Read values by their names, one a line; escaped characters are decoded, numbers stay as they are written."""
    text, notes = decode(data)
    limits.check_characters(len(text))
    encoded = len(_ENCODED.findall(text))
    if encoded:
        text = _ENCODED.sub('"…"', text)
        which = "1 value of more than 1,000 characters without a blank was"
        many = f"{encoded:,} values of more than 1,000 characters without a blank were"
        notes = (*notes, f"{many if encoded > 1 else which} left out as “…”.")
    if max(map(len, text.split("\n"))) > _LONG_LINE:
        text = "".join(_laid_out(text))
    elif _ESCAPED.search(text):
        text = _TOKEN.sub(lambda token: _unescaped(token[0]), text)
    return Draft(pages=((0, text),), notes=notes)


def _laid_out(text: str) -> Iterator[str]:
    """Give every value a line of its own, without recursion: depth has no bound."""
    depth = 0
    before = ""
    for token in (match[0] for match in _TOKEN.finditer(text)):
        if token in "}]":
            depth = max(depth - 1, 0)
            yield "" if before in ("{", "[") else _line(depth)
        elif before in ("{", "[") or (before == "," and token not in "}]"):
            yield _line(depth)
        elif before and not depth and before != ":":
            yield "\n"
        yield _unescaped(token) + (" " if token == ":" else "")
        depth += token in ("{", "[")
        before = token


def _line(depth: int) -> str:
    return "\n" + " " * min(depth, _DEEPEST)


def _unescaped(token: str) -> str:
    """Decode the characters that a string escapes, other than its quotation marks and ends of lines."""
    if not token.startswith('"') or not _ESCAPED.search(token):
        return token
    try:
        return json.dumps(json.loads(token, strict=False), ensure_ascii=False)
    except ValueError:
        return token
