"""One table names the kinds: to detection, page, command line, endpoints and README."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from app.cli.main import command_parser
from app.parsers import KINDS, UnsupportedDocument, read
from app.parsers.kinds import SUFFIXES, WORDS

ROOT = Path(__file__).parents[3]


def test_every_kind_has_a_reader_and_a_suffix_of_its_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert len(set(SUFFIXES)) == sum(len(kind.suffixes) for kind in KINDS)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in SUFFIXES)
    for kind in KINDS:
        assert callable(import_module(f"app.parsers.{kind.module}").read)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.certain], ids=lambda kind: kind.name)
def test_the_name_chooses_among_kinds_of_text(kind) -> None:
    mail = b"From: a@example.org\nSubject: x\nContent-Type: text/html\n\n<p>Words."
    data = {"notebook": b'{"cells": [{"cell_type": "raw", "source": "Words."}]}', "mail": mail, "mhtml": mail}
    document = read(data.get(kind.name, b"Words."), f"x{kind.suffixes[0].upper()}")
    assert "Words." in document.text
    assert document.media_type == kind.media_type


def test_what_is_refused_is_told_what_to_choose() -> None:
    with pytest.raises(UnsupportedDocument) as caught:
        read(b"\x89PNG\r\n\x1a\n" + bytes(40), "x.png")
    assert str(caught.value).endswith(f"choose a {WORDS} file.")


def test_people_read_the_same_list() -> None:
    _, commands = command_parser("ccf")
    assert " ".join(commands.choices["ingest"].format_help().split()).count(WORDS) == 1
    assert WORDS in (ROOT / "README.md").read_text(encoding="utf-8")
    assert WORDS in (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_table_brings_no_library() -> None:
    script = "import sys; import app.parsers.kinds; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    libraries = {"lxml", "bs4", "pypdf", "docx", "openpyxl", "pptx", "olefile", "striprtf", "chardet", "markdown_it"}
    assert not libraries & set(loaded.split())
