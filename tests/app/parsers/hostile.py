"""Builders of files that mean harm, each small to write down, however large it wants to become."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence

FONT = "/Resources << /Font << /F1 3 0 R >> >>"
WORD_NAMESPACE = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
PACKAGE = {
    "[Content_Types].xml": (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/word/document.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
    ),
    "_rels/.rels": (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Target="word/document.xml" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>'
    ),
}


def zip_of(entries: Mapping[str, bytes | str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in entries.items():
            container.writestr(name, content)
    return stream.getvalue()


def word_of(body: str, before: str = "", more: Mapping[str, bytes | str] | None = None) -> bytes:
    """A Word document with this XML in its body, ``before`` between declaration and root, and more parts."""
    document = f'<?xml version="1.0"?>{before}<w:document {WORD_NAMESPACE}><w:body>{body}</w:body></w:document>'
    return zip_of(PACKAGE | {"word/document.xml": document} | dict(more or {}))


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def understated(data: bytes, size: int = 100) -> bytes:
    """A zip container whose directory says of every entry that it unpacks to ``size`` bytes."""
    changed = bytearray(data)
    at = changed.find(b"PK\x01\x02")
    while at >= 0:
        changed[at + 24 : at + 28] = struct.pack("<I", size)
        at = changed.find(b"PK\x01\x02", at + 4)
    return bytes(changed)


def overlapping(entries: int, size: int) -> bytes:
    """A zip container whose entries are all the same bytes, unpacked anew for each."""
    single = zip_of({"word/document.xml": bytes(size)})
    directory = single.index(b"PK\x01\x02")
    end = single.index(b"PK\x05\x06")
    listed = single[directory:end] * entries
    closing = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, entries, entries, len(listed), directory, 0)
    return single[:directory] + listed + closing


def pdf_of(
    contents: Sequence[bytes],
    *,
    objects: Mapping[int, bytes] | None = None,
    catalog: str = "",
    page: str = FONT,
    kids: str = "",
    count: int | None = None,
    trailer: str = "",
) -> bytes:
    """A PDF with a page for each content stream; objects from number 100 on are free.

    ``catalog``, ``page`` and ``trailer`` are entries of those dictionaries, ``kids`` and ``count`` what the page tree
    says instead of the truth.
    """
    numbers = [10 + 2 * i for i in range(len(contents))]
    kids = kids or " ".join(f"{number} 0 R" for number in numbers)
    pages = len(contents) if count is None else count
    made: dict[int, bytes] = {
        1: f"<< /Type /Catalog /Pages 2 0 R {catalog} >>".encode(),
        2: f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode(),
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    }
    for number, content in zip(numbers, contents, strict=True):
        box = "" if "/MediaBox" in page else "/MediaBox [0 0 595 842]"
        made[number] = f"<< /Type /Page /Parent 2 0 R {box} /Contents {number + 1} 0 R {page} >>".encode()
        made[number + 1] = stream(content)
    made |= dict(objects or {})
    out = bytearray(b"%PDF-1.7\n")
    offsets = {}
    for number, body in made.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 1\n0000000000 65535 f \n"
    out += b"".join(b"%d 1\n%010d 00000 n \n" % item for item in sorted(offsets.items()))
    size = max(made) + 1
    out += f"trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def stream(content: bytes, entries: str = "") -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(content), entries.encode(), content)


def shown(text: str) -> bytes:
    """A content stream that draws a line of text."""
    return f"BT /F1 11 Tf 72 700 Td ({text}) Tj ET".encode()


def flated(content: bytes, times: int = 1) -> bytes:
    """A compressed stream, compressed several times over."""
    for _ in range(times):
        content = zlib.compress(content)
    return stream(content, "/Filter [" + "/FlateDecode " * times + "]")
