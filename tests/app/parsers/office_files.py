"""Builders of small spreadsheets, presentations, OpenDocument files, e-books and Outlook mails."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Mapping, Sequence

import openpyxl
import pptx

from tests.app.parsers.hostile import zip_of

OFFICE = "urn:oasis:names:tc:opendocument:xmlns:"
ODF = " ".join(f'xmlns:{name}="{OFFICE}{name}:1.0"' for name in ("office", "text", "table", "style"))
ODF += f' xmlns:draw="{OFFICE}drawing:1.0" xmlns:presentation="{OFFICE}presentation:1.0"'
SORTS = {"odt": "text", "ods": "spreadsheet", "odp": "presentation"}
EPUB_CONTAINER = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'


def workbook_of(rows: Sequence[Sequence[object]], name: str = "Sheet1") -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = name
    for row in rows:
        sheet.append(list(row))
    return saved(book)


def slides_of(text: str) -> bytes:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    slide.shapes.add_textbox(0, 0, 9, 9).text_frame.text = text
    return saved(presentation)


def diagram_of(points: Sequence[str], joins: Sequence[tuple[str, str]]) -> str:
    """The data of a SmartArt diagram; the points are joined by their texts, the first is the whole."""
    space = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
    a = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    made = "".join(
        f'<pt modelId="{text}" type="{"doc" if text == points[0] else "node"}"><t><a:p {a}>'
        f"<a:r><a:t>{text if text != points[0] else ''}</a:t></a:r></a:p></t></pt>"
        for text in points
    )
    joined = "".join(f'<cxn srcId="{a}" destId="{b}" srcOrd="{at}"/>' for at, (a, b) in enumerate(joins))
    return f'<dataModel xmlns="{space}"><ptLst>{made}</ptLst><cxnLst>{joined}</cxnLst></dataModel>'


def sheet_of(rows: str, before: str = "") -> bytes:
    """A workbook whose sheet holds this XML, with ``before`` between declaration and root."""
    whole = zipfile.ZipFile(io.BytesIO(workbook_of([["a"]])))
    entries: dict[str, bytes | str] = {name: whole.read(name) for name in whole.namelist()}
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = f'<worksheet xmlns="{space}"><sheetData>{rows}</sheetData></worksheet>'
    return zip_of(entries | {"xl/worksheets/sheet1.xml": f'<?xml version="1.0"?>{before}{sheet}'})


def strict_of(data: bytes) -> bytes:
    """The Strict variant of an Office file: the same elements in namespaces that are named otherwise."""
    whole = zipfile.ZipFile(io.BytesIO(data))
    usual = rb"http://schemas\.openxmlformats\.org/((?!package)\w+)/2006/"
    return zip_of(
        {name: re.sub(usual, rb"http://purl.oclc.org/ooxml/\1/", whole.read(name)) for name in whole.namelist()}
    )


def saved(book: object) -> bytes:
    stream = io.BytesIO()
    book.save(stream)  # type: ignore[attr-defined]
    return stream.getvalue()


def opendocument_of(
    sort: str, body: str, styles: str = "", before: str = "", more: Mapping[str, bytes | str] | None = None
) -> bytes:
    """An odt, ods or odp with this XML in its body; ``styles`` are automatic ones."""
    element = f"office:{SORTS[sort]}"
    content = (
        f'<?xml version="1.0"?>{before}<office:document-content {ODF}>'
        f"<office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><{element}>{body}</{element}></office:body></office:document-content>"
    )
    kind = f"application/vnd.oasis.opendocument.{SORTS[sort]}"
    return zip_of({"mimetype": kind, "content.xml": content} | dict(more or {}))


def flat_opendocument_of(sort: str, body: str, before: str = "") -> bytes:
    """A fodt, fods or fodp with this XML in its body; its title is "Flat"."""
    element = f"office:{SORTS[sort]}"
    names = f'{ODF} xmlns:dc="http://purl.org/dc/elements/1.1/"'
    return (
        f'{before}<office:document {names} office:mimetype="application/vnd.oasis.opendocument.{SORTS[sort]}">'
        "<office:meta><dc:title>Flat</dc:title></office:meta>"
        f"<office:body><{element}>{body}</{element}></office:body></office:document>"
    ).encode()


def book_of(chapters: Sequence[str], title: str = "", more: Mapping[str, bytes | str] | None = None) -> bytes:
    items = "".join(
        f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    package = (
        '<package xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<metadata><dc:title>{title}</dc:title></metadata><manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    entries: dict[str, bytes | str] = {"mimetype": "application/epub+zip", "META-INF/container.xml": EPUB_CONTAINER}
    entries |= {"OPS/book.opf": package} | {f"OPS/c{n}.xhtml": text for n, text in enumerate(chapters)}
    return zip_of(entries | dict(more or {}))


def outlook_of(streams: Mapping[str, bytes]) -> bytes:
    """A compound file with these short streams; a name may have one folder before it, parted by "/"."""
    folders = sorted({name.split("/")[0] for name in streams if "/" in name})
    top = [*folders, *(name for name in streams if "/" not in name)]
    entries: list[tuple[str, int, list[str], bytes]] = [("Root Entry", 5, top, b"")]
    for folder in folders:
        inside = [name for name in streams if name.startswith(f"{folder}/")]
        entries.append((folder, 1, inside, b""))
    entries += [(name, 2, [], data) for name, data in streams.items()]
    places = {name: number for number, (name, *_) in enumerate(entries)}
    small, small_table, starts = b"", list[int](), list[int]()
    for *_, data in entries:
        first, count = len(small_table), -(-len(data) // 64)
        starts.append(first if data else 0xFFFFFFFE)
        small_table += [*range(first + 1, first + count), 0xFFFFFFFE] if data else []
        small += data.ljust(64 * count, b"\0")
    directory = b""
    for number, (name, sort, inside, data) in enumerate(entries):
        siblings = next((group for _, _, group, _ in entries if name in group), [name])
        after = siblings.index(name) + 1
        right = places[siblings[after]] if after < len(siblings) else 0xFFFFFFFF
        child = places[inside[0]] if inside else 0xFFFFFFFF
        label = name.split("/")[-1].encode("utf-16-le")
        directory += label.ljust(64, b"\0") + struct.pack("<HBBIII", len(label) + 2, sort, 1, 0xFFFFFFFF, right, child)
        directory += bytes(36) + struct.pack(
            "<IQ", starts[number] if number else 0, len(data) if number else len(small)
        )
    # The small streams come first, then their table, the directory, and the table of all sectors.
    table: list[int] = []
    body = b""
    for part in (small, b"".join(struct.pack("<I", entry) for entry in small_table), directory):
        first, count = len(table), -(-len(part) // 512)
        table += [*range(first + 1, first + count), 0xFFFFFFFE]
        body += part.ljust(512 * count, b"\xff")
    of_small, of_directory = (at + 1 for at, entry in enumerate(table[:-1]) if entry == 0xFFFFFFFE)
    allocation = b"".join(struct.pack("<I", entry) for entry in (*table, 0xFFFFFFFD)).ljust(512, b"\xff")
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<5H6x", 62, 3, 0xFFFE, 9, 6)
    header += struct.pack("<9I", 0, 1, of_directory, 0, 4096, of_small, of_directory - of_small, 0xFFFFFFFE, 0)
    return header + struct.pack("<I", len(table)) + b"\xff" * (512 - len(header) - 4) + body + allocation
