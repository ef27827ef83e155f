"""Open zip containers of XML, as Office, OpenDocument and EPUB files are, with the care that unknown files need."""

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from lxml import etree

from app.parsers.errors import DamagedDocument, ReadError
from app.parsers.types import Limits

# The Strict variant of Office files has the elements of the usual one in namespaces that are named otherwise.
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")

_RELATIONS, _TYPES = "_rels/.rels", "[Content_Types].xml"
_PART = re.compile(rb"<Override\b[^<>]*?\bPartName=\"/([^\"<>]+)\"[^<>]*?/>")


@contextmanager
def opened(data: bytes, limits: Limits) -> Iterator[zipfile.ZipFile]:
    """Open a container whose entries unpack within the limits, and enforce the sizes that it declares.

    Raises `DocumentTooLarge` for a zip bomb.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        limits.check_zip([(entry.compress_size, entry.file_size) for entry in container.infolist()])
        yield container


def usual_office_file(data: bytes, limits: Limits) -> bytes:
    """Check an Office file's sizes; rewrite one that libraries do not read, of the Strict variant or short of parts.

    Raises `DocumentTooLarge` for a zip bomb.
    """
    with opened(data, limits) as container:
        names = set(container.namelist())
        relations, types = (container.read(name) if name in names else b"" for name in (_RELATIONS, _TYPES))
        stored = {name.lower().encode() for name in names}
        present = _PART.sub(lambda part: part[0] if part[1].lower() in stored else b"", types)
        if present == types and not _STRICT.search(relations):
            return data
        usual = io.BytesIO()
        with zipfile.ZipFile(usual, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as rewritten:
            for entry in container.infolist():
                content = present if entry.filename == _TYPES else container.read(entry)
                is_xml = entry.filename.endswith((".xml", ".rels"))
                rewritten.writestr(entry.filename, without_strict_names(content) if is_xml else content)
        return usual.getvalue()


def without_strict_names(xml: bytes) -> bytes:
    """Name the namespaces in a part of an Office file as usual."""
    return _STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006/", xml)


@contextmanager
def damage_said(kind: str) -> Iterator[None]:
    """Turn what goes wrong in a library into a sentence: broken files surface as exceptions of any kind."""
    try:
        yield
    except (MemoryError, ReadError):
        raise
    except Exception as error:
        raise DamagedDocument(
            f"The {kind} file is damaged; open it in its own program, save it again and retry."
        ) from error


def xml_of(data: bytes) -> etree._Element:
    """Parse XML without entities of its own, the network, or depth without bound. Raises `etree.XMLSyntaxError`."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    return etree.fromstring(data, parser)


def local_name(element: etree._Element) -> str:
    """Return an element's name without its namespace; "" for processing instructions and entities."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""
