"""Read what drawings of a Word document say beside their text: descriptions that their authors wrote, and WordArt."""

import re

from lxml import etree

from app.parsers.docx.package import is_on

_VML = "{urn:schemas-microsoft-com:vml}"
_PROPERTIES = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}docPr"
_DECORATIVE = "{http://schemas.microsoft.com/office/drawing/2017/decorative}decorative"
DRAWINGS = {_PROPERTIES, f"{_VML}imagedata", f"{_VML}textpath"}
# Programs describe pictures by names ("image1.png", "Picture 2") or by what they make of them, and say so at the end.
_FILE_NAME = re.compile(r"\.(?:png|jpe?g|gif|bmp|tiff?|svg|webp|emf|wmf|heic|ico|pdf)\Z|\A(?:https?|file|cid):", re.I)
_NUMBERED_NAME = re.compile(r"\w+[ _-]?\d{1,3}")
_GENERATED = re.compile(
    r"generated|generiert|généré|generad[ao]|gerad[ao]|generat[ao]|gegenereerd|genererad|genereret|wygenerowan|сгенерир"
    r"|созданн|vygenerov|oluşturul|生成|產生|생성",
    re.I,
)
_BY_PROGRAM = re.compile(r"automat|автомат|自动|自動|자동|sztuczn|otomatik|(?<![a-z])(?:AI|KI|IA|ИИ)(?![a-z])", re.I)


def drawing_text(element: etree._Element) -> str:
    """Return the words of one of the `DRAWINGS`, "" if it has none of a person."""
    if element.tag == f"{_VML}textpath":
        return f"{' '.join(element.get('string', '').split())} "
    if element.tag == _PROPERTIES:
        description = element.get("descr", "")
        decorative = next(element.iter(_DECORATIVE), None)
        if element.get("hidden") in ("1", "true") or is_on(decorative, "val"):
            return ""
    else:
        shape = element.getparent()
        description = "" if shape is None else shape.get("alt", "")
    last = description.strip().rpartition("\n")[2]
    if _GENERATED.search(last) and _BY_PROGRAM.search(last):
        return ""
    words = " ".join(description.split())
    is_name = _FILE_NAME.search(words) or _NUMBERED_NAME.fullmatch(words)
    return f"[Picture: {words}] " if words and not is_name else ""
