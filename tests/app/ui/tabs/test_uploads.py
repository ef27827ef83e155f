"""What a page refuses before it is sent, and the sentence that stays in the list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.limits import Caps, Demo
from app.settings import Settings
from app.ui.tabs.uploads import MAX_REFUSED, limits, list_refused
from app.workbench import Workbench

MB = 1_000_000


def test_a_page_knows_what_its_server_takes() -> None:
    alone = Settings(Path("nowhere"))
    assert limits(alone) == (50 * MB, 0)
    assert limits(replace(alone, upload_bytes=10 * MB)) == (10 * MB, 10 * MB)
    assert limits(replace(alone, upload_bytes=90 * MB)) == (50 * MB, 90 * MB)
    assert limits(replace(alone, demo=Demo())) == (20 * MB, 49_900_000)
    assert limits(replace(alone, demo=Demo(Caps(nbytes=80 * MB)))) == (49_900_000, 49_900_000)
    assert limits(replace(alone, caps=Caps())) == (20 * MB, 49_900_000)  # one visitor's


@pytest.mark.parametrize(
    ("size", "why", "sentence"),
    [
        (60 * MB, {}, "The file has 60.0 MB and the limit is 20.0 MB; split it into parts."),
        (4 * MB, {}, "This demo keeps 20 documents for you: delete one first."),
        (4 * MB, {"status": 413}, "The server, or a proxy before it, takes no file of 4.0 MB; split it into parts."),
        (4 * MB, {"status": 502}, "The upload failed (the server answered 502); add the file again."),
        (4 * MB, {"status": 429, "said": "Wait."}, "Wait."),
        (4 * MB, {"status": 0}, "The upload broke off; check the connection and add the file again."),
    ],
)
def test_a_refused_file_is_listed_with_a_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, size: int, why: dict[str, Any], sentence: str
) -> None:
    with Workbench(replace(settings, caps=Caps())) as workbench:
        monkeypatch.setattr(workbench.store.jobs, "waiting", lambda: (20, 0))
        list_refused(workbench, {"files": [["../a\u202eb.pdf", size]], **why})
        (job,) = workbench.queue.list()
    assert (job.name, job.state, job.reason, job.repeatable) == ("a b.pdf", "failed", sentence, False)


def test_files_that_are_too_large_together_are_named_one_by_one_and_not_without_end(settings: Settings) -> None:
    with Workbench(replace(settings, upload_bytes=2 * MB)) as workbench:
        list_refused(workbench, {"files": [["log.txt", MB]] * (MAX_REFUSED + 5), "together": True})
        jobs = workbench.queue.list()
    assert len(jobs) == MAX_REFUSED
    assert {job.reason for job in jobs} == {
        "Files of more than 2.0 MB together are not taken at once; add this one by itself."
    }
