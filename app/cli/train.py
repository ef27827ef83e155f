"""``ccf train --data DIR``: read a folder of documents of any kind into rows of text to train on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from app.cli.progress import Meter
from app.errors import NothingIngested
from ccf_core.cli import CommandParser

#: What is read of a folder, in the folder of the run.
ROWS = "documents.jsonl"


def with_rows(argv: Sequence[str]) -> list[str]:
    """Read the documents of ``--data`` into a file of rows, once, and return ``argv`` with that file in its place.

    Documents that cannot be read are named on stderr and left out. Raises NothingIngested if none can, and OSError.
    """
    parser = CommandParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    given, rest = parser.parse_known_args(argv)
    if not (given.data and given.out) or {"-h", "--help"} & set(rest):
        return list(argv)
    rows = given.out / ROWS
    meter = Meter(sys.stderr)
    if rows.exists():
        meter.say(f"The texts of {given.data} are those in {rows}, read before: take that file away to read them anew.")
    else:
        given.out.mkdir(parents=True, exist_ok=True)
        part = rows.with_suffix(f".{os.getpid()}.part")
        part.write_text("".join(json.dumps(row) + "\n" for row in _read(given.data, meter)), encoding="utf-8")
        part.replace(rows)
    return [*rest, "--out", str(given.out), "--text", str(rows)]


def _read(folder: Path, meter: Meter) -> list[dict[str, str]]:
    from app.documents.bulk_ingest import files_below
    from app.parsers import Limits, ReadError, read_in_sandbox

    found: list[dict[str, str]] = []
    files = files_below(folder)
    for number, path in enumerate(files, 1):
        meter.count("reading", number, len(files))
        try:
            Limits().check_size(path.stat().st_size)
            read = read_in_sandbox(path.read_bytes(), path.name)
            found.append({"source": path.name, "title": read.title, "text": read.text})
        except (ReadError, OSError) as error:
            meter.say(f"not taken: {path.relative_to(folder)}: {getattr(error, 'strerror', None) or error}")
    meter.say(f"{len(found):,} of {len(files):,} documents were read.")
    if not found:
        raise NothingIngested(f"None of the {len(files):,} files in {folder} could be read: name another folder.")
    return found
