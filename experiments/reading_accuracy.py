"""``python -m experiments.reading_accuracy --samples DIR --out FILE.json``: measure how rightly sample files are read.

What is right: the F1 of character 5-grams, each counted as often as it occurs, between the text that was read and the
file's reference, with white space as one space and signs that only draw lists, tables and headings left out. It does
not depend on where lines break. Beside it stand shares of words, which do not depend on signs between cells either: how
many of the reference's are kept, how many of the text's are the reference's (pure), and how many come in its order.

``--checkout`` measures the parsers of another checkout, ``--column`` names its column in FILE, and ``--table`` writes
all columns of FILE as Markdown between the marks of a document. ``experiments.reading_samples`` lays out DIR.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from rapidfuzz.distance import LCSseq

from ccf_core.cli import CommandParser, report
from experiments.reading_samples import MANIFEST, reference_path, write_lines

GRAM = 5
TABLE_MARKS = ("<!-- samples: begin -->", "<!-- samples: end -->")

_SAME = str.maketrans("‘’‚‛“”„‟\u2010\u2011", "''''\"\"\"\"--", "\u00ad\u200b\u200c\u200d\u2060\ufeff")  # noqa: RUF001
_RAISED = re.compile("[⁰¹²³⁴-⁹⁺⁻⁽⁾ⁿ]+")
_LEVEL = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ₀₁₂₃₄₅₆₇₈₉", "0123456789+-()n0123456789")
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3001\u3002\uff00-\uffef"
# Each sign of a script without spaces is a word.
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")
_DRAWN = (
    (re.compile(rf"(?<=[{_CJK}])[ \t]*\n[ \t]*(?=[{_CJK}])"), ""),
    (re.compile(r"^[ \t>]*(?:[-*+•◦▪·‣○●■–o](?=[ \t])|#{1,6}(?=[ \t]))", re.M), " "),  # noqa: RUF001
    (re.compile(r"(?:[-=_~*+.─━] ?){3,}"), " "),
    (re.compile(r"[|│┃•\f]"), " "),
    (re.compile(r"(?<!\w)[_*`]+|[_*`]+(?!\w)"), ""),
    (re.compile(r"\s+"), " "),
)


def plain(text: str) -> str:
    """Reduce `text` to what is compared: NFC, straight quotes, m^2 for m², no drawing signs."""
    text = unicodedata.normalize("NFC", text.translate(_SAME).replace("\r\n", "\n"))
    text = _RAISED.sub(lambda signs: "^" + signs[0].translate(_LEVEL), text).translate(_LEVEL)
    for pattern, instead in _DRAWN:
        text = pattern.sub(instead, text)
    return text.strip()


def grams(text: str) -> Counter[str]:
    """Count the character 5-grams of `text`; a shorter text is its only gram."""
    return Counter(text[at : at + GRAM] for at in range(max(len(text) - GRAM + 1, bool(text))))


def agreement(text: str, reference: str) -> dict[str, float]:
    """Compare a text with its reference: ``right`` is of 5-grams, ``kept``, ``pure`` and ``in_order`` are of words.

    All are shares from 0 to 1; two empty texts agree fully.
    """
    text, reference = plain(text), plain(reference)
    shared = (grams(text) & grams(reference)).total()
    both = grams(text).total() + grams(reference).total()
    read, wanted = _WORD.findall(text), _WORD.findall(reference)
    same = (Counter(read) & Counter(wanted)).total()
    return {
        "right": 2 * shared / both if both else 1.0,
        "kept": same / len(wanted) if wanted else 1.0,
        "pure": same / len(read) if read else float(not wanted),
        "in_order": LCSseq.similarity(read, wanted) / len(wanted) if wanted else 1.0,
    }


def reading(read_in_sandbox: Callable[..., Any], data: bytes, filename: str) -> tuple[dict[str, Any], str]:
    """Read one file and tell what became of it: characters, pages, notes or the refusal, and processor seconds.

    Processor time of the reading process, its start included, is less disturbed by what else runs than the clock.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        document = read_in_sandbox(data, filename)
        text = document.text
        outcome = {"characters": len(text), "pages": len(document.pages), "notes": list(document.notes)}
        # Older checkouts do not keep what they leave out.
        outcome["left_out"] = sum(len(part.text) for part in getattr(document, "left_out", ()))
    except Exception as error:
        # Not only ReadError: a parser that breaks is an outcome too.
        text, outcome = "", {"refused": type(error).__name__, "sentence": str(error)}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome["seconds"] = round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)
    return outcome, text


def measured(samples: Path, names: list[str], texts: Path | None = None) -> dict[str, dict[str, Any]]:
    """Read the samples that are named, compare each with its reference, and return the outcomes by name."""
    read_in_sandbox = import_module("app.parsers").read_in_sandbox
    outcomes = {}
    for name in names:
        path = samples / name
        if not path.exists():
            report(f"{name}: not laid out")
            continue
        outcome, text = reading(read_in_sandbox, path.read_bytes(), name)
        reference = reference_path(samples, name)
        if reference.exists():
            shares = agreement(text, reference.read_text("utf-8"))
            outcome |= {key: round(share, 4) for key, share in shares.items()}
        if texts:
            texts.mkdir(parents=True, exist_ok=True)
            (texts / f"{name}.txt").write_text(text, "utf-8")
        report(f"{name}: {outcome.get('refused') or outcome['characters']} {outcome.get('right', '')}")
        outcomes[name] = outcome
    return outcomes


def tables(manifest: list[dict[str, Any]], columns: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Write the columns as two Markdown tables: the means of each kind, then every sample."""
    kinds = [*dict.fromkeys(sample["kind"] for sample in manifest), "all"]
    heads = (("right", "kept", "pure", "in order", "refused"), ("right", "kept", "in order", "s"))
    head_of_kinds, head_of_samples = (
        [f"{column}: {head}" for column in columns for head in of_a_column] for of_a_column in heads
    )
    lines = [_row(["kind", "files", *head_of_kinds]), "|---|--:|" + "--:|" * len(head_of_kinds)]
    for kind in kinds:
        names = [sample["name"] for sample in manifest if kind in (sample["kind"], "all")]
        cells = [cell for outcomes in columns.values() for cell in _means([outcomes.get(name) for name in names])]
        lines.append(_row([kind, str(len(names)), *cells]))
    lines += [
        "",
        _row(["sample", "holds", "reference", *head_of_samples]),
        "|---|---|---|" + "--:|" * len(head_of_samples),
    ]
    for sample in manifest:
        wanted = sample["reference"]
        cells = [cell for outcomes in columns.values() for cell in _cells(outcomes.get(sample["name"]))]
        by = f" ({wanted['by']})" if wanted["sort"] == "tool" else ""
        lines.append(_row([sample["name"], sample["holds"], wanted["sort"] + by, *cells]))
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _means(outcomes: list[dict[str, Any] | None]) -> list[str]:
    read = [outcome for outcome in outcomes if outcome]
    compared = [outcome for outcome in read if "right" in outcome]
    means = [
        f"{sum(outcome[key] for outcome in compared) / len(compared):.3f}" if compared else ""
        for key in ("right", "kept", "pure", "in_order")
    ]
    return [*means, str(sum("refused" in outcome for outcome in read))]


def _cells(outcome: dict[str, Any] | None) -> list[str]:
    if outcome is None:
        return ["", "", "", ""]
    # Seconds a page where a kind has pages, a file elsewhere.
    seconds = f"{outcome['seconds'] / max(outcome.get('pages', 1), 1):.2f}"
    if "refused" in outcome:
        return [outcome["refused"], "", "", seconds]
    if "right" not in outcome:
        return [f"{outcome['characters']:,} characters", "", "", seconds]
    return [*(f"{outcome[key]:.3f}" for key in ("right", "kept", "in_order")), seconds]


def main(argv: list[str] | None = None) -> int:
    """Measure, keep the column in FILE beside the others, and write the tables."""
    parser = CommandParser(prog="python -m experiments.reading_accuracy", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--samples", type=Path, help="folder that experiments.reading_samples has laid out")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of all columns")
    parser.add_argument("--column", default="after", help="name of the column that is measured")
    parser.add_argument("--checkout", type=Path, help="root of another checkout, whose parsers are measured")
    parser.add_argument("--only", default="", help="start of the names of samples to measure; the others keep theirs")
    parser.add_argument("--texts", type=Path, help="folder to write the texts to that were read")
    parser.add_argument("--table", type=Path, help="Markdown file whose marked part is written anew")
    given = parser.parse_args(argv)
    manifest = json.loads(MANIFEST.read_text("utf-8"))
    columns: dict[str, dict[str, dict[str, Any]]] = {}
    for row in json.loads(given.out.read_text("utf-8")) if given.out.exists() else []:
        columns.setdefault(row.pop("column"), {})[row.pop("name")] = row
    if given.samples:
        if given.checkout:
            sys.path.insert(0, str(given.checkout.resolve()))
        names = [sample["name"] for sample in manifest if sample["name"].startswith(given.only)]
        columns.setdefault(given.column, {}).update(measured(given.samples, names, given.texts))
        rows = [
            {"column": column, "name": name} | outcome
            for column, outcomes in columns.items()
            for name, outcome in outcomes.items()
        ]
        write_lines(given.out, rows)
    if given.table:
        head, rest = given.table.read_text("utf-8").split(TABLE_MARKS[0])
        tail = rest.split(TABLE_MARKS[1])[1]
        between = f"{TABLE_MARKS[0]}\n\n{tables(manifest, columns)}\n\n{TABLE_MARKS[1]}"
        given.table.write_text(head + between + tail, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
