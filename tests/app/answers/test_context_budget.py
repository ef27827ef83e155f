"""A memory that is over the budget or the window is read coarser, and the answer says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.answers.context_budget import affordable
from app.cli.main import main
from app.errors import BadSetting
from app.limits import KVBudget
from app.settings import Settings
from app.types import AnswerView
from app.workbench import Workbench
from ccf_core import CCF

QUESTION = "What did the harbour master count?"
#: Of the tiny model in float32: 2 layers, keys and values, 2 heads of 8 numbers.
POSITION = 2 * 2 * 2 * 8 * 4


@pytest.fixture
def ask(settings: Settings) -> Callable[..., AnswerView]:
    """``ask(text, ratio, budget)``: the answer of a workbench with this budget."""

    def run(text: str, ratio: int, budget: str | KVBudget | None = None, reader: str = "memory") -> AnswerView:
        limit = KVBudget.parse(budget) if isinstance(budget, str) else budget
        with Workbench(replace(settings, kv_budget=limit)) as workbench:
            done = workbench.intake.ingest_text(text, "Log")
            *_, answer = workbench.asking.ask(QUESTION, [done.document.sha256], ratio, reader, max_new_tokens=4)
            assert isinstance(answer, AnswerView)
            return answer

    return run


@pytest.mark.parametrize(
    ("text", "amount", "in_bytes"), [("4096", 4096, False), ("200MB", 200_000_000, True), (" 2 gb", 2 * 10**9, True)]
)
def test_a_budget_is_positions_or_bytes(text: str, amount: int, in_bytes: bool) -> None:
    assert KVBudget.parse(text) == KVBudget(amount, in_bytes)


@pytest.mark.parametrize("text", ["", "0", "-5", "4k", "MB", "1.5GB"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(BadSetting, match="4096, 200MB"):
        KVBudget.parse(text)
    with pytest.raises(BadSetting):
        Settings.from_env({"CCF_KV_BUDGET": text or "x"})


def test_budgets_come_from_the_environment_and_the_command_line(capsys) -> None:
    assert Settings.from_env({"CCF_KV_BUDGET": "64MB"}).kv_budget == KVBudget(64_000_000, True)
    assert Settings.from_env({}).kv_budget is None
    with pytest.raises(SystemExit) as stopped:
        main(["ask", "file", "What?", "--kv-budget", "some"])
    assert stopped.value.code == 2
    assert "4096, 200MB" in capsys.readouterr().err


def test_the_finest_ratio_within_the_budget_is_read_and_noted(ask, prose) -> None:
    whole = ask(prose(), 4)
    assert (whole.ratio, whole.notes) == (4, ())
    slots = whole.kv_bytes // POSITION
    answer = ask(prose(), 4, str(slots - 1))
    assert answer.ratio == 8
    assert answer.kv_bytes < whole.kv_bytes
    assert answer.notes == (
        f"At 4x the memory has {slots} positions; the KV budget is {slots - 1} positions, so it was read at 8x, "
        "the finest ratio that fits.",
    )
    assert ask(prose(), 4, str(slots)).ratio == 4
    assert ask(prose(), 16, str(slots)).ratio == 16


def test_the_budget_of_a_question_comes_before_that_of_the_settings(settings: Settings, prose) -> None:
    with Workbench(replace(settings, kv_budget=KVBudget(3, in_bytes=False))) as workbench:
        done = workbench.intake.ingest_text(prose(), "Log")
        *_, own = workbench.asking.ask(QUESTION, [done.document.sha256], 4, kv_budget=KVBudget(500, in_bytes=False))
        *_, common = workbench.asking.ask(QUESTION, [done.document.sha256], 4)
    assert isinstance(own, AnswerView) and isinstance(common, AnswerView)
    assert (own.ratio, own.notes, common.ratio) == (4, (), 32)


def test_a_budget_in_bytes_bounds_the_bytes_held(ask, prose) -> None:
    text = prose(1000)
    answer = ask(text, 4, KVBudget(70_000, in_bytes=True))
    assert 8 <= answer.ratio < 32
    assert 35_000 <= answer.kv_bytes <= 70_000
    assert f"the KV budget is 0.07 MB, {70_000 // POSITION} positions" in answer.notes[0]


def test_a_memory_that_fits_nowhere_is_read_at_the_coarsest_and_said_to_be_over(ask, prose) -> None:
    answer = ask(prose(), 4, "3")
    assert answer.ratio == 32
    assert "too few even for 32x with 11" in answer.notes[0]
    assert answer.text or answer.notes


def test_a_document_of_many_windows_is_answered_within_the_window(ask, prose) -> None:
    # The tiny window is 1,024, of which 896 are for documents.
    answer = ask(prose(4000), 4)
    assert answer.full_kv_bytes // (POSITION // 2) > 6 * 896
    assert answer.ratio == 8
    assert answer.kv_bytes <= 896 * POSITION
    assert "the model's window holds 896, so it was read at 8x" in answer.notes[0]
    assert "closer together" in answer.notes[-1]
    for reader in ("truncated", "memory"):
        assert ask(prose(4000), 4, "300", reader).kv_bytes <= 300 * POSITION


def test_question_and_answer_have_an_eighth_of_a_sliding_window(
    tiny_folder: Callable[..., Path], tiny_adapter: Callable[[Path], Path]
) -> None:
    folder = tiny_folder("mistral", sliding_window=64)
    ccf = CCF.from_pretrained(tiny_adapter(folder), folder, "cpu", "float32")
    whole, long = ccf.segment([5] * 224), ccf.segment([5] * 225)
    assert affordable(ccf, 4, [whole], None) == (4, "")
    ratio, note = affordable(ccf, 4, [long], None)
    assert ratio == 8
    assert "57 positions; the model attends to 64 at a time" in note
