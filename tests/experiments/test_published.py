"""Published commands run again for another adapter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccf_core.assets import asset
from experiments.published import arguments, main


@pytest.mark.parametrize("path", sorted(asset("results").glob("*.json")), ids=lambda path: path.stem)
def test_published_commands_are_divided_by_the_yardstick(path: Path) -> None:
    given = arguments(json.loads(path.read_text(encoding="utf-8"))["command"])
    assert given[0] == "evaluate"
    assert "--out" not in given and "--device" not in given
    readers = given[given.index("--reader") + 1 :] if "--reader" in given else []
    assert ("full" in readers) == ("yardstick_full" in readers)


def test_what_is_measured_already_is_left_alone(tiny_model_folders: tuple[Path, Path], tmp_path: Path) -> None:
    base, adapter = tiny_model_folders
    rows, published, out = tmp_path / "rows.jsonl", tmp_path / "published", tmp_path / "out"
    rows.write_text(json.dumps({"text": "The fog hid seven ships. " * 20}) + "\n")
    published.mkdir()
    for name, limit in (("first", 1), ("second", 2), ("third", 0)):
        command = f"python -m ccf_core evaluate reconstruct --data {rows} --ratio 8 --limit {limit} --out {name}.json"
        (published / f"{name}.json").write_text(json.dumps({"command": command}))
    out.mkdir()
    (out / "first.json").write_text("{}")
    given = ["--adapter", str(adapter), "--out", str(out), "--at-once", "2"]
    assert main([*given, "--", "--base", str(base), "--device", "cpu"], published) == 1
    assert (out / "first.json").read_text() == "{}"
    measured = json.loads((out / "second.json").read_text())
    assert measured["task"] == "reconstruct" and measured["rows"]
    assert "--limit" in (out / "third.log").read_text()
    assert not (out / "third.json").exists()
    assert main([*given, "--only", "second"], published) == 0
