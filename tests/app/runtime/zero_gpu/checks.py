"""What holds on a ZeroGPU Space; ``test_zero_gpu.py`` runs it in a process of its own, with ``lender``."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gradio_client import Client

from app.demo.serve import serve_demo
from app.demo.visitor_page import HEADER
from app.demo.visitors import Visitors
from app.errors import GPUTakenBack, NotAnswerable
from app.limits import Demo
from app.runtime import zero_gpu
from app.settings import Settings
from app.workbench import Workbench
from ccf_core import Cancelled
from ccf_core.analysis.cut import Cut
from ccf_core.model.encoder import Encoder
from tests.app.runtime.zero_gpu.lender import Lender

QUESTION = "Where are the ships?"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    Lender.asked.clear()
    Lender.failed.clear()
    yield
    Lender.refuses = False


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Those of a Space, whatever device it asks for."""
    base, adapter = str(settings.base), str(settings.adapter)
    lent = {"SPACES_ZERO_GPU": "true", "CCF_DEVICE": "cuda", "CCF_DTYPE": "float32", "CCF_DATA": str(tmp_path / "lent")}
    return Settings.from_env(lent | {"CCF_BASE": base, "CCF_ADAPTER": adapter})


@pytest.fixture
def plain(settings: Settings, tmp_path: Path) -> Iterator[Workbench]:
    """A workbench that does all its work itself."""
    with Workbench(replace(settings, data_dir=tmp_path / "plain", lent=False)) as opened:
        yield opened


@pytest.fixture
def document(workbench: Workbench, prose: Callable[..., str]) -> str:
    return workbench.intake.ingest_text(prose(120)).document.sha256


@pytest.fixture
def no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder runs in lent processes alone."""
    home, encode = os.getpid(), Encoder.begin

    def checked(self: Encoder, *args: Any) -> Any:
        assert os.getpid() != home, "the encoder ran in the process that has no GPU"
        return encode(self, *args)

    monkeypatch.setattr(Encoder, "begin", checked)


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda w, d: [b.tensors() for _, _, b in w.memories.recall(d, 4).memory.parts()], id="compress"),
        *(
            pytest.param(lambda w, d, r=reader: said(w.asking.ask(QUESTION, [d], 4, r)), id=f"ask-{reader}")
            for reader in ("memory", "focus", "full", "repeat_attention")
        ),
        pytest.param(lambda w, d: list(w.fidelity.reconstruct_all(d, 8)), id="reconstruct"),
        pytest.param(lambda w, d: w.attention.view(d, 0, 4), id="attention"),
        pytest.param(lambda w, d: w.summaries.summarise(d, 0, 4), id="summary"),
        pytest.param(lambda w, d: w.ablation.ablate(d, 0, 4, Cut(levels=frozenset({4})), "Who?"), id="surgery"),
    ],
)
def test_the_work_gives_what_it_gives_without(
    workbench: Workbench, plain: Workbench, prose: Callable[..., str], use: Callable[..., Any]
) -> None:
    text = prose(120)
    document = plain.intake.ingest_text(text).document.sha256
    wanted = plain_values(use(plain, document))
    workbench.intake.ingest_text(text)
    assert plain_values(use(workbench, document)) == wanted
    assert Lender.asked
    assert Lender.failed == [False] * len(Lender.asked)
    assert os.getpid() not in Lender.processes


def test_times_are_those_of_the_lent_process(workbench: Workbench, document: str, no_encoder: None) -> None:
    *_, times = workbench.timing.measure(document)
    assert all(point.compress_s > 0 < point.memory_s for point in times.points)
    assert len(Lender.asked) > 1


def test_the_gpu_is_asked_for_as_long_as_the_work_may_take(workbench: Workbench, document: str) -> None:
    for most in (1, 100):
        list(workbench.asking.ask(QUESTION, [document], max_new_tokens=most))
    encoding, short, long = (int(asked["durationSeconds"]) for asked in Lender.asked)
    assert encoding == short == zero_gpu.START_S
    assert long == zero_gpu.START_S + 100 // zero_gpu.WRITTEN_A_S


def test_errors_come_back_as_they_are(workbench: Workbench, document: str) -> None:
    with pytest.raises(NotAnswerable, match="ask in at most 512"):
        workbench.ablation.ablate(document, 0, 4, Cut(), "why " * 600)
    assert Lender.failed == [False, False]


def test_cancelling_reaches_the_lent_process(
    workbench: Workbench, document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        list(workbench.model.compute(workbench.model.load(), endless, tokens=(0, 0), cancelled=after(0.5)))
    assert time.monotonic() - begun > 0.5
    assert Lender.failed == [False, False]


def test_an_answer_that_nobody_waits_for_ends(workbench: Workbench, document: str) -> None:
    pieces = workbench.asking.ask(QUESTION, [document], 4, max_new_tokens=100)
    next(pieces)
    pieces.close()
    assert said(workbench.asking.ask(QUESTION, [document], 4))
    assert Lender.failed == [False] * 3


def test_without_a_gpu_to_lend_the_work_is_done_here(
    workbench: Workbench, plain: Workbench, prose: Callable[..., str]
) -> None:
    Lender.refuses = True
    text = prose(120)
    document = workbench.intake.ingest_text(text).document.sha256
    plain.intake.ingest_text(text)
    assert said(workbench.asking.ask(QUESTION, [document], 4)) == said(plain.asking.ask(QUESTION, [document], 4))
    assert len(Lender.asked) == 2
    assert not Lender.failed


def test_a_gpu_that_is_taken_back_is_said_and_nothing_is_lost(workbench: Workbench, prose: Callable[..., str]) -> None:
    def step(done: Any) -> None:
        if done.stage == "memory" and done.done:
            for process in multiprocessing.active_children():
                process.kill()
                process.join()

    with pytest.raises(GPUTakenBack, match="try again"):
        workbench.intake.ingest_text(prose(4000), progress=step)
    (view,) = workbench.library.documents()
    assert workbench.intake.compress(view.sha256).segments > 0
    assert Lender.failed == [True, False]


def test_visitors_are_lent_gpus_on_their_own_account(
    settings: Settings, tmp_path: Path, prose: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    with Workbench(replace(settings, demo=Demo())) as template:
        template.model.load()
        (settings.data_dir / "examples-taken-in").write_text("\n".join(p.name for p in EXAMPLES.iterdir()))
        with Visitors(template, Demo(), tmp_path / "uploads" / "visitors") as visitors:
            app, address, _ = serve_demo(visitors, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
            client = Client(address, headers={HEADER: visitors.issue(), "x-ip-token": "a.b.c"}, verbose=False)
            document = client.predict(prose(120), "Log", api_name="/ingest_text")["document"]["sha256"]
            answer = client.predict(QUESTION, [document], 4, api_name="/ask")
            app.get_blocks().close(verbose=False)
    assert answer["kv_bytes"] > 0
    assert [asked.get("token") for asked in Lender.asked] == ["a.b.c"] * 2


EXAMPLES = Path(__file__).parents[4] / "assets" / "examples"


def endless(ccf: Any, cancelled: Callable[[], bool]) -> Iterator[None]:
    while not cancelled():
        time.sleep(0.01)
    raise Cancelled("Cancelled.")
    yield


def after(seconds: float) -> Callable[[], bool]:
    begun = time.monotonic()
    return lambda: time.monotonic() - begun > seconds


def said(pieces: Iterator[Any]) -> tuple[str, Any]:
    *_, view = pieces
    return view.text, plain_values([(found.segment, found.score) for found in view.evidence])


def plain_values(value: Any) -> Any:
    """Dataclasses, tensors and numbers in a form that can be compared, to four decimals."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain_values(asdict(value))
    if isinstance(value, dict):
        return {name: plain_values(one) for name, one in value.items()}
    if isinstance(value, torch.Tensor):
        return plain_values(value.tolist())
    if isinstance(value, list | tuple):
        return [plain_values(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value
