"""Pages that are pictures are read by Tesseract where the machine has it, within the time there is, with notes."""

from __future__ import annotations

import io
import os
import shutil
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pypdfium2
import pytest
from PIL import Image, ImageDraw

from app.parsers import Limits, NoTextInDocument, read, read_in_sandbox
from ccf_core import Cancelled
from tests.app.parsers.hostile import FONT, pdf_of, shown, stream
from tests.papers import pdf, wrapped

PROSE = "The harbour of Lindness was built in three years by men who had never seen the sea before they came."
HEADER = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"

needs_tesseract = pytest.mark.skipif(not shutil.which("tesseract"), reason="Tesseract is not installed")
needs_scripts = pytest.mark.skipif(sys.platform == "win32", reason="the program that stands in is a shell script")


def scanned(data: bytes) -> bytes:
    """Print a PDF's pages as pictures into another one."""
    pictures = [page.render(scale=200 / 72, grayscale=True).to_pil() for page in pypdfium2.PdfDocument(data)]
    written = io.BytesIO()
    pictures[0].save(written, "PDF", save_all=True, append_images=pictures[1:], resolution=200)
    return written.getvalue()


def picture(pages: int) -> bytes:
    """A PDF of pictures with a line on each."""
    image = Image.new("L", (400, 300), 255)
    ImageDraw.Draw(image).line((9, 9, 300, 200), fill=0, width=5)
    written = io.BytesIO()
    image.save(written, "PDF", save_all=True, append_images=[image] * (pages - 1))
    return written.getvalue()


def table(text: str, confidence: int = 90) -> str:
    """Write Tesseract's table of one line of words."""
    return "\n".join(
        [HEADER]
        + [f"5\t1\t1\t1\t1\t{i}\t{100 * i}\t50\t90\t20\t{confidence}\t{word}" for i, word in enumerate(text.split(), 1)]
    )


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a program under Tesseract's name that says it has some languages, and does as told for a picture."""

    def install(doing: str, languages: str = "eng deu osd") -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "tesseract"
        listed = "\\n".join(["List of available languages:", *languages.split()])
        program.write_text(
            f'#!/bin/sh\nif [ "$1" = "--list-langs" ]; then printf "{listed}\\n"; exit 0; fi\n'
            f'echo "$@" >> {tmp_path}/asked\ncat > /dev/null\n{doing}\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return tmp_path / "asked"

    return install


@pytest.fixture
def without_tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@needs_tesseract
def test_a_scan_is_read() -> None:
    document = read_in_sandbox(scanned(wrapped(PROSE, f"{PROSE} Nobody remembers why.")), "scan.pdf")
    assert "harbour of Lindness was built in three years" in document.text
    assert [page.number for page in document.pages] == [1, 2]
    (note,) = document.notes
    assert note.startswith("Pages 1 to 2 were recognised from pictures (OCR) with ")
    assert note.endswith("% confidence; check names and numbers.")


@needs_tesseract
def test_a_font_that_maps_to_nonsense_is_read_from_its_picture() -> None:
    mapped = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding /ToUnicode 100 0 R >>"
    nonsense = b"".join(b"<%02x> <%04x>\n" % (code, 33 + 7 * (code % 12)) for code in range(32, 126))
    mapping = b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00><ff> endcodespacerange\n"
    mapping += b"94 beginbfchar\n%bendbfchar endcmap" % nonsense
    lines = textwrap.wrap(PROSE, 60)
    drawn = b"BT /F1 14 Tf 72 700 Td " + b"".join(b"(%b) Tj 0 -20 Td " % line.encode() for line in lines) + b"ET"
    stream = b"<< /Length %d >>\nstream\n%b\nendstream" % (len(mapping), mapping)
    document = read(pdf_of([drawn], objects={3: mapped, 100: stream}), "x.pdf")
    assert "built in three years" in document.text
    assert "recognised from pictures" in document.notes[0]


def test_without_tesseract_the_sentence_says_how_to_get_it(without_tesseract: None) -> None:
    with pytest.raises(NoTextInDocument, match="install Tesseract on this machine for text recognition"):
        read(picture(2), "scan.pdf")


def test_without_tesseract_pages_with_text_are_read(without_tesseract: None) -> None:
    image = Image.new("L", (40, 30), 99).tobytes()
    drawn = b"q 595 0 0 842 0 0 cm /I Do Q"
    resources = FONT.replace(">> >>", ">> /XObject << /I 100 0 R >> >>")
    entries = b"/Subtype /Image /Width 40 /Height 30 /BitsPerComponent 8 /ColorSpace /DeviceGray"
    objects = {100: b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(image), entries, image)}
    document = read(pdf_of([shown("One."), drawn], page=resources, objects=objects), "x.pdf")
    assert document.text == "One."
    assert document.notes == (
        "Page 2 holds no text (perhaps a scan).",
        "Pictures of text can be read (OCR) once Tesseract is installed on this machine.",
    )


@pytest.mark.parametrize(("encoding", "noted"), [(b"", True), (b"/Encoding /WinAnsiEncoding", False)])
def test_a_few_signs_of_a_font_without_a_map_are_noted(without_tesseract: None, encoding: bytes, noted: bool) -> None:
    objects = {
        3: b"<< /Type /Font /Subtype /TrueType /BaseFont /ABCDEF+Bold /FontDescriptor 100 0 R %b >>" % encoding,
        100: b"<< /Type /FontDescriptor /FontName /ABCDEF+Bold /Flags 4 /FontFile2 101 0 R >>",
        101: stream(b"no font"),
    }
    document = read(pdf_of([b'BT /F1 11 Tf 72 700 Td ("7+%-) Tj ET'], objects=objects), "x.pdf")
    assert any("no known meaning" in note for note in document.notes) is noted


@needs_scripts
def test_languages_are_those_installed_or_chosen(stand_in, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stand_in(f"printf '%s' '{table('Some words.')}'", "osd fra deu eng")
    assert read(picture(1), "scan.pdf").text == "Some words."
    assert "-l eng+deu+fra " in asked.read_text()
    monkeypatch.setenv("CCF_OCR_LANGUAGES", "jpn")
    read(picture(1), "scan.pdf")
    assert "-l jpn " in asked.read_text()


@needs_scripts
def test_what_was_hardly_recognised_is_left_alone(stand_in) -> None:
    stand_in(f"printf '%s' '{table('~ ,: |', confidence=21)}'")
    with pytest.raises(NoTextInDocument, match="makes out no text"):
        read(picture(1), "photo.pdf")


@needs_scripts
@pytest.mark.parametrize("doing", ["exit 3", "kill -9 $$", "printf 'no table'", "head -c 9000 /dev/urandom"])
def test_a_program_that_fails_is_no_text(stand_in, doing: str) -> None:
    stand_in(doing)
    with pytest.raises(NoTextInDocument):
        read(picture(1), "scan.pdf")


@needs_scripts
def test_pages_beyond_the_time_are_named(stand_in) -> None:
    stand_in(f"sleep 1.5; printf '%s' '{table('Some words.')}'")
    document = read_in_sandbox(picture(30), "scan.pdf", Limits(seconds=6))
    read_pages = [page.number for page in document.pages]
    assert read_pages == list(range(1, len(read_pages) + 1))
    assert 1 <= len(read_pages) < 30
    assert document.notes[1].startswith(f"Pages {len(read_pages) + 1} to 30 are pictures that were not recognised")


@needs_scripts
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_cancelling_ends_the_program_too(stand_in) -> None:
    asked = stand_in("exec sleep 612")

    def cancel() -> None:
        if asked.exists():
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        read_in_sandbox(picture(1), "scan.pdf", watch=cancel)
    for _ in range(100):
        if not any(process.info["cmdline"] == ["sleep", "612"] for process in psutil.process_iter(["cmdline"])):
            return
        time.sleep(0.1)
    pytest.fail("The program goes on without its parent.")


@needs_scripts
def test_pages_with_text_are_not_recognised(stand_in) -> None:
    asked = stand_in(f"printf '%s' '{table('Some words.')}'")
    assert read(pdf([["A page of words."]]), "x.pdf").text == "A page of words."
    assert not asked.exists()


@needs_scripts
def test_whoever_waits_is_told_how_far_recognition_is(stand_in) -> None:
    stand_in(f"cat <<'END'\n{table(PROSE)}\nEND")
    steps: list[str] = []
    document = read_in_sandbox(picture(3), "scan.pdf", progress=steps.append)
    assert document.text.count("harbour") == 3
    assert set(steps) <= {"recognising the pictures of 3 pages", *(f"{n} of 3 pages recognised" for n in (1, 2, 3))}


@needs_scripts
def test_the_first_step_is_told_while_the_pages_are_recognised(stand_in, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    stand_in(f"while [ ! -e {go_on} ]; do sleep .05; done\ncat <<'END'\n{table(PROSE)}\nEND")
    steps: list[str] = []

    def hear(step: str) -> None:
        steps.append(step)
        go_on.touch()

    read_in_sandbox(picture(2), "scan.pdf", progress=hear)
    assert steps[0] == "recognising the pictures of 2 pages"
