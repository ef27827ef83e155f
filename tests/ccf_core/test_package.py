"""The package as another project sees it: its names, what they cost, and the files that come with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ccf_core
from ccf_core import assets


def test_every_name_is_there_and_unknown_ones_are_not() -> None:
    assert all(getattr(ccf_core, name) is not None for name in ccf_core.__all__)
    assert set(ccf_core.__all__) >= {name for names in ccf_core._HOMES.values() for name in names}
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = ccf_core.Nothing


def test_errors_and_config_do_not_wait_for_torch() -> None:
    code = "import sys; from ccf_core import CCFConfig, CCFError; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("door", ["ccf_core", "ccf_core.__main__", "app.cli.ccf"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}),
        ({"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
    ],
    ids=["unset", "spins", "active"],
)
def test_threads_are_set_before_torch_and_as_the_user_wants_them(
    door: str, given: dict[str, str], expected: dict[str, str]
) -> None:
    code = f"import {door}, json, os, sys; print(json.dumps([dict(os.environ), 'torch' in sys.modules]))"
    others = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=others | given, check=True)
    environment, torch_is_there = json.loads(done.stdout)
    assert {name: value for name, value in environment.items() if name.startswith(("OMP_", "GOMP_"))} == expected
    assert not torch_is_there


def test_assets_are_found_beside_the_package_and_inside_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert (assets.asset("adapter") / "ccf.json").is_file()
    assert assets.asset("adapter") == assets.DEFAULT_ADAPTER
    (tmp_path / "_assets").mkdir()
    monkeypatch.setattr(assets, "_INSTALLED", tmp_path / "_assets")
    assert assets.asset("results", "one.json") == tmp_path / "_assets" / "results" / "one.json"
