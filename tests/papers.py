"""Small PDF files, built byte by byte, so that a test knows what its file holds."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence

from pypdf import PdfReader, PdfWriter

LINES_ON_A_PAGE = 40


def pdf(
    pages: Sequence[Sequence[str]], title: str = "", password: str | None = None, algorithm: str = "RC4-128"
) -> bytes:
    """Build a PDF with one text line below the other on each page; a page without lines holds a drawing only."""
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
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def _escape(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def paper(lines: Sequence[str], title: str = "A test paper", password: str | None = None) -> bytes:
    """Build a PDF of ``lines``, forty to a page."""
    pages = [lines[i : i + LINES_ON_A_PAGE] for i in range(0, len(lines), LINES_ON_A_PAGE)]
    return pdf(pages, title, password, "AES-256")


def wrapped(*texts: str) -> bytes:
    """Build a PDF of one page for each text, in lines of 80 characters; an empty text is a drawing."""
    return pdf([textwrap.wrap(text, 80) for text in texts])
