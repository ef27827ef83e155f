"""A reader or a task of one's own: one class or module, one row, and everything takes it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ccf_core import READERS
from ccf_core.evaluation.readers import READERS as MEASURED
from ccf_core.evaluation.report.page import drawing, markdown
from ccf_core.evaluation.rows import Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import TASKS, qa, readers_of
from ccf_core.readers.base import Question, Reader, Reading
from ccf_core.registry import Registry


class LastTokens(Reader):
    """Reads the last tokens of the text, as many as the memory has slots."""

    reads_text = True
    as_small_as_memory = True
    tasks = ("qa",)

    def read(self, questions: Sequence[Question], prepared: Sequence[Any]) -> list[Reading]:
        return [Reading(q.document.input_ids[-q.budget :]) for q in questions]


@pytest.fixture
def last_tokens() -> Iterator[str]:
    READERS["last_tokens"] = LastTokens
    yield "last_tokens"
    del READERS["last_tokens"]


@pytest.fixture
def words_task() -> Iterator[str]:
    """A task that counts the words of texts: no model is needed."""
    task = ModuleType("words_task")

    def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
        mean = sum(len(row["text"].split()) for row in rows) / len(rows)
        facts = {"reader": "none", "n": len(rows), "metrics": {"words": mean}, "ci95": {"words": [mean, mean]}}
        return len(rows), [facts | {"ratio": ratio} for ratio in options.ratios]

    vars(task).update(
        ABOUT="Words are counted.", DATA="text.jsonl.xz", FIELDS=("text",), READERS=("none",), METRIC="words",
        LABEL="words a text", SHORT_LABEL="words", COUNTED="texts", DRAWN={}, MAIN={}, evaluate=evaluate,
    )  # fmt: skip
    sys.modules["words_task"] = task
    TASKS["words"] = "words_task"
    yield "words"
    del TASKS["words"], sys.modules["words_task"]


def test_names_are_known_before_anything_is_imported() -> None:
    table = Registry[object]({"none": "no.such.module", "path": "pathlib:Path", "given": 3})
    assert list(table) == ["none", "path", "given"] and "none" in table and len(table) == 3
    assert table["path"] is Path and table["given"] == 3
    with pytest.raises(ModuleNotFoundError):
        table["none"]
    with pytest.raises(KeyError):
        table["another"]


def test_every_row_of_the_tables_is_a_reader_or_a_task() -> None:
    assert all(issubclass(reader, Reader) and reader.__doc__ for reader in MEASURED.values())
    for name, task in TASKS.items():
        assert set(readers_of(name)) == set(task.READERS) <= set(MEASURED)
        assert task.METRIC and task.LABEL and task.SHORT_LABEL and task.COUNTED and task.ABOUT


def test_a_reader_of_ones_own_answers_and_is_measured(subject: Subject, qa_rows: list[Row], last_tokens: str) -> None:
    ccf, row = subject.ccf, qa_rows[4]
    memory, ids = ccf.compress(row["context"]).at(8), ccf.segment(row["context"]).input_ids
    answer = ccf.answer(row["question"], memory, 8, reader=last_tokens, input_ids=ids)
    expected = ccf.answer(row["question"], None, 8, reader="full", input_ids=ids[-memory.slots :])
    assert (answer.reader, answer.text, answer.kv_bytes) == (last_tokens, expected.text, expected.kv_bytes)
    assert readers_of("qa")[-1] == last_tokens and last_tokens not in readers_of("perplexity")
    _, rows = qa.evaluate(subject, qa_rows[:3], Options(ratios=(4, 8), readers=(last_tokens,)))
    assert {(row["reader"], row["ratio"]) for row in rows} == {(last_tokens, 4), (last_tokens, 8)}
    assert f"| {last_tokens} | 4x |" in markdown(_result("qa", rows))


def test_a_task_of_ones_own_is_evaluated_and_reported(
    words_task: str, subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Callable
) -> None:
    from ccf_core.__main__ import main

    monkeypatch.setattr(Subject, "load", lambda *args, **named: subject)
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in ("one two", "three")))
    out = ["--out", str(tmp_path / "words.json")]
    assert main(["evaluate", words_task, "--data", str(tmp_path / "rows.jsonl"), "--ratio", "4", "8", *out]) == 0
    result = json.loads((tmp_path / "words.json").read_text())
    assert [(row["ratio"], row["metrics"]) for row in result["rows"]] == [(4, {"words": 1.5}), (8, {"words": 1.5})]
    assert "words a text" in drawing(result)
    assert main(["report", str(tmp_path / "words.json"), "--out", str(tmp_path / "page.md")]) == 0
    assert "Words are counted." in (tmp_path / "page.md").read_text()


def _result(task: str, rows: list[dict]) -> dict:
    return {
        "task": task, "data": {"name": "rows.jsonl"}, "n": 3, "seed": 0, "adapter": "a" * 64, "base": {"id": "tiny"},
        "dtype": "float32", "device": "cpu", "memory_dtype": "int8", "seconds": 1.5, "command": "python",
        "rows": rows,
    }  # fmt: skip
