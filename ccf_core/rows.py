"""Rows of text and questions in files of JSON lines, as training and evaluation read them."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}


def read_rows(path: str | Path) -> Iterator[dict]:
    """Yield the rows of a file of JSON lines, plain or packed as .gz or .xz.

    Raises OSError, EOFError or LZMAError for a file that cannot be read or unpacked; ValueError for a line that is no
    JSON.
    """
    path = Path(path)
    with _OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
