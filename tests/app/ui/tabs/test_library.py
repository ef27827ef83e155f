"""What a page adds is chosen once it is stored; what its user chose meanwhile stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.ui.tabs.library import joined, with_stored
from app.workbench import Workbench


@pytest.fixture
def example(workbench: Workbench, prose: Callable[..., str]) -> str:
    return workbench.intake.ingest_text(prose(seed=9), "Example").document.sha256


def test_the_first_that_is_stored_takes_the_place_of_what_was_chosen(
    workbench: Workbench, prose: Callable[..., str], example: str
) -> None:
    jobs = [workbench.queue.add_text(prose(seed=seed), f"Log {seed}").id for seed in (1, 2)]
    awaited = jobs, [example]
    assert with_stored(workbench, [example], awaited) == ([example], awaited)
    workbench.queue.work()
    first = workbench.queue.list()[0].document
    now, awaited = with_stored(workbench, [example], awaited)
    assert (now, awaited) == ([first], (jobs[1:], None))
    workbench.queue.work()
    second = workbench.queue.list()[1].document
    assert with_stored(workbench, now, awaited) == ([first, second], ([], None))


def test_ticks_that_were_changed_meanwhile_stay(workbench: Workbench, prose: Callable[..., str], example: str) -> None:
    other = workbench.intake.ingest_text(prose(seed=8), "Other").document.sha256
    job = workbench.queue.add_text(prose(seed=1), "Log").id
    workbench.queue.work()
    (stored,) = (view.document for view in workbench.queue.list())
    assert with_stored(workbench, [example, other], ([job], [example]))[0] == [example, other, stored]
    # What is there already is chosen like anything else, and nothing twice.
    assert with_stored(workbench, [stored, other], ([job], [example]))[0] == [other, stored]


def test_what_failed_is_chosen_when_it_is_tried_again(
    workbench: Workbench, prose: Callable[..., str], example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = workbench.queue.add_text(prose(seed=1), "Log").id
    awaited = [job], [example]
    with monkeypatch.context() as patch:
        patch.setattr(workbench.model, "adapter", Path("nowhere"))
        workbench.model.ccf = None
        workbench.queue.work()
    assert workbench.queue.list()[0].state == "failed"
    assert with_stored(workbench, [example], awaited) == ([example], awaited)
    workbench.queue.retry(job)
    workbench.queue.work()
    assert with_stored(workbench, [example], awaited)[0] == [workbench.queue.list()[0].document]


def test_what_others_add_changes_nothing(workbench: Workbench, prose: Callable[..., str], example: str) -> None:
    workbench.queue.add_text(prose(seed=1), "Log")
    workbench.queue.work()
    assert with_stored(workbench, [example], ([], None)) == ([example], ([], None))


def test_a_later_addition_joins_what_is_on_its_way_or_begins_anew(
    workbench: Workbench, prose: Callable[..., str], example: str
) -> None:
    first, second = (workbench.queue.add_text(prose(seed=seed), f"Log {seed}").id for seed in (1, 2))
    assert joined(workbench, [second], ([first], None), [example]) == ([first, second], None)
    workbench.store.jobs.fail(first, "A reason.")
    # What failed is still waited for, should it be tried again; it is not what the next addition joins.
    assert joined(workbench, [second], ([first], None), [example]) == ([first, second], [example])
    workbench.queue.dismiss(first)
    assert joined(workbench, [second], ([first], None), [example]) == ([second], [example])
