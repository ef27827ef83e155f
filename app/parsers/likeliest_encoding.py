"""Guess the encoding of a text that does not say it: chardet's ranking, weighed by what its characters look like."""

import codecs
import re
import unicodedata
from collections import Counter

import chardet

SAMPLE = 65_536
#: How often a legacy text is in it, against the others: so near are the scores of a short text.
_COMMON = {"cp1252": 1.15, "cp850": 0.9, "cp852": 0.7, "cp437": 0.6, "mac-roman": 0.9, "iso8859-5": 0.8}
_CONSIDERED = (
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("cp932", "shift_jis_2004", "euc_jis_2004", "iso2022_jp_2", "gb18030", "big5hkscs", "cp949", "koi8-r", "koi8-u"),
    *(
        "iso8859-2",
        "iso8859-5",
        "iso8859-7",
        "iso8859-9",
        "iso8859-15",
        "mac_roman",
        "cp437",
        "cp850",
        "cp852",
        "cp866",
    ),
)
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_KANA = re.compile("[\u3041-\u30fc]")
_IDEOGRAPHS_AND_MARKS = re.compile("[\u0300-\u036f\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]")
_LATIN = "A-Za-z\u00c0-\u024f\u1e00-\u1eff"
_MIXED_SCRIPTS = re.compile(rf"[A-Za-z](?![{_LATIN}])[^\W\d_]|(?![{_LATIN}])[^\W\d_][A-Za-z]")
_INNER_LETTER = re.compile(r"(?<=[^\W\d_])[^\W\d_]")


def likeliest_encoding(data: bytes) -> str:
    """Guess an encoding of one byte or several to a character; return "" where nothing fits."""
    sample = data[:SAMPLE]
    for encoding in ("cp932", "euc-jp"):
        if _is_mostly_kana(sample, encoding):
            return encoding
    if chardet.detect(sample, compat_names=False)["encoding"] is None:  # an image, a program, noise
        return ""
    ranked = chardet.detect_all(
        sample, ignore_threshold=True, include_encodings=_CONSIDERED, no_match_encoding="cp1252", compat_names=False
    )
    scores = {
        name.lower().replace("_", "-"): entry["confidence"] * _plausibility(sample.decode(name, "replace")[:4000])
        for entry in ranked
        if (name := entry["encoding"])
    }
    return max(scores, key=lambda name: scores[name] * _COMMON.get(name, 1), default="")


def wide_encoding(data: bytes) -> str:
    """Detect UTF-16 or UTF-32 without a byte-order mark; return "" if it is neither.

    In the wrong order of bytes, and of noise, characters are of many scripts, or none at all.
    """
    scores = {encoding: _coherence(data[:SAMPLE], encoding) for encoding in _WIDE}
    likeliest = max(_WIDE, key=lambda encoding: scores[encoding])
    return likeliest if scores[likeliest] >= 0.9 else ""


def _coherence(data: bytes, encoding: str) -> float:
    """Compute the share of letters that are of the most frequent script, and add that of ASCII, which tells the order.

    It is 0 if there are characters of no text.
    """
    text = codecs.getincrementaldecoder(encoding)("replace").decode(data)
    strange = sum(unicodedata.category(c) in ("Cn", "Co", "Cc") and c not in "\t\n\r\f\x1b" for c in text)
    letters = sum(c.isalpha() for c in text)
    if letters < 2 or strange + text.count("\ufffd") > len(text) // 50:
        return 0.0
    scripts = Counter(_script(c) for c in text if c.isalpha())
    # Foreign words stand in texts of every script.
    latin = scripts.pop("LATIN", 0)
    coherence = (max(scripts.values(), default=0) + latin) / letters
    return coherence + sum(c.isascii() for c in text) / len(text) if coherence >= 0.9 else 0.0


def _script(letter: str) -> str:
    script = unicodedata.name(letter, "NONE").split()[0].partition("-")[0]
    return "CJK" if script in ("HIRAGANA", "KATAKANA", "HANGUL", "FULLWIDTH", "IDEOGRAPHIC") else script


def _is_mostly_kana(data: bytes, encoding: str) -> bool:
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)  # the last character may be cut in two
    except UnicodeDecodeError:
        return False
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    return beyond_ascii >= 2 and len(_KANA.findall(text)) >= 0.4 * beyond_ascii


def _plausibility(text: str) -> float:
    """Lower the score of a text with scripts mixed in words, capitals within them, or controls and box-drawing."""
    factor = 1.0
    if _MIXED_SCRIPTS.search(_IDEOGRAPHS_AND_MARKS.sub(" ", text)):
        factor *= 0.4
    if any(m[0] > "\x7f" and m[0].isupper() and text[m.start() - 1].islower() for m in _INNER_LETTER.finditer(text)):
        factor *= 0.5
    if any(c > "\x7f" and (unicodedata.category(c) in ("Cc", "Cn", "Co") or "\u2500" <= c <= "\u259f") for c in text):
        factor *= 0.3
    return factor
