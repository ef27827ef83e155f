"""Titles that a program made up give way to the next candidate, at last to the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.parsers import read

CASES = Path(__file__).parent / "cases"


def titled(title: str, name: str = "harbour_fees.html") -> str:
    return read(f"<title>{title}</title><p>Words.".encode(), name).title


@pytest.mark.parametrize("name", ["title-anonymous.pdf", "title-untitled.pdf"])
def test_default_titles_of_pdfs(name: str) -> None:
    assert read((CASES / name).read_bytes(), name).title == "Harbour fees 2024"


@pytest.mark.parametrize(
    "title",
    [
        *(
            "(anonymous)",
            "Untitled",
            "Untitled document",
            "untitled-1",
            "Unbenanntes Dokument",
            "無題",
            "제목 없음",
            "none",
        ),
        *("PowerPoint Presentation", "PowerPoint-Präsentation", "Presentation1", "Slide 1", "Title", "New Document 2"),
        *(
            "Microsoft Word",
            "Microsoft® Word 2016",
            "LibreOffice Writer",
            "LaTeX with hyperref package",
            "Crystal Reports",
        ),
        *(
            "Document1",
            "Dokument1",
            "Microsoft Word - Document1",
            "Microsoft Excel - Book1",
            "Microsoft Word - Dokument1.docx",
        ),
        *("C:\\Users\\x\\document1.doc", "/home/x/untitled", "file:///x/document.html", "scan 0001", "01"),
    ],
)
def test_what_programs_write_is_no_title(title: str) -> None:
    assert titled(title) == "harbour fees"


@pytest.mark.parametrize(
    "title",
    [
        *(
            "Report",
            "Harbour fees 2024",
            "Excel for beginners",
            "Untitled Love Story",
            "Document retention policy",
            "1984",
        ),
        *("A/B testing", "Scan of Mars", "Book of Kells", "Annual report 2023", "Unknown Pleasures", "Article 5"),
    ],
)
def test_what_people_write_is_one(title: str) -> None:
    assert titled(title) == title


def test_the_name_of_the_file_behind_is_better_than_none() -> None:
    assert titled("Microsoft Word - report.doc") == "report"
    assert titled("Microsoft PowerPoint - Quarterly review") == "Quarterly review"
    assert titled("C:\\files\\tide_tables.docx") == "tide_tables"
