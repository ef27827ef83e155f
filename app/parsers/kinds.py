"""List the kinds of documents that can be read; detection, page, command line and docs take them from here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class Kind:
    """A kind of document.

    name : ours, short.  word : what the user calls it, after "is" or "a".  module : of `app.parsers`, its reader.
    certain : its content alone tells it; the others are text, among which the file's name chooses.
    runs_on : its sentences run across its pages.  tables : it holds tables alone, whose sizes are told.
    """

    name: str
    word: str
    suffixes: tuple[str, ...]
    media_type: str
    module: str
    certain: bool = False
    runs_on: bool = False
    tables: bool = False


_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN = "application/vnd.oasis.opendocument."
_SOURCE_CODE = (
    ".py .js .ts .jsx .tsx .java .kt .c .h .cpp .hpp .cs .rs .go .rb .php .swift .scala .r .jl .m .pl .lua .sh .ps1 "
    ".bat .sql .css"
)

KINDS = (
    Kind("pdf", "PDF", (".pdf",), "application/pdf", "pdf.reader", certain=True, runs_on=True),
    Kind("docx", "Word", (".docx",), _OFFICE + "wordprocessingml.document", "docx.reader", certain=True),
    Kind(
        "xlsx", "Excel", (".xlsx", ".xlsm"), _OFFICE + "spreadsheetml.sheet", "office.xlsx", certain=True, tables=True
    ),
    Kind("pptx", "PowerPoint", (".pptx",), _OFFICE + "presentationml.presentation", "office.pptx", certain=True),
    Kind("odt", "OpenDocument", (".odt", ".fodt"), _OPEN + "text", "office.opendocument", certain=True),
    Kind(
        "ods",
        "OpenDocument",
        (".ods", ".fods"),
        _OPEN + "spreadsheet",
        "office.opendocument",
        certain=True,
        tables=True,
    ),
    Kind("odp", "OpenDocument", (".odp", ".fodp"), _OPEN + "presentation", "office.opendocument", certain=True),
    Kind("epub", "EPUB", (".epub",), "application/epub+zip", "html.epub", certain=True),
    Kind("rtf", "RTF", (".rtf",), "application/rtf", "office.rtf", certain=True),
    Kind("msg", "Outlook mail", (".msg",), "application/vnd.ms-outlook", "mail.outlook", certain=True),
    Kind("mail", "e-mail", (".eml",), "message/rfc822", "mail.message"),
    Kind("mhtml", "saved web page", (".mhtml", ".mht"), "multipart/related", "mail.mhtml"),
    Kind("html", "HTML", (".html", ".htm", ".xhtml", ".xht"), "text/html", "html.reader"),
    Kind("markdown", "Markdown", (".md", ".markdown", ".mdown", ".mkd"), "text/markdown", "markdown.reader"),
    Kind("csv", "CSV", (".csv",), "text/csv", "plain.delimited", tables=True),
    Kind("tsv", "TSV", (".tsv", ".tab"), "text/tab-separated-values", "plain.delimited", tables=True),
    Kind("notebook", "Jupyter notebook", (".ipynb",), "application/x-ipynb+json", "plain.notebook"),
    Kind("json", "JSON", (".json", ".jsonl", ".ndjson", ".geojson"), "application/json", "plain.json_text"),
    Kind("xml", "XML", (".xml",), "application/xml", "plain.xml"),
    Kind("latex", "LaTeX", (".tex", ".latex"), "application/x-tex", "plain.latex"),
    Kind("rst", "reStructuredText", (".rst",), "text/x-rst", "plain.text"),
    Kind("yaml", "YAML", (".yaml", ".yml"), "application/yaml", "plain.text"),
    Kind("log", "log", (".log",), "text/plain", "plain.text"),
    Kind("code", "source code", tuple(_SOURCE_CODE.split()), "text/plain", "plain.text"),
    Kind("text", "plain text", (".txt", ".text"), "text/plain", "plain.text"),
)
BY_NAME = {kind.name: kind for kind in KINDS}
BY_SUFFIX = {suffix: kind for kind in KINDS for suffix in kind.suffixes}
SUFFIXES = tuple(BY_SUFFIX)
TABLES = frozenset(kind.media_type for kind in KINDS if kind.tables)

WORDS = " or ".join(", ".join(dict.fromkeys(kind.word for kind in KINDS)).rsplit(", ", 1))
"""Of all kinds, for a sentence."""
READABLE = f"choose a {WORDS} file"
"""What to do about a file that is of none."""


def base_name(path: str) -> str:
    """Cut the folders off a path, whichever system it is of."""
    return path.replace("\\", "/").rpartition("/")[2]


def suffix(filename: str) -> str:
    """Return the file name's last suffix in lower case, with its dot, or ""."""
    return PurePath(base_name(filename)).suffix.lower()
