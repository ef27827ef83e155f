"""Write what headers and footers say, each line once and without page numbers."""

import re

#: Words of "Page 3 of 7", whose numbers are left out, in the languages that it is most often met in.
_PAGE_WORDS = re.compile(
    r"(?:pages?|pag|pg|p|of|seiten?|s|von|sur|de|páginas?|pág|di|su|pagina|blad|van|strona|str|z|ze|sida|side|av|af|sivu"
    r"|oldal|strana|stránka|stranica|od|sayfa|trang|стр|страница|из|сторінка|з|[第頁页共]+|ページ|쪽|페이지)"
)
_PAGE_NUMBER = re.compile(r"\d{1,3}")


def marginal_text(kind: str, text: str, said: set[str]) -> str:
    """Write a "header" or "footer" after a mark, without the lines that were `said`, to which its lines are added."""
    lines = [line for line in map(_without_page_numbers, text.split("\n")) if line and line not in said]
    said.update(lines)
    return f"[{kind.capitalize()}] " + "\n".join(lines) if lines else ""


def _without_page_numbers(line: str) -> str:
    """Keep the parts of a line, between tabs and cells, that say more than "Page of"; a number alone goes whole."""
    words = _words(line)
    if all(_PAGE_WORDS.fullmatch(word) or _PAGE_NUMBER.fullmatch(word) for word in words):
        return ""
    parts = re.split(r"[\t|]", line)
    return " | ".join(part.strip() for part in parts if not all(map(_PAGE_WORDS.fullmatch, _words(part))))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
