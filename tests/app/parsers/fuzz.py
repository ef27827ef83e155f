"""Coverage-guided fuzzing of one reader: ``python -m tests.app.parsers.fuzz KIND [options of libFuzzer]``.

KIND is pdf, docx, html, markdown, text, or word-xml: the inside of a docx, which as a container hardly survives being
changed. Inputs that reach new code of the reader or of its libraries are kept and changed further. It ends at the first
broken promise, with the input in a file; without one after ``-runs=N`` inputs or ``-max_total_time=SECONDS``. It needs
``pip install atheris``.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path

import atheris

KINDS = ("pdf", "docx", "html", "markdown", "text")
with atheris.instrument_imports(include=["app.parsers", "pypdf", "bs4", "markdown_it"]):
    for _kind in KINDS:
        import_module(f"app.parsers.{_kind}")

from tests.app.parsers.hostile import paragraph, word_of  # noqa: E402
from tests.app.parsers.test_properties import NAMES, check, whole  # noqa: E402

INSIDE = "word-xml"


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else ""
    if kind not in (*KINDS, INSIDE):
        sys.exit(f"Name what to fuzz: {', '.join((*KINDS, INSIDE))}.")

    def once(data: bytes) -> None:
        if kind == INSIDE:
            check(word_of(data.decode("utf-8", "replace")), NAMES["docx"])
        else:
            check(data, NAMES[kind])

    with tempfile.TemporaryDirectory() as corpus:
        (Path(corpus) / "whole").write_bytes(paragraph("Some words.").encode() if kind == INSIDE else whole(kind))
        atheris.Setup([sys.argv[0], "-timeout=120", "-rss_limit_mb=3000", "-max_len=4096", *sys.argv[2:], corpus], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
