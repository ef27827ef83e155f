"""Names of files as people read them: on one line, cut in the middle, and said once beside a title."""

from __future__ import annotations

import re
import unicodedata

from app.parsers.kinds import base_name
from app.parsers.normalise import one_line

LENGTH = 80

_SUFFIX = re.compile(r"\.\w{1,10}$")


def file_name(path: str) -> str:
    """Cut a file's name to one line without control or bidirectional characters; a long one keeps its suffix."""
    name = base_name(path[-1000:])
    suffix = _SUFFIX.search(name)
    stem, ending = (name[: suffix.start()], suffix[0]) if suffix else (name, "")
    line = one_line(stem)
    room = LENGTH - len(ending)
    return (line if len(line) <= room else line[: room - 1].rstrip() + "…") + ending


def name_beside(title: str, filename: str) -> str:
    """Return a file's name to stand beside a document's title, or "" where the title is made of it."""
    said = _plain(title)
    names = {_plain(filename), _plain(_SUFFIX.sub("", filename))}
    cut = said[1:].endswith("…") and any(name.startswith(said[:-1].rstrip()) for name in names)
    return "" if cut or said in names else filename


def full_name(title: str, filename: str) -> str:
    """Return a title with its file's name in parentheses, where that says more."""
    name = name_beside(title, filename)
    return f"{title} ({name})" if name else title


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().replace("_", " ").split())
