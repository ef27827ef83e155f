"""Visitors of a demo come, go and are forgotten; what they may keep is limited."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from gradio_client import Client

from app.demo.visitors import IDLE_S, Visitors
from app.errors import BadSetting, Busy, DemoFull, LibraryFull, NotInDemo, UnknownVisitor
from app.limits import Caps, Demo
from app.settings import Settings
from app.ui.html import page
from app.ui.page import build
from app.ui.server import serve
from app.workbench import Workbench

HOUR = 3600.0


@pytest.fixture
def later() -> list[float]:
    """Seconds by which the demo's clock is ahead: its last item."""
    return [0.0]


@pytest.fixture
def visitors(settings: Settings, later: list[float], tmp_path: Path) -> Iterator[Visitors]:
    with Workbench(settings) as template:
        # All examples are as good as taken in.
        examples = Path(__file__).parents[3] / "assets" / "examples"
        (settings.data_dir / "examples-taken-in").write_text("\n".join(file.name for file in examples.iterdir()))
        demo = Demo(Caps(documents=3, nbytes=5_000), ttl_s=HOUR, visitors=3)
        with Visitors(template, demo, tmp_path / "uploads", lambda: time.time() + later[-1]) as opened:
            yield opened


def folders(settings: Settings) -> list[Path]:
    return sorted((settings.data_dir / "visitors").iterdir())


def test_data_are_deleted_when_their_time_is_over(
    visitors: Visitors, settings: Settings, later: list[float], prose: Callable[..., str]
) -> None:
    gone, here = visitors.issue(), visitors.issue()
    visitors.workbench(gone).intake.ingest_text(prose(40))
    for token in (gone, here):
        upload = visitors.uploads / visitors.name(token) / "random" / "file.txt"
        upload.parent.mkdir(parents=True)
        upload.write_text("text")
    later.append(HOUR * 0.9)
    visitors.workbench(here)
    visitors.sweep()
    assert visitors.knows(gone)
    assert not list(visitors.uploads.glob("*/*"))  # long taken in
    later.append(HOUR * 1.1)
    visitors.sweep()
    assert not visitors.knows(gone)
    assert visitors.knows(here)
    assert [folder.name for folder in folders(settings)] == [visitors.name(here)]
    with pytest.raises(UnknownVisitor, match="ask for a new token"):
        visitors.workbench(gone)


def test_an_idle_workbench_rests_and_comes_back_with_its_data(
    visitors: Visitors, later: list[float], prose: Callable[..., str]
) -> None:
    token = visitors.issue()
    first = visitors.workbench(token)
    first.intake.ingest_text(prose(40), "Kept")
    later.append(IDLE_S + 1)
    visitors.sweep()
    assert visitors.workbench(token) is not first
    assert [view.title for view in visitors.workbench(token).library.documents()] == ["Kept"]


def test_a_full_demo_lets_the_one_go_who_was_away_longest(visitors: Visitors, later: list[float]) -> None:
    tokens = [visitors.issue() for _ in range(3)]
    with pytest.raises(DemoFull, match="come back later"):
        visitors.issue()
    later.append(visitors.demo.spared_s + 1)
    for token in tokens[1:]:
        visitors.workbench(token)
    new = visitors.issue()
    assert [visitors.knows(token) for token in (*tokens, new)] == [False, True, True, True]


def test_visitors_outlive_a_restart_and_half_made_ones_do_not(
    visitors: Visitors, settings: Settings, prose: Callable[..., str]
) -> None:
    token = visitors.issue()
    visitors.workbench(token).intake.ingest_text(prose(40), "Kept")
    old = visitors.issue()
    owner = settings.data_dir / "visitors" / visitors.name(old) / "owner"
    os.utime(owner, (time.time() - 2 * HOUR,) * 2)
    (settings.data_dir / "visitors" / "half").mkdir()
    visitors.close()
    with Visitors(visitors.template, visitors.demo, visitors.uploads) as again:
        again.sweep()
        assert [view.title for view in again.workbench(token).library.documents()] == ["Kept"]
        assert not again.knows(old)
    assert len(folders(settings)) == 1


def test_every_visitor_begins_with_what_the_template_has(
    visitors: Visitors, encoded: list[int], prose: Callable[..., str]
) -> None:
    sha = visitors.template.intake.ingest_text(prose(60), "Example").document.sha256
    encoded.clear()
    one, two = visitors.workbench(visitors.issue()), visitors.workbench(visitors.issue())
    assert one.memories.recall(sha, 4).memory.slots == two.memories.recall(sha, 4).memory.slots > 0
    assert not encoded
    one.library.delete(sha)
    assert [view.title for view in (*one.library.documents(), *two.library.documents())] == ["Example"]
    assert [view.title for view in visitors.template.library.documents()] == ["Example"]


def test_the_queue_keeps_to_the_caps_too(visitors: Visitors, prose: Callable[..., str]) -> None:
    workbench = visitors.workbench(visitors.issue())
    for seed in range(3):
        workbench.queue.add_text(prose(40, seed))
    with pytest.raises(LibraryFull, match="delete one first"):
        workbench.queue.add_text(prose(40, 3))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and {job.state for job in workbench.queue.list()} != {"stored"}:
        time.sleep(0.05)
    assert len(workbench.library.documents()) == 3
    workbench.library.delete(workbench.library.documents()[0].sha256)
    with pytest.raises(LibraryFull, match=r"0\.005 MB"):
        workbench.queue.add_text(prose(2000, 4))
    with pytest.raises(NotInDemo):
        workbench.model.use(workbench.settings.adapter)


def test_a_space_is_a_demo_unless_told_otherwise(tmp_path: Path) -> None:
    assert Settings.from_env({}).demo is None
    space = Settings.from_env({"SPACE_ID": "somebody/ccf"})
    assert space.demo == Demo()
    assert (space.memory_cap_bytes, space.max_tokens, space.caps) == (100_000_000, 20_000, None)
    assert Settings.from_env({"SPACE_ID": "somebody/ccf", "CCF_DEMO": "0"}).demo is None
    limits = {"CCF_VISITOR_DOCUMENTS": "5", "CCF_VISITOR_MB": "2", "CCF_VISITOR_HOURS": "3", "CCF_VISITORS": "7"}
    demo = Settings.from_env({"CCF_DEMO": "1", **limits}).demo
    assert demo == Demo(Caps(5, 2_000_000), 3 * HOUR, 7)


def test_names_and_passwords_come_from_the_environment() -> None:
    settings = Settings.from_env({"CCF_LOGIN": "ann:one two, bob:a:b"})
    assert settings.login == (("ann", "one two"), ("bob", "a:b"))
    assert "one two" not in repr(settings)
    with pytest.raises(BadSetting, match="name:password"):
        Settings.from_env({"CCF_LOGIN": "ann"})


def test_a_login_comes_before_everything(settings: Settings) -> None:
    with Workbench(replace(settings, login=(("ann", "secret"),))) as workbench:
        app, address, _ = serve(
            build(workbench), workbench.settings, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True
        )
        try:
            assert httpx.get(f"{address}config", timeout=120).status_code == 401
            assert httpx.post(f"{address}gradio_api/call/documents", json={"data": []}, timeout=120).status_code == 401
            with pytest.raises(ValueError, match="Could not login"):
                Client(address, auth=("ann", "wrong"), verbose=False)
            client = Client(address, auth=("ann", "secret"), verbose=False, analytics_enabled=False)
            assert client.predict(api_name="/documents") == []
            client.close()
        finally:
            app.get_blocks().close(verbose=False)


def test_the_model_is_shared_fairly(visitors: Visitors, prose: Callable[..., str]) -> None:
    many, one = (visitors.workbench(visitors.issue()) for _ in range(2))
    shas = {bench: bench.intake.ingest_text(prose(40)).document.sha256 for bench in (many, one)}
    order: list[str] = []

    def ask(bench: Workbench, name: str) -> None:
        waiting = threading.Event()

        def look() -> bool:
            waiting.set()
            return False

        def work() -> None:
            *_, _ = bench.asking.ask("How many ships?", [shas[bench]], 4, max_new_tokens=1, cancelled=look)
            order.append(name)

        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()
        assert waiting.wait(60)

    threads: list[threading.Thread] = []
    answer = many.asking.ask("How many ships?", [shas[many]], 4)
    next(answer)  # holds the model until it is closed
    for name in ("many 0", "many 1", "many 2", "many 3"):
        ask(many, name)
    ask(one, "one")
    assert many.model.state.ahead == 2
    assert one.model.state.ahead == 1
    assert "Busy, 1 ahead of you" in page.head(one.model.state)
    with pytest.raises(Busy, match="busy, 2 ahead of you"):
        next(many.asking.ask("How many ships?", [shas[many]], 4))
    # What needs no model waits for nobody.
    assert many.queue.add_text("Queued. " * 9).state == "queued"
    assert [view.title[:3] for view in one.library.documents()] == ["Log"]
    answer.close()
    for thread in threads:
        thread.join(60)
    assert order.index("one") <= 1
    assert one.model.state.ahead is None
    assert "Model ready" in page.head(one.model.state)
