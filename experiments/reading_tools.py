"""Convert sample files to text by other tools than the parsers, for references to compare with.

The tools are pandoc, poppler-utils (with poppler-data), LibreOffice, tesseract and msgconvert.
"""

from __future__ import annotations

import csv
import email.policy
import subprocess
import tempfile
from collections.abc import Sequence
from email.parser import BytesParser
from pathlib import Path

#: What pandoc is told of a file, by its suffix; where it stands here is not its own name for the format.
PANDOC_FORMATS = {"htm": "html", "md": "gfm", "tex": "latex"}
#: What LibreOffice converts a file to, by its suffix; all others to text.
OFFICE_FORMATS = {"xlsx": "csv", "xls": "csv", "ods": "csv", "pptx": "pdf", "odp": "pdf"}
OFFICE_FILTERS = {
    "csv": "csv:Text - txt - csv (StarCalc):9,34,76,1,,0,false,true,false,false,false,-1",
    "txt": "txt:Text (encoded):UTF8",
}


def run(*command: str | Path) -> str:
    """Run a tool and return what it prints."""
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return done.stdout.decode("utf-8", "replace")


def pandoc(path: Path, form: str = "") -> str:
    """Convert a file to plain text, a paragraph and a row a line."""
    suffix = path.suffix[1:]
    form = form or PANDOC_FORMATS.get(suffix, suffix)
    # Columns so wide that cells of tables are not folded.
    return run("pandoc", "-f", form, "-t", "plain", "--wrap=none", "--columns=2000", path)


def pdftotext(path: Path) -> str:
    """Convert a PDF to text in poppler's reading order."""
    return run("pdftotext", "-enc", "UTF-8", path, "-")


def rows(path: Path) -> str:
    """Convert a PDF to text in the order of its lines across the page, as tables are read."""
    return run("pdftotext", "-layout", "-enc", "UTF-8", path, "-")


def office(path: Path, form: str, folder: Path) -> list[Path]:
    """Convert a file with LibreOffice into `folder`, and list what it made: one file, or one for each sheet."""
    with tempfile.TemporaryDirectory() as home:
        settings = f"-env:UserInstallation=file://{home}"
        run("soffice", settings, "--headless", "--convert-to", OFFICE_FILTERS.get(form, form), "--outdir", folder, path)
    return sorted(folder.glob(f"*.{form}"), key=lambda made: made.stat().st_mtime_ns)


def soffice(path: Path) -> str:
    """Convert a text document, all sheets of a spreadsheet or the pages of a presentation to text."""
    form = OFFICE_FORMATS.get(path.suffix[1:], "txt")
    read = {"csv": table, "pdf": pdftotext, "txt": itself}[form]
    with tempfile.TemporaryDirectory() as folder:
        return "\n".join(read(made) for made in office(path, form, Path(folder)))


def printed(path: Path) -> str:
    """Print a document to PDF with LibreOffice, for what its plain text lacks: boxes, headers, numbers of lists."""
    with tempfile.TemporaryDirectory() as folder:
        return "\n".join(pdftotext(made) for made in office(path, "pdf", Path(folder)))


def tesseract(path: Path) -> str:
    """Recognise the text of a scan, page by page."""
    with tempfile.TemporaryDirectory() as folder:
        run("pdftoppm", "-r", "200", "-gray", "-png", path, f"{folder}/page")
        return "\n".join(run("tesseract", page, "-", "--psm", "1") for page in sorted(Path(folder).glob("*.png")))


def mail(path: Path, heads: Sequence[str] = ("From", "To", "Date", "Subject")) -> str:
    """Read the headers and the body of a message with Python's parser, HTML with pandoc."""
    message = BytesParser(policy=email.policy.default).parsebytes(path.read_bytes())
    head = [f"{key}: {message[key]}" for key in heads if message[key]]
    bodies = [message.get_body((kind,)) for kind in ("plain", "html")]
    # An empty part of plain text beside the page is no body.
    body = next((body for body in bodies if body and body.get_content().strip()), None)
    text = str(body.get_content()) if body else ""
    if body and body.get_content_type() == "text/html":
        with tempfile.NamedTemporaryFile("w", suffix=".html", encoding="utf-8") as page:
            page.write(text)
            page.flush()
            text = pandoc(Path(page.name))
    return "\n".join([*head, "", text])


def saved_page(path: Path) -> str:
    """Read the page of an MHTML file, without the headers that its browser wrote."""
    return mail(path, ())


def msgconvert(path: Path) -> str:
    """Read an Outlook message by way of its conversion to an e-mail."""
    with tempfile.TemporaryDirectory() as folder:
        run("msgconvert", "--outfile", f"{folder}/message.eml", path)
        return mail(Path(folder, "message.eml"))


def table(path: Path) -> str:
    """Read CSV or TSV, a row a line, cells apart by a tab."""
    text = itself(path)
    delimiter = max(",;\t|", key=text.split("\n", 1)[0].count)
    return "\n".join("\t".join(row) for row in csv.reader(text.splitlines(), delimiter=delimiter))


def itself(path: Path) -> str:
    """Take the characters of the file as they are."""
    return path.read_bytes().decode("utf-8-sig")


TOOLS = {
    tool.__name__: tool
    for tool in (pandoc, pdftotext, rows, soffice, printed, tesseract, mail, saved_page, msgconvert, table, itself)
}
"""Name in the manifest -> what makes the reference."""
