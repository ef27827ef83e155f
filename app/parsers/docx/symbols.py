"""Turn characters of symbol fonts (Symbol, Wingdings, Webdings) into the Unicode characters that look like them."""

import re
from itertools import repeat

from mammoth.docx.dingbats import dingbats

FONTS = frozenset(font for font, _ in dingbats)
TICKED, EMPTY = "☒", "☐"
CHECK_MARKS = frozenset("☑☒☐✓✔✗✘")
# The characters that fonts and models know, for those of Unicode 7 that hardly any does.
_KNOWN = str.maketrans(
    {"🗹": "☑", "🗸": "✓", "🗴": "✗", "🗶": "✗"}
    | dict.fromkeys("🗵🗷⌧⮽", TICKED)
    | dict.fromkeys("🞎🞏🞐🞑◻□❏❐❑❒", EMPTY)
    | dict(zip("🡨🡪🡩🡫🡸🡺🡹🡻⬄", "←→↑↓⇐⇒⇑⇓⇔", strict=True))
)
_PRIVATE_USE = re.compile("[\uf020-\uf0ff]")


def symbol(font: str, code: str) -> str:
    """Write the character of a font that stands at a hexadecimal code; what only that font has is left out."""
    return from_font(chr(int(code, 16)), font) if re.fullmatch(r"[0-9A-Fa-f]{1,4}", code) else ""


def from_font(text: str, font: str | None) -> str:
    """Read text that is set in a font: in a symbol font, letters are signs."""
    if font not in FONTS and not _PRIVATE_USE.search(text):
        return text
    return "".join(map(_character, text, repeat(font))).translate(_KNOWN)


def _character(sign: str, font: str | None) -> str:
    """Turn one character; those of the private area are the font Symbol's, whatever other font is named."""
    code = ord(sign) - (0xF000 if _PRIVATE_USE.match(sign) else 0)
    if font not in FONTS and code == ord(sign):
        return sign
    point = dingbats.get((font if font in FONTS else "Symbol", code))
    if point is None:
        return sign if code == ord(sign) else ""
    return "" if 0xE000 <= point < 0xF900 else chr(point)
