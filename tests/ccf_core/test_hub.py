"""Adapters and their bases from a model hub, and onto it; the hub is a stand-in on this machine."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ccf_core.__main__ as command
from ccf_core import CCF, Adapter, AdapterError, HubError, MemoryMismatch, push_to_hub
from ccf_core.base.load import BaseDownloadFailed, BaseNotFound, load_base
from ccf_core.config import CCFConfig
from ccf_core.errors import AccessDenied, HubUnreachable, NoSuchRepository, NotAnAdapter, PickledWeights
from ccf_core.evaluation.report.card import adapter_card
from tests.hub_stand_in import Hub, reach

ADAPTER, BASE = "someone/adapter", "someone/base"
TEXT = "The harbour master counted seven ships in the morning."


@pytest.fixture(scope="module")
def made(tiny_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(base, adapter trained on it) folders."""
    base, folder = tiny_folder("qwen3"), tmp_path_factory.mktemp("adapter")
    loaded = load_base(base, device="cpu", dtype="float32")
    prints = {"base": loaded.fingerprint, "tokenizer": loaded.tokenizer_fingerprint}
    Adapter.zero(loaded.model, CCFConfig(encoder_rank=2, decoder_rank=2, segment_length=32, **prints)).save(folder)
    return base, folder


def load(name: str, base: Path | str | None = None, **options: Any) -> CCF:
    return CCF.from_pretrained(name, base, device="cpu", dtype="float32", **options)


# From the hub


def test_an_adapter_of_the_hub_is_the_folder_it_was(hub: Hub, made: tuple[Path, Path]) -> None:
    base, folder = made
    commit = hub.add(ADAPTER, folder)
    ccf, here = load(ADAPTER, base), load(folder, base)
    assert ccf.adapter_fingerprint == here.adapter_fingerprint
    assert (ccf.adapter.origin, here.adapter.origin) == (f"{ADAPTER}@{commit}", "")
    assert ccf.compress(TEXT).header == here.compress(TEXT).header


def test_a_revision_stays_what_it_was_and_none_is_the_newest(hub: Hub, made: tuple[Path, Path], tmp_path: Path) -> None:
    base, folder = made
    first = hub.add(ADAPTER, folder)
    changed = Adapter.load(folder)
    changed.tensors["level_embeddings"].add_(1)
    changed.save(tmp_path / "changed")
    second = hub.add(ADAPTER, tmp_path / "changed")
    old = {
        load(f"{ADAPTER}@{first}", base).adapter_fingerprint,
        load(ADAPTER, base, revision=first).adapter_fingerprint,
    }
    assert old == {Adapter.load(folder).fingerprint}
    newest = Adapter.load(ADAPTER)
    assert newest.fingerprint == Adapter.load(tmp_path / "changed").fingerprint
    assert newest.origin == f"{ADAPTER}@{second}"


def test_what_was_fetched_once_serves_without_a_connection(
    hub: Hub, made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.add(ADAPTER, made[1])
    fetched = Adapter.load(ADAPTER)
    reach("http://127.0.0.1:9", monkeypatch)
    for name in (ADAPTER, f"{ADAPTER}@{commit}"):
        assert Adapter.load(name).fingerprint == fetched.fingerprint
    with pytest.raises(HubUnreachable, match="hf download someone/other --local-dir"):
        Adapter.load("someone/other")


def test_nothing_but_an_adapters_own_files_is_downloaded(hub: Hub, made: tuple[Path, Path]) -> None:
    files = {path.name: path.read_bytes() for path in made[1].iterdir()}
    beside = ("optimizer.pt", "adapter_model.bin", "modeling.py", "adapter-01-of-01.pkl", "tokenizer.json")
    hub.commit(ADAPTER, files | dict.fromkeys(beside, b"code"))
    Adapter.load(ADAPTER)
    assert hub.downloaded(ADAPTER) == files.keys()


def test_the_base_that_an_adapter_names_is_fetched(hub: Hub, made: tuple[Path, Path], tmp_path: Path) -> None:
    base, folder = made
    adapter = Adapter.load(folder)
    named = dataclasses.replace(adapter, config=dataclasses.replace(adapter.config, base_name=BASE))
    named.save(tmp_path / "named")
    hub.add(ADAPTER, tmp_path / "named")
    hub.add(BASE, base)
    ccf = load(ADAPTER)
    assert ccf.base.id == BASE
    assert f"base_model: {BASE}" in adapter_card(ccf.adapter, ADAPTER)
    assert ccf.base.fingerprint == Adapter.load(folder).config.base


def test_a_base_with_other_weights_is_refused_whoever_names_it(
    hub: Hub, made: tuple[Path, Path], tiny_folder: Callable[..., Path]
) -> None:
    hub.add(ADAPTER, made[1])
    hub.add(BASE, tiny_folder("qwen3", 7))
    with pytest.raises(MemoryMismatch, match="other weights"):
        load(ADAPTER, BASE)


def test_a_base_is_pinned_in_the_same_way(hub: Hub, made: tuple[Path, Path], tiny_folder: Callable[..., Path]) -> None:
    first = hub.add(BASE, made[0])
    hub.add(BASE, tiny_folder("qwen3", 7))
    prints = [load_base(name, device="cpu").fingerprint for name in (f"{BASE}@{first}", BASE)]
    assert prints[0] == Adapter.load(made[1]).config.base
    assert prints[1] != prints[0]
    with pytest.raises(BaseNotFound, match="no revision v9"):
        load_base(f"{BASE}@v9")


# What can go wrong


def test_names_that_the_hub_does_not_have(hub: Hub, made: tuple[Path, Path]) -> None:
    hub.add(ADAPTER, made[1])
    with pytest.raises(NoSuchRepository, match="no folder no/such here, and the model hub has no such repository"):
        Adapter.load("no/such")
    with pytest.raises(NoSuchRepository, match="someone/adapter has no revision v9"):
        Adapter.load(ADAPTER, "v9")
    with pytest.raises(BaseNotFound, match="no folder no/such here"):
        load_base("no/such")


def test_a_gated_repository_says_how_to_get_in(hub: Hub, made: tuple[Path, Path]) -> None:
    hub.add(ADAPTER, made[1])
    hub.gated.add(ADAPTER)
    with pytest.raises(AccessDenied, match="ask for access on its page"):
        Adapter.load(ADAPTER)


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("config.json", NotAnAdapter, "no CCF adapter.*a base model is given as the base"),
        ("adapter_model.bin", PickledWeights, "adapter_model.bin, which could run code"),
        ("ccf.json", NotAnAdapter, "no CCF adapter"),
    ],
)
def test_a_repository_without_an_adapter(hub: Hub, name: str, error: type[HubError], sentence: str) -> None:
    hub.commit(ADAPTER, {name: b"{}"})
    with pytest.raises(error, match=sentence):
        Adapter.load(ADAPTER)


def test_a_pickle_under_the_name_of_a_shard_is_not_run(hub: Hub, made: tuple[Path, Path], tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[Callable, tuple[Path]]:
            return Path.touch, (ran,)

    shard = next(made[1].glob("adapter-*.safetensors")).name
    hub.commit(ADAPTER, {"ccf.json": (made[1] / "ccf.json").read_bytes(), shard: pickle.dumps(Trap())})
    with pytest.raises(AdapterError, match="damaged"):
        Adapter.load(ADAPTER)
    assert not ran.exists()


def test_a_hub_that_is_not_there(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    reach("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(HubUnreachable, match="check the connection"):
        Adapter.load(ADAPTER)
    with pytest.raises(BaseDownloadFailed, match="check the connection"):
        load_base(BASE)


def test_a_revision_is_for_names_on_the_hub_alone(hub: Hub, made: tuple[Path, Path]) -> None:
    with pytest.raises(HubError, match="has no revisions"):
        Adapter.load(made[1], "v1")
    with pytest.raises(HubError, match="give one of them"):
        Adapter.load(f"{ADAPTER}@v1", "v2")
    assert not hub.requests


# Onto the hub


def test_what_is_published_comes_back(hub: Hub, made: tuple[Path, Path], tmp_path: Path) -> None:
    base, folder = made
    mine = shutil.copytree(folder, tmp_path / "mine")
    for name in ("optimizer.pt", "log.jsonl"):
        (mine / name).write_bytes(b"private")
    commit = push_to_hub(mine, "me/mine", private=True)
    ours = {"ccf.json", "README.md", "adapter-01-of-01.safetensors"}
    assert hub.at("me/mine")[1].keys() - {".gitattributes"} == ours
    assert hub.private == {"me/mine"}
    ccf = load("me/mine", base)
    assert ccf.adapter.origin == f"me/mine@{commit}"
    assert ccf.adapter_fingerprint == Adapter.load(folder).fingerprint


def test_shards_of_the_adapter_before_go(hub: Hub, made: tuple[Path, Path]) -> None:
    hub.commit("me/mine", {"adapter-02-of-02.safetensors": b"old", "notes.txt": b"kept"})
    push_to_hub(made[1], "me/mine")
    names = hub.at("me/mine")[1].keys()
    assert {name for name in names if name.startswith("adapter")} == {"adapter-01-of-01.safetensors"}
    assert "notes.txt" in names
    assert Adapter.load("me/mine").fingerprint == Adapter.load(made[1]).fingerprint


def test_a_card_tells_what_is_known_and_says_what_is_not(hub: Hub, made: tuple[Path, Path], tmp_path: Path) -> None:
    adapter = Adapter.load(made[1])
    push_to_hub(made[1], "me/mine")
    card = hub.at("me/mine")[1]["README.md"].decode()
    for fact in (adapter.fingerprint, adapter.config.base, "4x, 8x, 16x, 32x", "32 tokens", "library_name: ccf"):
        assert fact in card
    assert card.count("not told") >= 2
    assert card.count("Nothing is told") == 2
    assert 'from_pretrained("me/mine")' in card


def result_of(fingerprint: str) -> dict[str, Any]:
    row = {"reader": "memory", "ratio": 4, "source": "all", "n": 3, "metrics": {"f1": 0.4}, "ci95": {"f1": [0.3, 0.5]}}
    return {
        **{"task": "qa", "data": {"name": "mine.jsonl"}, "half": None, "n": 3, "seed": 0, "adapter": fingerprint},
        **{"base": {"id": "tiny"}, "dtype": "float32", "device": "cpu", "memory_dtype": "int8", "seconds": 1.0},
        **{"command": "python -m ccf_core evaluate qa", "rows": [row]},
    }


def test_a_card_is_filled_in_by_the_command(
    hub: Hub, made: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = tmp_path / "qa.json"
    measured.write_text(json.dumps(result_of(Adapter.load(made[1]).fingerprint)))
    told = ["--licence", "Apache-2.0", "--source", "Books (CC0-1.0)", "Minutes (MIT)", "--results", str(measured)]
    assert command.main(["push", str(made[1]), "me/mine", *told]) == 0
    assert json.loads(capsys.readouterr().out) == {"adapter": f"me/mine@{hub.at('me/mine')[0]}"}
    card = hub.at("me/mine")[1]["README.md"].decode()
    for fact in (
        "license: apache-2.0",
        "| Licence | Apache-2.0 |",
        "- Minutes (MIT)",
        "| memory | 4x | all | 3 | 40.0",
    ):
        assert fact in card
    assert "Nothing is told" not in card


def test_figures_of_another_adapter_are_refused(hub: Hub, made: tuple[Path, Path], tmp_path: Path) -> None:
    measured = tmp_path / "qa.json"
    measured.write_text(json.dumps(result_of("another")))
    with pytest.raises(AdapterError, match="of another adapter"):
        push_to_hub(made[1], "me/mine", results=[measured])
    assert "me/mine" not in hub.repos


def test_a_card_of_ones_own_is_published_as_it_is(hub: Hub, made: tuple[Path, Path], tmp_path: Path) -> None:
    mine = shutil.copytree(made[1], tmp_path / "mine")
    (mine / "README.md").write_text("# Mine")
    (mine / "card.json").write_text(json.dumps({"name": "Known", "data": {"text": {"sources": [{"source": "Books"}]}}}))
    push_to_hub(mine, "me/mine")
    assert hub.at("me/mine")[1]["README.md"] == b"# Mine"
    push_to_hub(mine, "me/mine", licence="mit")
    card = hub.at("me/mine")[1]["README.md"].decode()
    assert "# Known" in card and "- Books (licence not told)" in card


def test_where_one_may_not_write(hub: Hub, made: tuple[Path, Path]) -> None:
    hub.closed.add("them/theirs")
    with pytest.raises(AccessDenied, match="a token that may"):
        push_to_hub(made[1], "them/theirs")
    with pytest.raises(HubError, match="give owner/name"):
        push_to_hub(made[1], "mine")


# The command line


def test_commands_take_a_name_on_the_hub_where_they_take_a_folder(
    hub: Hub, made: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    base, folder = made
    commit = hub.add(ADAPTER, folder)
    here = ["--base", str(base), "--device", "cpu", "--dtype", "float32"]
    assert command.main(["info", "--adapter", f"{ADAPTER}@{commit}", *here]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["origin"] == f"{ADAPTER}@{commit}"
    assert told["adapter"] == Adapter.load(folder).fingerprint
    assert command.main(["info", "--adapter", "no/such", *here]) == 2
    assert "the model hub has no such repository" in capsys.readouterr().err


def test_an_adapter_made_of_a_fetched_one_is_not_from_the_hub(hub: Hub, made: tuple[Path, Path]) -> None:
    hub.add(ADAPTER, made[1])
    adapter = Adapter.load(ADAPTER)
    assert adapter.origin
    assert dataclasses.replace(adapter, tensors=dict(adapter.tensors)).origin == ""
