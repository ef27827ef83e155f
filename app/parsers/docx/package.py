"""Open the container of an Office file: its parts as XML, and which parts belong to them."""

import io
import posixpath
import re
import zipfile

from lxml import etree

from app.parsers.containers import without_strict_names

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
W14 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"


class Package:
    """The parts of one file, each read when it is asked for: pictures and themes may be missing or broken."""

    def __init__(self, data: bytes) -> None:
        self._container = zipfile.ZipFile(io.BytesIO(data))
        # Names of parts are told apart without regard to case.
        self._names = {name.lower(): name for name in self._container.namelist()}
        self.main = next(iter(self.related("", "officeDocument").values()), "word/document.xml")

    def is_template_or_holds_macros(self) -> bool:
        types = self.content("[Content_Types].xml") or b""
        return b"macroEnabled.main" in types or b"template.main" in types

    def title(self) -> str:
        """Look the title up in the document's properties, or return ""."""
        names = self.related("", "core-properties").values()
        return next((part.findtext(_TITLE) or "" for part in map(self.part, names) if part is not None), "")

    def content(self, name: str) -> bytes | None:
        """Return the bytes of a part; a part that is not there is None."""
        stored = self._names.get(name.lower())
        return None if stored is None else self._container.read(stored)

    def part(self, name: str) -> etree._Element | None:
        """Parse a part; a part that is not there is None."""
        content = self.content(name)
        if content is None:
            return None
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        return etree.fromstring(without_strict_names(content), parser)

    def related(self, name: str, kind: str) -> dict[str, str]:
        """Find the parts of one kind, such as "header", that belong to a part: their names by relationship id."""
        folder, file = posixpath.split(name)
        relations = self.part(posixpath.join(folder, "_rels", f"{file}.rels"))
        return {
            relation.get("Id", ""): posixpath.normpath(posixpath.join("/", folder, relation.get("Target", "")))[1:]
            for relation in (() if relations is None else relations)
            if relation.get("Type", "").endswith(f"/{kind}") and relation.get("TargetMode") != "External"
        }

    def companion(self, kind: str) -> etree._Element | None:
        """Parse the only part of its kind that belongs to the main part, such as "styles"."""
        return next((self.part(name) for name in self.related(self.main, kind).values()), None)


def value(element: etree._Element | None, path: str, default: str = "") -> str:
    """Read the `val` of the element at `path`, whose names are of `W`, or return the default."""
    at = None if element is None else element.find("/".join(W + name for name in path.split("/")))
    return default if at is None else at.get(f"{W}val", default)


def is_on(element: etree._Element | None, attribute: str = f"{W}val") -> bool:
    """Tell whether a switch is there and not turned off."""
    return element is not None and element.get(attribute, "1") not in ("0", "false", "off")


def integer(text: str, default: int) -> int:
    """Read a whole number of up to nine digits; anything else is the default."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else default
