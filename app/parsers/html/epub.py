"""Parse e-books (EPUB): the chapters in their reading order."""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from urllib.parse import unquote

from lxml import etree

from app.parsers.containers import damage_said, opened, xml_of
from app.parsers.encoding import declared_charset, decode
from app.parsers.errors import EncryptedDocument, NoTextInDocument
from app.parsers.html.reader import visible_text
from app.parsers.types import Draft, Limits

# Browsers take these for opening tags, in XHTML they are empty elements.
_SELF_CLOSING = re.compile(r"<(?!(?:br|hr|img|meta|link|input|col|wbr|area|base)\b)(\w+)(\s[^<>]{0,2000})?/>")
_PREFIX = re.compile(r"xmlns:(\w+)\s*=\s*[\"']http://www\.w3\.org/(?:1999/xhtml|1998/Math/MathML)[\"']")
_PREFIXED = re.compile(r"<(/?)(\w+):(?=\w)")
_PROTECTED = re.compile(rb"CipherReference\s[^>]{0,500}\.x?html?[\"']", re.I)


def read(data: bytes, limits: Limits) -> Draft:
    """Read what the book's spine lists; a chapter that is missing is skipped, with a note.

    Raises DamagedDocument, DocumentTooLarge, EncryptedDocument, NoTextInDocument.
    """
    notes: list[str] = []
    with damage_said("EPUB"), opened(data, limits) as container:
        names = set(container.namelist())
        if "META-INF/encryption.xml" in names and _PROTECTED.search(container.read("META-INF/encryption.xml")):
            raise EncryptedDocument("The e-book is protected against copying; choose a copy without protection.")
        root = xml_of(container.read("META-INF/container.xml"))
        package_name = next(element.get("full-path", "") for element in root.iter("{*}rootfile"))
        package = xml_of(container.read(package_name))
        paths = list(dict.fromkeys(_spine(package, posixpath.dirname(package_name))))
        chapters = [_chapter(container, path) for path in paths if path in names]
        missing = sum(path not in names for path in paths)
        if missing:
            notes.append(f"{missing} of {len(paths)} chapters are missing in the file.")
        title = next((element.text or "" for element in package.iter("{http://purl.org/dc/elements/1.1/}title")), "")
    text = "\n\n".join(filter(str.strip, chapters))
    if not text:
        raise NoTextInDocument("The e-book holds no text, perhaps only pictures; run text recognition (OCR) and retry.")
    return Draft(pages=((0, text),), titles=(title, text.strip().partition("\n")[0]), notes=tuple(notes))


def _spine(package: etree._Element, folder: str) -> Iterator[str]:
    items = {item.get("id"): item for item in package.iter("{*}item")}
    for reference in package.iter("{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is None or "nav" in (item.get("properties") or "").split():
            continue
        if "html" in (item.get("media-type") or ""):
            yield posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))


def _chapter(container: zipfile.ZipFile, path: str) -> str:
    data = container.read(path)
    text, _ = decode(data, declared_charset(data)) if data.strip() else ("", ())
    prefixes = set(_PREFIX.findall(text))
    # Pages of the web have no prefixes: <m:math> is <math> there.
    text = _PREFIXED.sub(lambda tag: f"<{tag[1]}" if tag[2] in prefixes else tag[0], text)
    return visible_text(_SELF_CLOSING.sub(r"<\1\2></\1>", text)).strip()
