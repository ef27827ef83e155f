"""Killed at any moment of ingest and answer, nothing that was told as done is lost, and the rest goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_killed_process_loses_nothing_and_the_next_one_goes_on(tiny_model_folders: tuple[Path, Path]) -> None:
    """``CCF_KILLS`` points, 8 where it is not set."""
    command = [sys.executable, "-m", "tests.kill_points", *map(str, tiny_model_folders)]
    points = int(os.environ.get("CCF_KILLS", "8"))
    done = subprocess.run([*command, "--points", str(points)], cwd=ROOT, capture_output=True, text=True)
    report = json.loads(done.stdout or "{}")
    print(done.stdout)
    assert (done.returncode, report.get("wrong")) == (0, []), done.stderr[-3000:]
    assert report["points"] == points
