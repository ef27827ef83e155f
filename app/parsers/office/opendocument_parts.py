"""Open OpenDocument files: a zip container of parts, or flat, all in one part."""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from lxml import etree

from app.parsers.containers import local_name, opened, xml_of
from app.parsers.errors import EncryptedDocument
from app.parsers.office.opendocument_numbers import attribute
from app.parsers.types import Limits

_MARGINS = {f"{kind}{which}" for kind in ("header", "footer") for which in ("", "-left", "-first")}
_PICTURE = re.compile(rb"<office:binary-data>[^<]*</office:binary-data>")


@dataclass(frozen=True)
class Parts:
    """The parts of a document; a flat one has its content and its styles in the same."""

    content: etree._Element
    styles: etree._Element
    title: str
    formulas: dict[str, str] = field(default_factory=dict)
    """As their author typed them, by the folder of each."""

    @cached_property
    def places(self) -> dict[str, str]:
        """Styles by name whose text is raised ("super") or lowered ("sub")."""
        places: dict[str, str] = {}
        for part in (self.styles, self.content):
            for style in part.iter("{*}style"):
                position = next(
                    (attribute(properties, "text-position") for properties in style.iter("{*}text-properties")), ""
                )
                place = _place(position) if position else places.get(attribute(style, "parent-style-name"), "")
                if place:
                    places[attribute(style, "name")] = place
        return places

    def margins(self) -> Iterator[etree._Element]:
        """Yield the headers and footers of the pages that the document may use."""
        named = {
            attribute(style, "master-page-name")
            for part in (self.content, self.styles)
            for style in part.iter("{*}style")
        }
        for at, page in enumerate(self.styles.iter("{*}master-page")):
            if at == 0 or attribute(page, "name") in named:
                for region in page:
                    if local_name(region) in _MARGINS and attribute(region, "display") != "false":
                        yield region


def parts_of(data: bytes, limits: Limits) -> Parts:
    """Open a document, zipped or flat. Raises DocumentTooLarge, EncryptedDocument, and what a broken file leads to."""
    if not data.startswith(b"PK"):
        root = xml_of(_PICTURE.sub(b"", data))
        return Parts(root, root, _title(root))
    with opened(data, limits) as container:
        _check_not_encrypted(container)
        names = container.namelist()
        content = xml_of(container.read("content.xml"))
        styles = xml_of(container.read("styles.xml")) if "styles.xml" in names else content
        title = _title(xml_of(container.read("meta.xml"))) if "meta.xml" in names else ""
        return Parts(content, styles, title, _formulas(container))


def formula(parent: etree._Element) -> str:
    """Read a formula as its author typed it, or else its signs; "" where there is none."""
    math = next(parent.iter("{*}math"), None)
    if math is None:
        return ""
    typed = next((element.text for element in math.iter("{*}annotation") if element.text), None)
    if typed:
        return " ".join(typed.split())
    # Libraries that a text without such formulas has no use for.
    from app.parsers.html.reader import visible_text

    # Pages of the web have no prefixes: <math:mi> is <mi> there.
    source = re.sub(r"<(/?)\w+:", r"<\1", etree.tostring(math, encoding="unicode", with_tail=False))
    return " ".join(visible_text(source).split())


def _place(position: str) -> str:
    """Name the height of "super 58%", "-33% 58%" and their like."""
    height = position.split()[0]
    if height in ("super", "sub", "0%"):
        return height.removesuffix("0%")
    return "sub" if height.startswith("-") else "super"


def _title(root: etree._Element) -> str:
    metadata = next(root.iter("{*}meta"), None)
    titles = () if metadata is None else metadata.iter("{*}title")
    return next((element.text or "" for element in titles), "")


def _check_not_encrypted(container: zipfile.ZipFile) -> None:
    manifest = "META-INF/manifest.xml"
    if manifest in container.namelist() and b"encryption-data" in container.read(manifest):
        raise EncryptedDocument("The OpenDocument file needs a password; save a copy without one and retry.")


def _formulas(container: zipfile.ZipFile) -> dict[str, str]:
    formulas = {}
    for name in container.namelist():
        if posixpath.basename(name) == "content.xml" and posixpath.dirname(name):
            root = xml_of(container.read(name))
            if local_name(root) == "math":
                formulas[posixpath.dirname(name)] = formula(root)
    return formulas
