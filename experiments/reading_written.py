"""Make the sample files that are written here, each from a text that then is its reference.

One article in Markdown becomes every kind that pandoc and LibreOffice write; :mod:`experiments.reading_layouts` sets
PDF pages; the rest is written as each kind's library does it.
"""
# ruff: noqa: RUF001

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from datetime import date
from email.message import EmailMessage
from pathlib import Path

import openpyxl

from experiments import reading_layouts
from experiments.reading_tools import office, pandoc, run

ARTICLE = """# The mill at Ostrava Bend

The mill was built in 1787 and stood still from 1931 to 1994. *Since then* it has ground **4,250 t** of rye a year, most
of it for bakers who live within 30 km.

## How the water is shared

Three owners draw from one weir. Their contract of 3 May 1998 says:

1. The mill takes at most 2.4 m^3^ a second.
2. The fish pass comes first:
    a. from March to June it gets 0.6 m^3^ a second,
    b. in other months half of that.
3. Whoever opens a sluice writes it down, with the hour.

- Gates are painted red; handles are not.
- The key hangs at no. 12, under the stairs.

> Nobody opens two gates at once. Whoever did so in 1954 paid for the bridge.

## What it yields

| Year | Rye (t) | Price (EUR/t) | Loss |
|------|--------:|--------------:|-----:|
| 2021 | 4,102 | 187.50 | 1.9 % |
| 2022 | 4,377 | 264.00 | 2.3 % |
| 2023 | 4,271 | 221.75 | 2.0 % |

Efficiency is computed as E = P / (ρ·g·Q·h), so that 3 × 10^-2^ of error in Q is 3 % in E.[^dose]

[^dose]: Measured with salt, as H~2~O alone shows nothing; see the log of 14 August 2023.

## Wörter, die bleiben

Gänsefüßchen, naïve coöperation, Łódź, Ærø and Þingvellir are spelt as here. A path such as `/srv/mill/log_2023.txt`
keeps its underscores, and so does the price `3*4*5 = 60`.

```
open gate 3 --by 20%
wait 15m   # then look
```

Ask [the keeper](https://mill.example/keeper) before you go.
"""

LANGUAGES = {
    "german-cp1252": "Der Müller sagt: „Für 20 € gibt es ein großes Maß Mehl“ – und öffnet die Tür.\nÜber der Tür hängt"
    " ein Schlüssel; er gehört der Gänsemagd.\nDas Wasser fließt im März am stärksten.\n",
    "french-latin1": "Le meunier a fermé la vanne à cinq heures.\nLa rivière était très haute, et l'on a dû prévenir"
    " les pêcheurs près du pont.\nÇa n'arrive qu'une fois l'an, en février.\n",
    "polish-iso8859_2": "Młynarz zamknął zastawkę o piątej rano.\nWoda w rzece była bardzo wysoka, więc ostrzeżono"
    " wędkarzy.\nŻółte łodzie stały przy moście w Łodzi.\n",
    "russian-cp1251": "Мельник закрыл заслонку в пять часов утра.\nВода в реке стояла высоко, и рыбаков предупредили"
    " заранее.\nКлюч висит под лестницей, дом двенадцать.\n",
    "russian-koi8_r": "Мельница была построена давно и долго стояла без дела.\nТеперь она снова мелет рожь для пекарей"
    " из соседних деревень.\nЗа мостом начинается лес.\n",
    "greek-iso8859_7": "Ο μυλωνάς έκλεισε το φράγμα στις πέντε το πρωί.\nΤο νερό του ποταμού ήταν πολύ ψηλά και"
    " ειδοποίησαν τους ψαράδες.\nΤο κλειδί είναι κάτω από τη σκάλα.\n",
    "turkish-cp1254": "Değirmenci sabah beşte kapağı kapattı.\nIrmağın suyu çok yüksekti, balıkçılara haber verildi.\n"
    "Anahtar merdivenin altında asılı duruyor; ışık sönük.\n",
    "japanese-shift_jis": "水車小屋は川の曲がり角に建っています。\n契約によると、毎秒二トンまで水を使えます。\n"
    "鍵は階段の下に掛かっています。門を開ける人は、時刻を帳面に書いてください。\n",
    "japanese-euc_jp": "三月から六月までは、魚道に水を多く流します。\n番人に聞いてから入ってください。\n"
    "橋を壊した人は、修理の費用を払いました。\n",
    "chinese-gb18030": "磨坊建在河湾旁边，停用了六十多年。\n合同规定：每秒最多取水两吨，鱼道优先。\n"
    "钥匙挂在楼梯下面，开闸的人要写下时间。\n",
    "chinese-big5": "磨坊建在河灣旁邊，停用了六十多年。\n合約規定每秒最多取水兩噸，魚道優先。\n"
    "鑰匙掛在樓梯下面，開閘的人要寫下時間。\n",
    "korean-euc_kr": "물레방아는 강이 굽어지는 곳에 있습니다.\n계약에 따르면 물고기 길이 먼저입니다.\n"
    "열쇠는 계단 아래에 걸려 있고, 문을 연 사람은 시간을 적습니다.\n",
    "mixed-utf_16": "Größe – 20 €\nЗа мостом лес\n鍵は階段の下\n",
    "german-utf_16_le": "Ohne Vorzeichen gespeichert: Über der Tür hängt ein Schlüssel.\nEr gehört der Gänsemagd.\n",
    "german-mac_roman": "Für das Mehl zahlt man bar.\nÜber der Tür hängt ein großer Schlüssel; er gehört der"
    " Gänsemagd.\nDas Wasser fließt im März am stärksten, sagt der Müller.\n",
}
"""Language and codec -> a text, to be saved in that codec without a word about it."""

ROWS = [
    ["No", "Town", "Founded", "Members", "Fee", "Note"],
    *[
        [str(n), town, f"19{n:02d}-0{n % 9 + 1}-1{n % 9}", str(7 * n + 3), f"{n * 1.25:.2f}".replace(".", ","), note]
        for n, (town, note) in enumerate(
            zip(
                ["Brüx", "Łomża", "Zlín", "Split", "Como", "Vitré", "Gent", "Évora", "Turku", "Győr"] * 3,
                ["", "pays late", 'calls itself "the first"', "two lines\nin one cell", "a; b"] * 6,
                strict=True,
            )
        )
    ],
]

LOG = """2026-03-01T06:00:02Z INFO  gate=3 state=open flow=1.9
2026-03-01T06:00:02Z INFO  gate=3 state=open flow=1.9
2026-03-01T06:14:55Z WARN  level 2.31 m above mark (limit 2.30 m)
2026-03-01T06:15:00Z ERROR gate=2 motor stalled: E0417
    at Gate.turn (gate.c:212)
    at main (main.c:40)
2026-03-01T06:15:01Z INFO  <mill@host> retry 1/3 ...
"""

Reference = Callable[[str], Path]


def write_all(samples: Path, reference: Reference) -> list[str]:
    """Write every sample and its reference, and return a sentence for what a missing tool leaves out."""
    for maker in (encodings, tables, mails, notes, reading_layouts.write_all):
        maker(samples, reference)
    try:
        articles(samples, reference)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return [f"written-article: {error}"]
    return []


def articles(samples: Path, reference: Reference) -> None:
    """Write the article in every kind that pandoc and LibreOffice write."""
    source = samples / "written-article.md"
    source.write_text(ARTICLE, "utf-8")
    text = pandoc(source, "markdown-smart")
    kinds = ("docx", "odt", "epub", "rtf", "pptx", "html", "tex", "rst", "ipynb")
    for kind in kinds:
        made = samples / f"written-article.{kind}"
        if not made.exists():
            run("pandoc", "-s", "--metadata", "pagetitle=The mill", "-o", made, source)
    for kind in ("pdf", "doc", "fodt"):
        if not (samples / f"written-article.{kind}").exists():
            office(samples / "written-article.docx", kind, samples)
    for kind in (*kinds, "pdf", "doc", "fodt"):
        reference(f"written-article.{kind}").write_text(text, "utf-8")
    # Superscripts and lettered lists are not Markdown everywhere; there the signs are text.
    reference("written-article.md").write_text(pandoc(source), "utf-8")


def encodings(samples: Path, reference: Reference) -> None:
    """Write each language's text in its codec."""
    for name, text in LANGUAGES.items():
        language, codec = name.split("-", 1)
        named = f"written-{language}-{codec}.txt"
        (samples / named).write_bytes(text.encode(codec))
        reference(named).write_text(text, "utf-8")


def tables(samples: Path, reference: Reference) -> None:
    """Write the list of towns as CSV with semicolons, as TSV and as a workbook with dates, shares and a sum."""
    text = "\n".join("\t".join(row) for row in ROWS)
    quoted = [
        [f'"{cell.replace(chr(34), 2 * chr(34))}"' if set(cell) & set(';"\n') else cell for cell in row] for row in ROWS
    ]
    (samples / "written-towns-cp1250.csv").write_bytes(
        "\r\n".join(";".join(row) for row in quoted).encode("cp1250", "replace")
    )
    (samples / "written-towns.tsv").write_text(
        "\n".join("\t".join(" ".join(c.split()) for c in row) for row in ROWS), "utf-8"
    )
    reference("written-towns-cp1250.csv").write_text(text.encode("cp1250", "replace").decode("cp1250"), "utf-8")
    reference("written-towns.tsv").write_text(text, "utf-8")
    book = openpyxl.Workbook()
    first, second = book.active, book.create_sheet("Shares")
    first.title = "Yield"
    shown = ["Year\tRye\tPaid on", "2021\t4102\t2021-11-05", "2022\t4377\t2022-11-04"]
    for row in (["Year", "Rye", "Paid on"], [2021, 4102, date(2021, 11, 5)], [2022, 4377, date(2022, 11, 4)]):
        first.append(row)
    second.append(["Owner", "Share"])
    second.append(["Novák", 0.25])
    second["B2"].number_format = "0 %"
    book.save(samples / "written-yield.xlsx")
    reference("written-yield.xlsx").write_text(
        "\n".join(["Yield", *shown, "Shares", "Owner\tShare", "Novák\t25 %"]), "utf-8"
    )


def mails(samples: Path, reference: Reference) -> None:
    """Write an e-mail with coded parts and an attachment, and a saved page as MHTML."""
    body = "Dear Ms Łukasz,\n\nthe gate was mended on 4 March; it cost 1.250,00 €.\nSee you at the weir.\n\nGörlach\n"
    message = EmailMessage()
    message["From"], message["To"] = "Jörg Görlach <joerg@mill.example>", "Ewa Łukasz <ewa@mill.example>"
    message["Date"], message["Subject"] = "Thu, 05 Mar 2026 09:30:00 +0100", "Gate 2 läuft wieder – Rechnung"
    message.set_content(body, cte="base64")
    message.add_alternative(f"<p>{body}</p><p>Sent from my mill</p>", subtype="html", cte="quoted-printable")
    message.add_attachment(b"\0" * 3000, maintype="image", subtype="png", filename="gate.png")
    (samples / "written-invoice.eml").write_bytes(message.as_bytes())
    heads = "\n".join(f"{key}: {message[key]}" for key in ("From", "To", "Date", "Subject"))
    reference("written-invoice.eml").write_text(f"{heads}\n\n{body}", "utf-8")
    page = "<html><head><title>Weir</title><style>p{color:red}</style></head><body><h1>Level of the weir</h1>"
    page += "<p>On 1 March it stood at 2,31 m – one centimetre above the mark.</p></body></html>"
    saved = EmailMessage()
    saved["From"], saved["Subject"] = "<Saved by Blink>", "Weir"
    saved["Snapshot-Content-Location"] = "https://mill.example/weir"
    saved.set_content(page, subtype="html", cte="quoted-printable")
    saved.add_related(b"\x89PNG" * 500, maintype="image", subtype="png", cid="<x>")
    (samples / "written-weir.mhtml").write_bytes(saved.as_bytes())
    text = "Level of the weir\nOn 1 March it stood at 2,31 m – one centimetre above the mark.\n"
    reference("written-weir.mhtml").write_text(text, "utf-8")


def notes(samples: Path, reference: Reference) -> None:
    """Write a log with colours and a stray byte, a notebook with outputs, and JSON, XML and YAML."""
    coloured = LOG.replace("ERROR", "\x1b[31mERROR\x1b[0m").encode().replace(b"E0417", b"E0417\xff")
    (samples / "written-gate.log").write_bytes(coloured)
    reference("written-gate.log").write_text(LOG, "utf-8")
    picture = base64.b64encode(b"\x89PNG" * 2000).decode()
    output = {"output_type": "execute_result", "metadata": {}, "execution_count": 1}
    output["data"] = {"text/plain": ["count 3\n", "mean 4250.0"], "image/png": picture}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Yield\n", "Three years, in *tonnes*."]},
        {"cell_type": "code", "metadata": {}, "source": ["rye.describe()"], "outputs": [output], "execution_count": 1},
    ]
    book = {"cells": cells, "metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4, "nbformat_minor": 5}
    (samples / "written-yield.ipynb").write_text(json.dumps(book), "utf-8")
    text = "Yield\nThree years, in tonnes.\n\nrye.describe()\n\ncount 3\nmean 4250.0\n"
    reference("written-yield.ipynb").write_text(text, "utf-8")
    as_text = {
        "written-gate.json": json.dumps({"gate": 3, "names": ["Łódź", "red"], "open": True}, indent=2),
        "written-gate.xml": '<?xml version="1.0"?>\n<gates><gate no="3">red &amp; shut</gate></gates>\n',
        "written-gate.yaml": "gate: 3\nnames:\n  - Łódź\n  - red  # as painted\nopen: true\n",
    }
    for name, content in as_text.items():
        content = json.dumps(json.loads(content)) if name.endswith("json") else content
        (samples / name).write_text(content, "utf-8")
    shown = json.dumps(json.loads(as_text["written-gate.json"]), ensure_ascii=False)
    reference("written-gate.json").write_text(shown, "utf-8")
    reference("written-gate.xml").write_text("gates gate no 3 red & shut", "utf-8")
    reference("written-gate.yaml").write_text(as_text["written-gate.yaml"], "utf-8")
