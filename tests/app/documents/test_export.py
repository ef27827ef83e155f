"""Memories as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import CannotExport
from app.settings import Settings
from app.workbench import Workbench
from ccf_core import CCF
from ccf_core.memory.file import load_memory


@pytest.fixture
def sha256(workbench: Workbench, prose) -> str:
    return workbench.intake.ingest_text(prose() + " Zoë's 東京 🙂", "Log: fog & rain").document.sha256


def test_an_exported_memory_answers_elsewhere(workbench: Workbench, settings: Settings, sha256, tmp_path) -> None:
    path = workbench.exports.memory(sha256, 8, tmp_path)
    assert path == tmp_path / "log-fog-rain-8x.safetensors"
    memory = load_memory(path)
    assert memory.dtype == "int8"
    ccf = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
    *_, answer = workbench.asking.ask("Where?", [sha256], 8)
    assert ccf.answer("Where?", memory).text == answer.text
    assert load_memory(workbench.exports.memory(sha256, 32, tmp_path / "mine.bin")).ratio == 32
    assert sorted(p.name for p in tmp_path.glob("*.partial")) == []


def test_exporting_to_nowhere_says_so(workbench: Workbench, sha256, tmp_path: Path) -> None:
    with pytest.raises(CannotExport, match="another folder"):
        workbench.exports.memory(sha256, 8, tmp_path / "missing" / "memory.safetensors")
