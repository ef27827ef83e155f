"""What was stored is there again on a fresh disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.demo.snapshot import Snapshots, restore
from app.settings import Settings
from app.workbench import Workbench


def test_a_library_survives_an_emptied_disk(
    settings: Settings, tmp_path: Path, prose: Callable[..., str], encoded: list[int]
) -> None:
    lasting = replace(settings, snapshot=tmp_path / "bucket")
    assert not restore(lasting)
    with Workbench(lasting) as workbench, Snapshots(workbench):
        sha = workbench.intake.ingest_text(prose(60), "Kept").document.sha256
    shutil.rmtree(settings.data_dir)
    assert restore(lasting)
    encoded.clear()
    with Workbench(lasting) as workbench:
        assert [view.title for view in workbench.library.documents()] == ["Kept"]
        assert workbench.memories.recall(sha, 4).memory.slots
    assert not encoded


def test_what_is_here_is_newer_than_what_was_kept(
    settings: Settings, tmp_path: Path, prose: Callable[..., str]
) -> None:
    lasting = replace(settings, snapshot=tmp_path / "bucket")
    with Workbench(lasting) as workbench:
        snapshots = Snapshots(workbench)
        assert snapshots.save()
        assert not snapshots.save()
        workbench.intake.ingest_text(prose(40), "Newer")
        assert not restore(lasting)
        assert snapshots.save()
    assert not list((tmp_path / "bucket").glob("*.partial"))


def test_without_a_folder_nothing_is_written(settings: Settings) -> None:
    with Workbench(settings) as workbench, Snapshots(workbench) as snapshots:
        assert not snapshots.save()
    assert not restore(settings)
