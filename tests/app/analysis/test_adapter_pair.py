"""Two adapters on one segment, on a tiny random model."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.analysis.adapter_pair import PairView
from app.errors import NotAnswerable, UnknownAdapter
from app.settings import Settings
from app.workbench import Workbench
from ccf_core import CCF, Adapter, AdapterError, Cancelled, MemoryMismatch
from ccf_core.analysis.cut import Cut

QUESTION = "What did the fog hide?"
Add = Callable[..., Path]


@pytest.fixture
def add(settings: Settings) -> Add:
    """``add(name, **config)``: a further adapter in the data folder; with ``config`` it is another one."""

    def make(name: str, noise: float = 0.0, **config: object) -> Path:
        shipped = Adapter.load(settings.adapter)
        torch.manual_seed(1)
        tensors = {key: tensor + noise * torch.randn_like(tensor) for key, tensor in shipped.tensors.items()}
        folder = settings.data_dir / "adapters" / name
        Adapter(replace(shipped.config, **config), tensors).save(folder)
        return folder

    return make


@pytest.fixture
def sha256(workbench: Workbench, prose) -> str:
    return workbench.intake.ingest_text(prose(120), "Log").document.sha256


def pair(workbench: Workbench, *args: object, **options: object) -> PairView:
    *steps, result = workbench.adapter_pair.compare(*args, **options)  # type: ignore[arg-type]
    assert [type(step) for step in steps] == [str] * 3
    assert isinstance(result, PairView)
    return result


@pytest.mark.parametrize("question", ["", QUESTION])
@pytest.mark.parametrize("cut", [Cut(), Cut(levels=frozenset({16}), layers=frozenset({0}))])
def test_a_copy_of_the_adapter_in_use_makes_the_same(workbench, sha256, add, question: str, cut: Cut) -> None:
    add("copy")
    found = pair(workbench, sha256, 1, 8, "copy", cut, question)
    assert found.adapters == (workbench.settings.adapter.name, "copy")
    assert found.other.text == found.used.text
    assert found.other.nats == pytest.approx(found.used.nats, rel=1e-3)
    assert (found.other.slots, found.other.kv_bytes) == (found.used.slots, found.used.kv_bytes)
    operated = workbench.ablation.ablate(sha256, 1, 8, cut, question)
    assert (found.used.text, found.off, found.question) == (operated.operated.text, operated.off, question)


def test_another_adapter_is_measured_as_if_it_were_the_one_in_use(settings: Settings, workbench, sha256, add) -> None:
    folder = add("other", noise=0.3)
    found = pair(workbench, sha256, 1, 8, folder)
    with Workbench(replace(settings, data_dir=settings.data_dir / "elsewhere", adapter=folder)) as elsewhere:
        there = elsewhere.intake.ingest_text(workbench.library.text(sha256)).document.sha256
        alone = elsewhere.ablation.ablate(there, 1, 8, Cut()).intact
    assert (found.other.text, found.other.rouge_l) == (alone.text, alone.rouge_l)
    assert found.other.nats == pytest.approx(alone.nats, rel=1e-3)
    assert found.other.nats != pytest.approx(found.used.nats, rel=1e-3)
    assert found.used == workbench.ablation.ablate(sha256, 1, 8, Cut()).intact


def test_answers_are_held_against_that_of_the_adapter_in_use(workbench, sha256, add) -> None:
    add("other", noise=0.3)
    found = pair(workbench, sha256, 1, 8, "other", question=f"  {QUESTION} ")
    assert (found.question, found.used.rouge_l) == (QUESTION, 1)
    assert found.used.text == workbench.ablation.ablate(sha256, 1, 8, Cut(), QUESTION).intact.text
    assert found.other.rouge_l < 1


def test_the_adapter_in_use_and_what_is_stored_stay_as_they_are(workbench, sha256, add, sql, monkeypatch) -> None:
    add("other", noise=0.3, segment_length=64)
    pooled = add("pooled", compressor="mean_pool")
    model = workbench.model
    state, info, adapters = model.state, model.info(), (model.adapters(), model.adapter)
    stored = sql("SELECT * FROM memories"), workbench.library.documents()
    before = next(workbench.fidelity.reconstruct_all(sha256, 8, [1])).text
    loaded: list[weakref.ref[CCF]] = []
    init = CCF.__init__
    monkeypatch.setattr(
        CCF, "__init__", lambda self, *a, **k: (loaded.append(weakref.ref(self)), init(self, *a, **k))[1]
    )
    for adapter in ("other", pooled):
        pair(workbench, sha256, 1, 8, adapter)
        assert workbench.model.state == state
    assert (model.info(), (model.adapters(), model.adapter)) == (info, adapters)
    assert (sql("SELECT * FROM memories"), workbench.library.documents()) == stored
    assert next(workbench.fidelity.reconstruct_all(sha256, 8, [1])).text == before
    gc.collect()
    assert [reference() for reference in loaded] == [None, None]


def test_what_stops_a_comparison_is_a_sentence(workbench, sha256, add) -> None:
    add("foreign", base="0" * 64)
    add("coarse", ratios=(8, 16, 32, 64))
    add("short", segment_length=16)
    damaged = add("damaged")
    next(damaged.glob("*.safetensors")).write_bytes(b"nothing")
    state = workbench.model.state
    for adapter, error, sentence in (
        ("missing", UnknownAdapter, "There is no adapter “missing”: choose .* or put its folder into “adapters”"),
        (Path("/etc"), UnknownAdapter, "There is no adapter “etc”"),
        ("foreign", MemoryMismatch, "tiny-llama.* is a base with other weights: load the one it was trained on"),
        ("damaged", AdapterError, "damaged: copy the folder again"),
        ("coarse", NotAnswerable, "coarse compresses 8, 16, 32, 64 times, not 4"),
        ("short", NotAnswerable, "short reads segments of 16 tokens, and this one has 32"),
    ):
        with pytest.raises(error, match=sentence):
            pair(workbench, sha256, 1, 4, adapter)
        assert workbench.model.state == state
    with pytest.raises(NotAnswerable, match="at most 512"):
        pair(workbench, sha256, 1, 4, "foreign", question="why " * 600)


def test_a_comparison_can_be_stopped_between_its_steps(workbench, sha256, add) -> None:
    add("other")
    stopped = False
    steps = workbench.adapter_pair.compare(sha256, 1, 8, "other", cancelled=lambda: stopped)
    assert "adapter in use" in next(steps)
    assert next(steps).startswith("Loading other")
    stopped = True
    with pytest.raises(Cancelled):
        list(steps)
    stopped = False
    assert pair(workbench, sha256, 1, 8, "other").adapters[1] == "other"
