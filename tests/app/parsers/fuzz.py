"""Coverage-guided fuzzing of one reader: ``python -m tests.app.parsers.fuzz KIND [options of libFuzzer]``.

KIND is the name of a kind (`app/parsers/kinds.py`), or word-xml or odt-xml: the inside of a docx or an odt, which as
containers hardly survive being changed. Inputs that reach new code of the reader or of its libraries are kept and
changed further. It ends at the first broken promise, with the input in a file; without one after ``-runs=N`` inputs or
``-max_total_time=SECONDS``. It needs ``pip install atheris``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import atheris

LIBRARIES = [
    "pypdf",
    "bs4",
    "markdown_it",
    "openpyxl",
    "pptx",
    "striprtf",
    "olefile",
    "compressed_rtf",
    "email",
    "csv",
]
with atheris.instrument_imports(include=["app.parsers", *LIBRARIES]):
    from app.parsers.kinds import KINDS

    for _kind in KINDS:
        import_module(f"app.parsers.{_kind.module}")

from tests.app.parsers.any_files import NAMES, whole  # noqa: E402
from tests.app.parsers.hostile import paragraph, word_of  # noqa: E402
from tests.app.parsers.office_files import opendocument_of  # noqa: E402
from tests.app.parsers.test_properties import check  # noqa: E402

INSIDE: dict[str, tuple[Callable[[str], bytes], str, str]] = {
    "word-xml": (word_of, NAMES["docx"], paragraph("Some words.")),
    "odt-xml": (partial(opendocument_of, "odt"), NAMES["odt"], "<text:p>Some words.</text:p>"),
}


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else ""
    if kind not in (*NAMES, *INSIDE):
        sys.exit(f"Name what to fuzz: {', '.join((*NAMES, *INSIDE))}.")

    def once(data: bytes) -> None:
        if kind in INSIDE:
            build, name, _ = INSIDE[kind]
            check(build(data.decode("utf-8", "replace")), name)
        else:
            check(data, NAMES[kind])

    with tempfile.TemporaryDirectory() as corpus:
        (Path(corpus) / "whole").write_bytes(INSIDE[kind][2].encode() if kind in INSIDE else whole(kind))
        atheris.Setup([sys.argv[0], "-timeout=120", "-rss_limit_mb=3000", "-max_len=4096", *sys.argv[2:], corpus], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
