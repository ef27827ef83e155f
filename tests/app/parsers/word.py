"""Builder of Word documents with the parts that python-docx does not write: numbering, notes, comments, headers."""

from __future__ import annotations

from collections.abc import Mapping

from tests.app.parsers.hostile import word_of

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
W14 = 'xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml"'
M = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
V = 'xmlns:v="urn:schemas-microsoft-com:vml"'
WP = 'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"'
KINDS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"


def word(body: str, parts: Mapping[str, str] | None = None) -> bytes:
    """A document with this XML in its body; ``parts`` maps names such as ``header1`` to XML with a root of its own."""
    relations = "".join(
        f'<Relationship Id="{name}" Type="{KINDS}{name.rstrip("0123456789")}" Target="{name}.xml"/>'
        for name in parts or {}
    )
    more = {f"word/{name}.xml": content for name, content in (parts or {}).items()}
    more["word/_rels/document.xml.rels"] = (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{relations}</Relationships>'
    )
    # The wrapper stands for the root, which declares one namespace only.
    return word_of(f"<w:sdt {W14} {M} {R} {MC} {V} {WP}>{body}</w:sdt>", more=more)


def par(inside: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr>{inside}</w:p>"


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def item(text: str, level: int = 0, number: int = 1) -> str:
    return par(run(text) if text else "", f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')


def level(number: int, form: str, text: str, more: str = "", start: int = 1) -> str:
    return (
        f'<w:lvl w:ilvl="{number}"><w:start w:val="{start}"/><w:numFmt w:val="{form}"/>{more}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
    )


def numbering(*levels: str, lists: str = '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>') -> dict[str, str]:
    """The part of a list with these levels, and the lists (by default one, number 1) that follow its rules."""
    rules = f'<w:abstractNum w:abstractNumId="0">{"".join(levels)}</w:abstractNum>'
    return {"numbering": f"<w:numbering {W} {MC}>{rules}{lists}</w:numbering>"}


def table(*rows: str) -> str:
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"


def cell(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{par(run(text) if text else '')}</w:tc>"
