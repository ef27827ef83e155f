"""Escape text from documents, files and models: the only way for it to reach a page.

The module knows only strings. Nothing here makes scripts, styles, links or ids.
"""

from __future__ import annotations

import html
import re

# gr.HTML hands its value to Handlebars and then to a JavaScript template literal.
_TEMPLATE_CHARACTERS = str.maketrans({c: f"&#{ord(c)};" for c in "`$\\{}"})
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# What turns the order of letters around (overrides, embeddings, isolates) or hides text in it (tags).
_DECEPTIVE = re.compile("[\u202a-\u202e\u2066-\u2069\u206a-\u206f\U000e0000-\U000e007f]")
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2065\ufeff]")


def escape(text: str) -> str:
    """Escape ``text`` for HTML, as content or inside a quoted attribute.

    Control characters become U+FFFD, characters that reorder or hide text become visible as [U+202E],
    invisible ones go. Newlines and tabs stay.
    """
    return html.escape(_printable(text), quote=True).translate(_TEMPLATE_CHARACTERS)


def _printable(text: str) -> str:
    text = _INVISIBLE.sub("", _CONTROLS.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n")))
    return _DECEPTIVE.sub(lambda match: f"[U+{ord(match.group()):04X}]", text)
