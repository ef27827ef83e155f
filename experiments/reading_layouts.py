"""Set PDF pages as real documents have them, each from a text that then is its reference.

Two columns, a filled form, a page on its side, three scripts of East Asia, an invoice, running heads, a password and a
scan.
"""
# ruff: noqa: RUF001

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader, simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

LEFT = """Water was the only power that the valley had. A wheel of four metres gave what nine horses give, and it did so
by night as well. In dry summers the owners took turns: the upper mill ground on even days, the lower one on odd days,
and the dyer had Sundays. Nobody wrote this down before 1861, when a judge asked for it."""
RIGHT = """The turbine of 1928 ended the turns. It needs only a fifth of the water, and what it leaves runs through the
fish pass. Still the three owners meet each spring at the weir. They look at the mark, they argue about the gravel, and
then they go and eat. The minutes are kept at the town hall and may be read by everybody."""
SCRIPTS = {
    "HeiseiMin-W3": "水車小屋は川の曲がり角に建っています。契約によると、毎秒二トンまで水を使うことができます。",
    "STSong-Light": "磨坊建在河湾旁边。合同规定每秒最多取水两吨，鱼道优先。",
    "HYSMyeongJo-Medium": "물레방아는 강이 굽어지는 곳에 있습니다. 물고기 길이 먼저입니다.",
}
FORM = {"Applicant": "Ewa Novák", "Parcel": "117/3", "Hours of water": "06:00 to 09:30"}
INVOICE = [
    ["Item", "Quantity", "Price", "Sum"],
    ["Oak plank 40 mm", "12", "18.40", "220.80"],
    ["Hinge, galvanised", "4", "7.95", "31.80"],
    ["Labour (hours)", "6.5", "42.00", "273.00"],
    ["Total", "", "", "525.60"],
]
NOTICE = (
    "Notice to anglers: the fish pass is closed from 2 to 9 May while its lower steps are laid anew. Cards stay valid."
)

Reference = Callable[[str], Path]
Setter = Callable[[Canvas], str]


def columns(page: Canvas) -> str:
    """Set two columns under a title, drawn line by line across, as some programs do."""
    page.setFont("Helvetica-Bold", 14)
    page.drawString(60, 780, "Turns of water")
    page.setFont("Helvetica", 10)
    sides = [simpleSplit(" ".join(text.split()), "Helvetica", 10, 220) for text in (LEFT, RIGHT)]
    for row in range(max(map(len, sides))):
        for side, x in zip(sides, (60, 320), strict=True):
            page.drawString(x, 750 - 13 * row, side[row] if row < len(side) else "")
    return f"Turns of water\n{LEFT}\n{RIGHT}"


def form(page: Canvas) -> str:
    """Set a form whose fields are filled in."""
    page.drawString(60, 780, "Request for water")
    for row, (label, value) in enumerate(FORM.items()):
        page.drawString(60, 740 - 30 * row, label)
        page.acroForm.textfield(name=label, value=value, x=200, y=735 - 30 * row, width=200, height=20)
    return "Request for water\n" + "\n".join(f"{label} {value}" for label, value in FORM.items())


def sideways(page: Canvas) -> str:
    """Set text that runs up the page, shown upright by the page's own rotation."""
    page.setPageRotation(90)
    page.rotate(90)
    for row, line in enumerate(simpleSplit(NOTICE, "Helvetica", 12, 600)):
        page.setFont("Helvetica", 12)
        page.drawString(80, -80 - 16 * row, line)
    return NOTICE


def scripts(page: Canvas) -> str:
    """Set Japanese, Chinese and Korean in lines of 16 characters."""
    y = 780
    for font, text in SCRIPTS.items():
        pdfmetrics.registerFont(UnicodeCIDFont(font))
        page.setFont(font, 12)
        for at in range(0, len(text), 16):
            page.drawString(60, y, text[at : at + 16])
            y -= 18
        y -= 20
    return "\n".join(SCRIPTS.values())


def invoice(page: Canvas) -> str:
    """Set an invoice: sender at the right, rows without lines, numbers set to the right."""
    head = ["Weir & Sons, Carpenters", "Invoice no. 2026-0317", "Date: 17 March 2026"]
    for row, line in enumerate(head):
        page.drawRightString(535, 790 - 15 * row, line)
    for row, cells in enumerate(INVOICE):
        page.drawString(60, 690 - 18 * row, cells[0])
        for x, cell in zip((300, 400, 535), cells[1:], strict=True):
            page.drawRightString(x, 690 - 18 * row, cell)
    page.drawString(60, 560, "Payable within 14 days to account 4711 0815.")
    rows = "\n".join("\t".join(cells) for cells in INVOICE)
    return "\n".join([*head, rows, "Payable within 14 days to account 4711 0815."])


def pages(page: Canvas) -> str:
    """Set three pages with a running head, a page number and a word that is divided at a line's end."""
    text = []
    for number in (1, 2, 3):
        page.drawString(60, 810, "Minutes of the weir owners")
        page.drawString(60, 700, f"Item {number}: the owners agreed on {number * 150} euros for the gate-")
        page.drawString(60, 685, "keeper, and on an inde-")
        page.drawString(60, 670, "pendent measurement in spring.")
        page.drawString(280, 30, f"Page {number} of 3")
        page.showPage()
        text.append(
            f"Item {number}: the owners agreed on {number * 150} euros for the gate-keeper, and on an independent"
        )
        text.append("measurement in spring.")
    return "\n".join(text)


def plate(page: Canvas) -> str:
    """Set the notice as a picture, as a scanner does."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("L", (1654, 2339), 255)
    font = ImageFont.load_default(36)
    for row, line in enumerate(simpleSplit(NOTICE, "Helvetica", 36, 1200)):
        ImageDraw.Draw(picture).text((200, 300 + 54 * row), line, 0, font)
    stored = io.BytesIO()
    picture.save(stored, "PNG")
    page.drawImage(ImageReader(stored), 0, 0, *A4)
    return NOTICE


SETTERS: dict[str, Setter] = {
    "columns": columns,
    "form": form,
    "sideways": sideways,
    "scripts": scripts,
    "invoice": invoice,
    "pages": pages,
    "scan": plate,
}


def write_all(samples: Path, reference: Reference) -> None:
    """Write each layout, and the notice behind a password."""
    for name, setter in SETTERS.items():
        page = Canvas(str(samples / f"written-{name}.pdf"), pagesize=A4, invariant=1)
        reference(f"written-{name}.pdf").write_text(" ".join(setter(page).split(" ")), "utf-8")
        page.save()
    locked = Canvas(str(samples / "written-password.pdf"), pagesize=A4, encrypt="mill")
    locked.drawString(60, 780, NOTICE[:60])
    locked.save()
