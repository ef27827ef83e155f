"""Words of scripts that put no spaces between them: Chinese, Japanese and Korean.

The search index takes each of their characters for a word, so that a word of any length is a phrase of its characters
and is found wherever it stands. What the index reads is the text with a mark between such characters.
"""

import re
from typing import Any

from sqlite_utils import Database

from .excerpts import BETWEEN

_CHARACTERS = (
    "\u1100-\u11ff\u3005-\u3007\u3031-\u3035\u3041-\u30ff\u3105-\u318f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff"
)
_CHARACTER = re.compile(f"[{_CHARACTERS}]")
_BESIDE = re.compile(rf"(?<=[{_CHARACTERS}])(?=\w)|(?<=\w)(?=[{_CHARACTERS}])")


def spaced(text: str) -> str:
    """Put BETWEEN between characters that are words by themselves, and between them and others."""
    return _BESIDE.sub(BETWEEN, text) if _CHARACTER.search(text) else text


def register(db: Database) -> None:
    """Make `spaced_bytes` known to a connection: the triggers and the view of the search index call it."""
    db.register_function(_spaced_bytes, name="spaced_bytes", deterministic=True)


def _spaced_bytes(data: Any) -> str:
    # Bytes, for a damaged text is no UTF-8, and has to be deleted all the same.
    return spaced(bytes(data or b"").decode("utf-8", "replace"))
