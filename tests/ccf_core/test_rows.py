"""Files of rows: what is read of them, in which forms, and which line cannot be used."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest

from ccf_core.errors import BadRows
from ccf_core.rows import QUESTION, TEXT, read_rows

ROWS = [{"source": f"s{i}", "text": "some text"} for i in range(3)]
ASKED = {"context": "c", "question": "q"}


def written(path: Path, *rows: object, opener=open) -> Path:
    with opener(path, "wt", encoding="utf-8") as file:
        file.write("".join(json.dumps(row) + "\n\n" for row in rows))
    return path


@pytest.mark.parametrize(("suffix", "opener"), [("", open), (".gz", gzip.open), (".xz", lzma.open)])
def test_rows_are_read_plain_or_packed_and_empty_lines_left_out(tmp_path: Path, suffix: str, opener) -> None:
    path = written(tmp_path / f"rows.jsonl{suffix}", *ROWS, opener=opener)
    assert list(read_rows(path, TEXT)) == list(read_rows(path)) == ROWS


def test_several_questions_of_a_context_become_rows_of_their_own(tmp_path: Path) -> None:
    asked = [{"question": q, "answers": [q]} for q in ("one", "two")]
    path = written(tmp_path / "qa.jsonl", {"source": "s", "context": "c", "qas": asked})
    assert list(read_rows(path, QUESTION)) == [{"source": "s", "context": "c", **question} for question in asked]


@pytest.mark.parametrize(
    ("answers", "plain"),
    [
        (["1812", "the year 1812"], ["1812", "the year 1812"]),
        ("1812", ["1812"]),
        ({"text": ["1812", "in 1812"], "answer_start": [4, 1]}, ["1812", "in 1812"]),
        ({"text": "1812"}, ["1812"]),
        ([{"text": "1812", "answer_start": 4}], ["1812"]),
        ({"text": [], "answer_start": []}, []),
    ],
)
def test_answers_of_every_form_become_a_list_of_strings(tmp_path: Path, answers: object, plain: list[str]) -> None:
    path = written(tmp_path / "qa.jsonl", ASKED | {"answers": answers})
    assert [row["answers"] for row in read_rows(path, QUESTION)] == [plain]


def test_rows_of_several_kinds_may_share_a_file(tmp_path: Path) -> None:
    rows = [{"text": "t"}, ASKED | {"answers": ["a"], "weight": 0.5}]
    path = written(tmp_path / "both.jsonl", *rows)
    assert list(read_rows(path, TEXT, QUESTION)) == rows
    with pytest.raises(BadRows, match=r"Line 3 of both.jsonl has no 'text' that can be used: give rows with 'text'\."):
        list(read_rows(path, TEXT))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("no.jsonl", None, "There is no file no.jsonl"),
        ("bad.jsonl", b"{}\n{not json}\n", "Line 2 of bad.jsonl is not readable as JSON"),
        ("list.jsonl", b"[1]\n", "Line 1 of list.jsonl is not an object"),
        ("bad.jsonl.xz", b"plain", "bad.jsonl.xz is not readable"),
        ("bad.jsonl.gz", b"plain", "bad.jsonl.gz is not readable"),
        ("short.jsonl.gz", gzip.compress(b'{"text": "t"}\n')[:-9], "short.jsonl.gz is not readable"),
        ("latin.jsonl", b'{"text": "\xe9"}\n', "latin.jsonl is not readable"),
        ("qas.jsonl", b'{"context": "c", "qas": "q"}\n', "Line 1 of qas.jsonl has 'qas' that are no list"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRows, match=says):
        list(read_rows(tmp_path / name))


@pytest.mark.parametrize(
    ("row", "kind", "field"),
    [
        ({"text": 5}, TEXT, "text"),
        ({"title": "t"}, TEXT, "text"),
        (ASKED, QUESTION, "answers"),
        (ASKED | {"answers": [1812]}, QUESTION, "answers"),
        (ASKED | {"answers": {"texts": ["1812"]}}, QUESTION, "answers"),
        (ASKED | {"answers": ["a"], "weight": "often"}, QUESTION, "weight"),
        (ASKED | {"answers": ["a"], "weight": -1}, QUESTION, "weight"),
    ],
)
def test_a_field_that_cannot_be_used_is_named_with_file_and_line(tmp_path: Path, row: dict, kind, field: str) -> None:
    path = written(tmp_path / "rows.jsonl", row)
    with pytest.raises(BadRows, match=f"Line 1 of rows.jsonl has no '{field}' that can be used"):
        list(read_rows(path, kind))
