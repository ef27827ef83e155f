"""The evaluation data that come with the project: their page tells what the files hold."""

from __future__ import annotations

import re

import pytest

from ccf_core.evaluation.rows import DATA, Row, choose, load_rows, source_of
from ccf_core.evaluation.tasks import TASKS
from tools import evaluation_counts

PAGE = (DATA / "README.md").read_text(encoding="utf-8")
FILES = {file.name.removesuffix(".jsonl.xz"): file for file in DATA.glob("*.jsonl.xz")}


def rows_of(name: str) -> list[Row]:
    return load_rows(FILES[name], ())


def test_digests_and_counts_on_the_page_are_those_of_the_files() -> None:
    assert set(FILES) == {"text", "qa", "qa_ood", "longqa"}
    assert evaluation_counts.page(DATA) in PAGE


def test_a_table_counts_documents_once() -> None:
    rows = [
        {"source": "s", "context": "one", "question": "?"},
        {"source": "s", "context": "one", "question": "!"},
        {"source": "s", "context": "three", "question": "?"},
    ]
    (line,) = [line for line in evaluation_counts.table(rows).splitlines() if line.startswith("| s ")]
    _, documents, a, b, questions, middle = [cell.strip() for cell in line.strip("|").split("|")]
    assert (documents, questions, middle) == ("2", "3", "4")
    assert int(a) + int(b) == 2


def test_every_source_has_a_licence() -> None:
    licences = PAGE.partition("## Licences")[2]
    cells = [cell.strip() for line in licences.splitlines() if line.startswith("|") for cell in line.split("|")[1:2]]
    named = [re.escape(name.strip()).replace("…", ".*") for cell in cells for name in cell.split(", ")]
    for source in {source_of(row) for name in FILES for row in rows_of(name)}:
        assert any(re.fullmatch(name, source) for name in named), source


@pytest.mark.parametrize("task", TASKS)
def test_every_task_can_read_its_default(task: str) -> None:
    rows = load_rows(DATA / TASKS[task].DATA, TASKS[task].FIELDS)
    assert len(choose(rows, "A", [])) + len(choose(rows, "B", [])) == len(rows)


def test_sources_of_qa_ood_are_in_no_other_file() -> None:
    others = {source_of(row) for name in FILES if name != "qa_ood" for row in rows_of(name)}
    assert not others & {source_of(row) for row in rows_of("qa_ood")}


def test_every_question_has_an_answer() -> None:
    for name in ("qa", "qa_ood", "longqa"):
        assert all(any(answer.strip() for answer in row["answers"]) for row in rows_of(name))
