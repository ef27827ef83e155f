"""Recognise questions about a whole document, which no single passage answers: summaries, lists and counts."""

from __future__ import annotations

import re
from typing import Literal

#: What is wanted of the whole document: what it is about, everything of a kind, a number of things, or of rows.
Whole = Literal["summary", "list", "count", "rows"]

_NAMED = (
    r"(?:document|text|paper|report|article|story|tale|book|chapter|manual|handbook|guide|file|page|pdf|note|letter"
    r"|contract|transcript|meeting|conversation)s?"
)
_IT = rf"(?:this|it|everything|all of (?:it|this)|(?:the|this|these|my)(?: (?:whole|entire|full))? {_NAMED})"
_PLEASE = r"(?:please |can you |could you |would you )?(?:please )?"
_A = r"(?:(?:an?|the) )?(?:short |brief |quick )?"
_IS = r"(?: is| are|['\u2019]s)"
_SUMMARY = r"(?:summary|synopsis|overview|outline|gist|abstract|tl;?dr)"
_POINTS = r"(?:points?|ideas?|topics?|themes?|messages?|subjects?|takeaways?|contents?)"
_BRIEFLY = (
    r"(?: (?:briefly|shortly|in short|for me"
    r"|in (?:one|two|three|a few|few|\d+) (?:sentences?|words|lines|paragraphs?)))*"
)
_OF = rf"(?: (?:of|in|from) {_IT})?"
_SAYS = r"(?:say|cover|discuss|describe|talk about|deal with|contain)"
_MENTIONED = r"(?:mentioned|named|listed|described|discussed)"
_MENTIONS = r"(?:mention|name|list|have|contain|describe)"
_PATTERNS: dict[Whole, tuple[str, ...]] = {
    "summary": (
        rf"(?:summari[sz]e|sum up|outline|recap)(?: {_IT})?",
        rf"(?:(?:give|write|make|show|provide)(?: me)? )?{_A}{_SUMMARY}{_OF}",
        rf"what{_IS} {_IT} (?:all )?about",
        rf"what{_IS} {_A}(?:main |key |central |most important |overall )?(?:{_POINTS}|{_SUMMARY}){_OF}",
        rf"what(?: topics| subjects)? does {_IT} {_SAYS}",
        rf"(?:tell me|explain|describe)(?: me)? (?:what )?{_IT}(?: is about| says)?",
    ),
    "list": (
        r"(?:list|name|enumerate|find|show me|give me|extract|tell me|make a list of)"
        r" (?:the \w+ of )?(?:all|every|each)\b.*",
        r"(?:what|which|who) are all (?:of )?(?:the|these|those)\b.*",
        rf"(?:what|which|who)\b.* (?:is|are|were|was) {_MENTIONED}(?: (?:in|by) {_IT})?",
        rf"(?:what|which)\b.* does {_IT} (?:mention|name|list)",
    ),
    "count": (
        rf"how many\b.* (?:is|are|were|was)(?: there)? {_MENTIONED}(?: (?:in|by) {_IT})?",
        rf"how many\b.* (?:are there|are|occur|appear) in {_IT}",
        rf"how many\b.* does {_IT} {_MENTIONS}",
        rf"how (?:many times|often)\b.* {_MENTIONED}\b.*",
        r"count (?:all|every|the)\b.*",
    ),
}
_COMPILED = {
    kind: re.compile(f"(?:in a nutshell,? )?{_PLEASE}(?:{'|'.join(patterns)}){_BRIEFLY}(?:,? please)?", re.IGNORECASE)
    for kind, patterns in _PATTERNS.items()
}


_A_NUMBER = re.compile(r"(?:how many|count|what is the (?:total )?number of|number of)\b.*", re.IGNORECASE)


def asks_number(question: str) -> bool:
    """Tell whether a number of things is asked for, which in a table is one of rows."""
    return _A_NUMBER.fullmatch(_words(question)) is not None


def whole(question: str) -> Whole | None:
    """Tell what a question wants of the whole document; None for a question that one place may answer."""
    words = _words(question)
    return next((kind for kind, pattern in _COMPILED.items() if pattern.fullmatch(words)), None)


def _words(question: str) -> str:
    return " ".join(question.split()).rstrip(".!? ")
