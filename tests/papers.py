"""Builders of small real files, written here so that each test shows what its file holds."""

import io
import zipfile
from collections.abc import Callable, Sequence

import docx
import pytest
from docx.document import Document
from pypdf import PdfReader, PdfWriter


def build_pdf(
    pages: Sequence[Sequence[str]], title: str = "", password: str | None = None, algorithm: str = "RC4-128"
) -> bytes:
    """A PDF with one text line below the other on each page; a page without lines holds a drawing only."""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    kids = []
    for lines in pages:
        drawn = "".join(
            f"BT /F1 11 Tf 72 {760 - 14 * i} Td ({_escape(line)}) Tj ET\n" for i, line in enumerate(lines) if line
        )
        content = drawn or "0.5 g 100 100 300 300 re f\n"
        page = len(objects) + 1
        kids.append(f"{page} 0 R")
        resources = "/Resources << /Font << /F1 3 0 R >> >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] {resources} /Contents {page + 1} 0 R >>")
        objects.append(f"<< /Length {len(content.encode('cp1252'))} >>\nstream\n{content}endstream")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("cp1252")
    xref = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n".encode()
    if not title and password is None:
        return bytes(out)
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(out)))
    if title:
        writer.add_metadata({"/Title": title})
    if password is not None:
        writer.encrypt(user_password=password, owner_password="owner", algorithm=algorithm)
    return _bytes(writer.write)


def _escape(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def build_docx(fill: Callable[[Document], object]) -> bytes:
    document = docx.Document()
    fill(document)
    return _bytes(document.save)


def build_zip(entries: dict[str, bytes]) -> bytes:
    def write(stream: io.BytesIO) -> None:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as container:
            for name, content in entries.items():
                container.writestr(name, content)

    return _bytes(write)


def _bytes(write: Callable[[io.BytesIO], object]) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


@pytest.fixture(name="build_pdf")
def _build_pdf() -> Callable[..., bytes]:
    return build_pdf


@pytest.fixture(name="build_docx")
def _build_docx() -> Callable[[Callable[[Document], object]], bytes]:
    return build_docx


@pytest.fixture(name="build_zip")
def _build_zip() -> Callable[[dict[str, bytes]], bytes]:
    return build_zip
