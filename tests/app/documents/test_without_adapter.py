"""The workbench on a base that has no adapter: what it does all the same, and what it says of the rest."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest

from app.answers.ask import Asking
from app.cli.main import main
from app.runtime.distributed import Processes
from app.settings import DEFAULT_ADAPTER, Settings
from app.types import AnswerView
from app.ui.html.page import foot
from app.workbench import Workbench
from ccf_core import AdapterNeeded, Cut
from ccf_core.memory.file import load_memory

RATIOS = (1, 2, 4, 8, 16, 32)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, adapter=Path("none:key_norm"))


def asked(asking: Asking, *args: object, **options: object) -> AnswerView:
    *_, view = asking.ask(*args, **options)  # type: ignore[arg-type]
    assert isinstance(view, AnswerView)
    return view


@pytest.fixture
def sha256(workbench: Workbench, prose: Callable[..., str]) -> str:
    done = workbench.intake.ingest_text(prose(500), "Log")
    assert tuple(done.slots) == RATIOS and done.slots[1] == done.tokens
    return done.document.sha256


@pytest.mark.parametrize("reader", ["memory", "focus", "graded", "full"])
def test_a_document_is_asked(workbench: Workbench, sha256: str, reader: str) -> None:
    view = asked(workbench.asking, "What did the fog hide?", [sha256], 4, reader, max_new_tokens=4)
    assert view.reader == reader
    assert bool(view.evidence) == (reader != "full")
    if reader == "memory":
        assert sum(found.score for found in view.evidence) == pytest.approx(1, abs=1e-4)


def test_at_1x_it_answers_as_the_full_text_does(workbench: Workbench, sha256: str) -> None:
    views = [
        asked(workbench.asking, "What did the fog hide?", [sha256], 1, reader, max_new_tokens=12)
        for reader in ("memory", "full")
    ]
    assert views[0].text == views[1].text
    assert views[0].kv_bytes == views[1].kv_bytes


def test_sizes_comparison_and_files_have_every_ratio(workbench: Workbench, sha256: str, tmp_path: Path) -> None:
    sizes = workbench.savings.sizes(sha256)
    assert tuple(r.ratio for r in sizes.ratios) == workbench.model.ratios == RATIOS
    assert sizes.ratios[0].stored_bytes == sizes.stored_bytes > sizes.ratios[1].stored_bytes
    written = workbench.exports.memory(sha256, 2, tmp_path / "m.safetensors")
    assert load_memory(written).header.mask == "pruned"


def test_what_an_interrupted_ingest_left_is_read_on(workbench: Workbench, sha256: str) -> None:
    store, model = workbench.store, workbench.model
    whole = store.memories.get(sha256, model.key, [0, 1], RATIOS)
    store.memories.delete(sha256, model.key)
    store.memories.put_many(sha256, model.key, [(0, level, whole[0, level]) for level in RATIOS])
    assert workbench.intake.compress(sha256).encoded_segments == len(workbench.memories.segmented(sha256).spans) - 1
    assert dict(store.memories.get(sha256, model.key, [0, 1], RATIOS)) == dict(whole)


def test_what_training_teaches_says_so(workbench: Workbench, sha256: str) -> None:
    for work in (
        lambda: workbench.fidelity.reconstruct(sha256, 0, 8),
        lambda: workbench.summaries.summarise(sha256, 0, 8),
        lambda: workbench.ablation.ablate(sha256, 0, 8, Cut()),
        lambda: workbench.attention.view(sha256, 0, 8),
        lambda: asked(workbench.asking, "Summarise the document.", [sha256], 8),
    ):
        with pytest.raises(AdapterNeeded, match="needs a trained adapter"):
            work()


def test_a_folder_is_taken_in(workbench: Workbench, prose: Callable[..., str], tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for seed in (1, 2):
        (folder / f"{seed}.txt").write_text(prose(300, seed), encoding="utf-8")
    steps: list[tuple[str, int, int]] = []
    with Processes("cpu") as processes:
        taken = workbench.folders.ingest(folder, processes, lambda *step: steps.append(step))
    assert (taken.files, taken.encoded_segments, taken.failed) == (2, taken.segments, {})
    assert steps[-1] == ("memory", taken.tokens, taken.tokens)
    assert {view.state for view in workbench.library.documents()} == {"ready"}


def test_a_base_of_another_adapter_is_used_without_one(settings: Settings) -> None:
    with Workbench(replace(settings, adapter=DEFAULT_ADAPTER)) as opened:
        assert opened.model.ratios == RATIOS
        opened.model.load()
        assert (opened.model.adapter, opened.model.adapters()) == (Path("none"), [Path("none")])
        assert "no adapter: parts of its own cache, by repeat attention" in foot(opened.model.info())


def test_the_command_line_asks_without_an_adapter(
    settings: Settings, tmp_path: Path, prose: Callable[..., str]
) -> None:
    (tmp_path / "log.txt").write_text(prose(400), encoding="utf-8")
    where = ["--data-dir", str(settings.data_dir), "--base", str(settings.base), "--adapter", "none"]
    with redirect_stdout(io.StringIO()) as out:
        assert main(["ask", str(tmp_path / "log.txt"), "What is hidden?", "--ratio", "2", *where]) == 0
    assert "segment 0" in out.getvalue() and "bytes of cache held" in out.getvalue()
    assert main(["reconstruct", str(tmp_path / "log.txt"), *where]) == 2
