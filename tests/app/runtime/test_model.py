"""Settings, and a model that is loaded once, in the background, by whoever needs it first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import ccf_core
from app.errors import BadSetting, ModelNotReady
from app.settings import DEFAULT_ADAPTER, Settings, default_data_dir
from app.types import ModelState
from app.ui.html.page import foot
from app.workbench import Workbench
from ccf_core import CCF, AdapterError, MemoryMismatch
from store import StoreUnavailable
from tests.hub_stand_in import Hub


def test_loading_is_told_and_done_once(workbench: Workbench, monkeypatch) -> None:
    made: list[CCF] = []
    init = CCF.__init__
    monkeypatch.setattr(CCF, "__init__", lambda self, *a, **k: (made.append(self), init(self, *a, **k))[1])
    assert workbench.model.state.status == "absent"
    states: list[ModelState] = []
    with ThreadPoolExecutor(4) as pool:
        for future in [
            pool.submit(workbench.model.load, lambda *_: states.append(workbench.model.state)) for _ in range(4)
        ]:
            future.result()
    assert len(made) == 1
    assert {state.status for state in states} == {"loading"}
    assert [state.fraction for state in states] == sorted(state.fraction for state in states)
    assert workbench.model.state.status == "ready"
    assert workbench.model.state.fraction == 1.0


def test_a_failure_is_kept_and_may_be_retried(workbench: Workbench, settings: Settings, tmp_path) -> None:
    adapter = tmp_path / "adapter"
    with Workbench(replace(settings, adapter=adapter)) as opened:
        with pytest.raises(AdapterError) as caught:
            opened.model.load()
        assert opened.model.state == ModelState("failed", 0.0, str(caught.value))
        ccf_core.Adapter.load(settings.adapter).save(adapter)
        opened.model.load()
        assert opened.model.state.status == "ready"


def test_unforeseen_failures_become_a_sentence(workbench: Workbench, monkeypatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(CCF, "__init__", fail)
    with pytest.raises(ModelNotReady, match="MemoryError: no room"):
        workbench.model.load()
    assert "try again" in workbench.model.state.message


def test_an_adapter_of_another_base_is_refused_unless_allowed(settings: Settings, tiny_folder) -> None:
    base = tiny_folder(seed=1)
    adapter = ccf_core.Adapter.load(settings.adapter)
    trained = settings.data_dir.parent / "trained"
    replace(adapter, config=replace(adapter.config, base="0" * 64)).save(trained)
    other = replace(settings, base=str(base), adapter=trained)
    with Workbench(other) as workbench, pytest.raises(MemoryMismatch, match="other weights"):
        workbench.model.load()
    with Workbench(replace(other, allow_other_base=True)) as workbench:
        workbench.model.load()
        assert workbench.model.state.status == "ready"


def test_info_before_and_after_loading(workbench: Workbench) -> None:
    before = workbench.model.info()
    assert before == {
        "version": ccf_core.__version__,
        "base": None,
        "adapter": None,
        "origin": None,
        "ranking": None,
        "device": None,
        "dtype": None,
        "memory_dtype": "int8",
        "card": {},
    }
    workbench.model.load()
    after = workbench.model.info()
    assert (after["device"], after["dtype"]) == ("cpu", "float32")
    assert len(after["adapter"]) == 64
    assert after["base"]


def test_an_adapter_of_the_model_hub_is_named_with_its_commit(hub: Hub, settings: Settings) -> None:
    commit = hub.add("someone/adapter", settings.adapter)
    with Workbench(replace(settings, adapter=Path(f"someone/adapter@{commit}"))) as workbench:
        model = workbench.model
        model.load()
        assert model.info()["origin"] == f"someone/adapter@{commit}"
        assert (model.folder / "ccf.json").is_file()
        assert [folder.name for folder in model.adapters()] == [f"adapter@{commit}"]
        assert f"someone/adapter@{commit}" in foot(model.info())


def test_ratios_are_the_adapters(workbench: Workbench, settings: Settings, tmp_path) -> None:
    assert workbench.model.ratios == (4, 8, 16, 32)
    adapter = ccf_core.Adapter.load(settings.adapter)
    replace(adapter, config=replace(adapter.config, ratios=(2, 4, 8, 16))).save(tmp_path / "finer")
    with Workbench(replace(settings, adapter=tmp_path / "finer")) as finer:
        done = finer.intake.ingest_text("fog " * 100)
        assert finer.model.ratios == tuple(done.slots) == (2, 4, 8, 16)


def test_a_file_that_is_no_database_is_left_alone(settings: Settings) -> None:
    settings.data_dir.mkdir()
    settings.database.write_bytes(b"something else entirely" * 100)
    with pytest.raises(StoreUnavailable):
        Workbench(settings)
    assert settings.database.read_bytes().startswith(b"something else")


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_env(
        {
            "CCF_DATA": "/some/where",
            "CCF_ADAPTER": "/an/adapter",
            "CCF_BASE": "org/model",
            "CCF_DEVICE": "cpu",
            "CCF_DTYPE": "float32",
            "CCF_MEMORY_CAP_MB": "12",
            "CCF_MAX_TOKENS": "345",
            "CCF_ALLOW_OTHER_BASE": "1",
            "CCF_MEMORY_DTYPE": "int4",
        }
    )
    assert settings == Settings(
        Path("/some/where"), Path("/an/adapter"), "org/model", "cpu", "float32", 12_000_000, 345, True, None, "int4"
    )


def test_an_unknown_dtype_of_memories_gets_a_sentence() -> None:
    with pytest.raises(BadSetting, match="CCF_MEMORY_DTYPE must be one of bfloat16, int8, int4, not 'int3'"):
        Settings.from_env({"CCF_MEMORY_DTYPE": "int3"})


def test_settings_have_defaults() -> None:
    settings = Settings.from_env({"CCF_BASE": " ", "CCF_ALLOW_OTHER_BASE": "0"})
    assert settings == Settings()
    assert (settings.data_dir, settings.adapter) == (default_data_dir(), DEFAULT_ADAPTER)
    assert settings.base is None
    assert Settings.from_env({"CCF_ADAPTER": " "}) == Settings(adapter=Path("none"))


@pytest.mark.parametrize("value", ["0", "-3", "many", "1.5"])
def test_settings_that_are_no_numbers_get_a_sentence(value: str) -> None:
    with pytest.raises(BadSetting, match="CCF_MAX_TOKENS"):
        Settings.from_env({"CCF_MAX_TOKENS": value})


def test_a_mean_pooled_adapter_is_refused(settings: Settings, tmp_path: Path) -> None:
    adapter = ccf_core.Adapter.load(settings.adapter)
    replace(adapter, config=replace(adapter.config, compressor="mean_pool")).save(tmp_path / "means")
    with (
        Workbench(replace(settings, adapter=tmp_path / "means")) as opened,
        pytest.raises(ccf_core.AdapterError, match="choose an adapter"),
    ):
        opened.model.load()
