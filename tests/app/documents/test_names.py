"""Files are named beside titles: on one line, not too long, and once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.documents import names
from app.parsers import LeftOut, ReadDocument
from app.workbench import Workbench


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        (r"C:\Users\me\契約書.docx", "契約書.docx"),
        ("a\nb\u202egpj.exe", "a b gpj.exe"),
        (".bashrc", ".bashrc"),
        ("half\udce9.txt", "half.txt"),
        ("", ""),
        ("x" * 200 + ".docx", "x" * 74 + "….docx"),
        ("x." * 5000 + "tar.gz", "x." * 38 + "….gz"),
    ],
)
def test_a_name_fits_on_one_line_and_keeps_its_suffix(path: str, name: str) -> None:
    assert names.file_name(path) == name
    assert len(names.file_name(path)) <= names.LENGTH


@pytest.mark.parametrize(
    ("title", "filename", "full"),
    [
        ("Report 7", "report_7.pdf", "Report 7"),
        ("report.pdf", "report.pdf", "report.pdf"),
        ("Report 7", "scan-0001.pdf", "Report 7 (scan-0001.pdf)"),
        ("Report 7", "", "Report 7"),
        ("A long name that was …", "A long name that was cut somewhere.txt", "A long name that was …"),
        ("…", "log.txt", "… (log.txt)"),
        ("Cafe\u0301", "Café.txt", "Cafe\u0301"),
    ],
)
def test_a_file_is_named_once(title: str, filename: str, full: str) -> None:
    assert names.full_name(title, filename) == full


def test_a_document_knows_its_file_and_what_was_left_out_of_it(
    workbench: Workbench, prose: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    left_out = (LeftOut("Navigation", "Home\nNews"),)
    read = ReadDocument("Harbour log", prose(), "text/html", (), (), left_out)
    monkeypatch.setattr("app.documents.ingest.read_in_sandbox", lambda data, name, **told: read)
    document = workbench.intake.ingest(b"<html>", "saved/page\u202e 7.html").document
    assert (document.title, document.filename) == ("Harbour log", "page 7.html")
    assert workbench.library.left_out(document.sha256) == left_out
    passage = workbench.library.passage(document.sha256, 0, 0)
    assert (passage.filename, passage.left_out) == ("page 7.html", left_out)
    assert "Home" not in workbench.library.text(document.sha256)
    *_, answer = workbench.asking.ask("What did the fog hide?", [document.sha256], as_asked=True)
    assert {item.filename for item in answer.evidence} == {"page 7.html"}
    workbench.library.delete(document.sha256)
    assert b"News" not in workbench.store.path.read_bytes()


def test_a_queued_file_is_named_and_pasted_text_has_no_file(
    workbench: Workbench, prose: Callable[..., str], tmp_path
) -> None:
    file = tmp_path / ("long " * 30 + "name.md")
    file.write_text(f"# Log\n\n{prose(seed=1)}", encoding="utf-8")
    workbench.queue.add_file(file)
    workbench.queue.add_text(prose(seed=2), "Pasted")
    while workbench.queue.work():
        pass
    pasted, queued = workbench.library.documents()
    assert (queued.title, queued.filename) == ("Log", "long " * 15 + "l….md")
    assert (queued.media_type, pasted.filename) == ("text/markdown", "")
    done = workbench.intake.ingest_text(prose(seed=3))
    assert done.document.filename == ""
