"""Recognise titles that a program made up for want of one."""

import re

from app.parsers.kinds import base_name

_NO_NAME = """
    untitled unnamed unknown anonymous unspecified nameless none null undefined no not available new empty blank
    unbenannt unbenanntes unbekannt ohne kein neue neues neuer sans sin sem senza bez nouveau nuevo novo nuovo naamloos
    nimetön namnlös uden без имени названия безымянный 無題 無標題 无标题 未命名 名称未設定 제목 없음 무제
"""
_SORTS = """
    title titel titre título titulo titolo titlu tytułu názvu document documento dokument dokumentum doc slides slide
    presentation präsentation présentation presentación presentazione apresentação presentatie prezentacja slideshow
    folie diapositiva spreadsheet tabelle workbook worksheet sheet book mappe classeur libro notebook page seite file
    datei fichier archivo scan scanned image img template vorlage layout publication drawing text print printing
    printout preview job output default example 新建 文档 文書 演示文稿 プレゼンテーション документ презентация
"""
_PROGRAMS = """
    microsoft office word excel powerpoint publisher visio onenote outlook libreoffice openoffice org writer calc
    impress draw adobe indesign acrobat pdfmaker distiller illustrator photoshop framemaker google docs latex pdflatex
    tex xelatex hyperref package ghostscript quarkxpress wordperfect wkhtmltopdf crystal reports pdf html rtf docx odt
    jupyter mac windows ms
"""
#: A title of such words alone, in any order, says nothing: no name, the sort of file, or the program that wrote it.
_WORDS = frozenset([*(_NO_NAME + _SORTS + _PROGRAMS).split(), *("with", "for", "of", "the", "de", "da", "di", "von")])
_PRINTED_BY = re.compile(
    r"^(?:microsoft (?:office )?)?(?:word|excel|powerpoint|publisher|visio|onenote|outlook|notepad|print) - ", re.I
)
_FILE_SUFFIX = re.compile(
    r"\.(docx?|docm|dotx?|od[tsp]|rtf|tex|dvi|indd|qxp?|qxd|pdf|pages|x?html?|aspx?|php|xml|xls[xm]?|pptx?|wpd|txt|md|pub"
    r"|eps|ps|fm|cdr|ai|psd|tiff?|jpe?g|png|epub|csv|tmp)$",
    re.I,
)
_PATH = re.compile(r"file:.*|[a-z]:[\\/].*|\\\\.*|/(?:home|users?|var|tmp|mnt|opt|private)/.*", re.I)
_LETTERS = re.compile(r"[^\W\d_]+")
_NUMBER_WITHIN = re.compile(r"[1-9]\d{3}|\d[\W_]+[^\W\d_]")


def without_program(line: str) -> str:
    """Take off what Windows programs put before the title of what they print."""
    return _PRINTED_BY.sub("", line)


def without_suffix(line: str) -> str:
    """Return what is left of a title that is a file's name, "" if it is none."""
    name = base_name(_FILE_SUFFIX.sub("", line))
    return name if _FILE_SUFFIX.search(line) and not is_made_up(name) else ""


def is_made_up(line: str) -> bool:
    """Tell a title that is a file's name, or says no more than that there is a document."""
    if _FILE_SUFFIX.search(line) or _PATH.fullmatch(line):
        return True
    words = _LETTERS.findall(line.lower())
    if not words:
        return re.search(r"\d{3}", line) is None
    is_version = "microsoft" in words or "office" in words
    return _WORDS.issuperset(words) and (is_version or not _NUMBER_WITHIN.search(line))
