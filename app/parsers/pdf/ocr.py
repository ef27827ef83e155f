"""Recognise the text of a page's picture with Tesseract, if the machine has that program."""

from __future__ import annotations

import ctypes
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from app.parsers.pdf.joints import UNSPACED
from app.parsers.pdf.lines import Line, clean

if TYPE_CHECKING:
    from PIL import Image

PROGRAM = "tesseract"
LANGUAGES = "CCF_OCR_LANGUAGES"
#: More languages at once are slow and confuse letters; the setting chooses among them.
_MOST_LANGUAGES = 4
_NO_LANGUAGES = {"osd", "equ", "snum"}
_KILLED_WITH_PARENT = 1  # PR_SET_PDEATHSIG, of Linux
_SIGKILL = 9


@dataclass(frozen=True)
class Recognised:
    """Lines that were recognised in a picture, and how sure the recognition is of its words, in percent."""

    lines: tuple[Line, ...]
    confidence: float


def languages() -> str:
    """Choose the languages to recognise, as Tesseract writes them; empty if it is not there or has none.

    The environment's `CCF_OCR_LANGUAGES` decides, else English and what else is installed.
    """
    if not shutil.which(PROGRAM):
        return ""
    if chosen := os.environ.get(LANGUAGES):
        return chosen
    try:
        listed = _run(["--list-langs"], b"", seconds=20).decode("utf-8", "replace").split("\n")[1:]
    except (OSError, subprocess.SubprocessError):
        return ""
    installed = sorted({name.strip() for name in listed} - _NO_LANGUAGES - {""}, key=lambda name: (name != "eng", name))
    return "+".join([name for name in installed if "/" not in name][:_MOST_LANGUAGES])


def recognise(picture: Image.Image, chosen: str, seconds: float) -> Recognised | None:
    """Recognise the lines of a picture within so many seconds; nothing if it takes longer or fails."""
    written = io.BytesIO()
    picture.save(written, "PNG", compress_level=1)
    command = ["stdin", "stdout", "-l", chosen, "--dpi", str(round(picture.info.get("dpi", (300,))[0])), "tsv"]
    try:
        table = _run(command, written.getvalue(), seconds).decode("utf-8", "replace")
    except (OSError, subprocess.SubprocessError):
        return None
    return _read(table)


def _run(arguments: Sequence[str], given: bytes, seconds: float) -> bytes:
    """Run Tesseract by pipes alone, so that no picture is left on a disk, and not longer than this process lives."""
    return subprocess.run(
        [PROGRAM, *arguments],
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=max(seconds, 0.1),
        check=True,
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    ).stdout


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_KILLED_WITH_PARENT, _SIGKILL)


def _read(table: str) -> Recognised:
    """Make lines of Tesseract's table, which has a row for each word and its box."""
    lines: dict[tuple[str, ...], list[tuple[str, int, int, int, int]]] = {}
    sure: list[float] = []
    head, *rows = (line.split("\t") for line in table.split("\n"))
    for cells in rows:
        row = dict(zip(head, cells, strict=False))
        text = clean((row.get("text") or "").strip())
        try:
            confidence = float(row["conf"])
            left, top, width, height = (int(row[name]) for name in ("left", "top", "width", "height"))
        except (KeyError, TypeError, ValueError):
            continue
        if not text or confidence < 0:
            continue
        place = tuple(str(row.get(name)) for name in ("block_num", "par_num", "line_num"))
        lines.setdefault(place, []).append((text, left, top, width, height))
        sure += [confidence] * len(text)
    sizes = [max(height for *_, height in words) for words in lines.values()]
    usual = median(sizes) if sizes else 1.0
    read = tuple(_line(words, usual) for words in lines.values())
    return Recognised(read, sum(sure) / len(sure) if sure else 0.0)


def _line(words: Sequence[tuple[str, int, int, int, int]], usual: float) -> Line:
    """Join words of a line; boxes fit their ink, so only much higher ones are of larger letters than usual."""
    height = max(height for *_, height in words)
    size = float(height if height > 1.6 * usual else usual)
    text, right = words[0][0], words[0][1] + words[0][3]
    for word, left, _, width, _ in words[1:]:
        unspaced = UNSPACED.match(text[-1]) and UNSPACED.match(word[0])
        text += ("\t" if left - right > 2 * size else "" if unspaced else " ") + word
        right = left + width
    bottom = max(top + height for _, _, top, _, height in words)
    return Line(text, words[0][1], right, -bottom, size, words[0][1] + words[0][3])
