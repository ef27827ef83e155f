"""Starting the page: what it does without, so that the first visitor does not wait."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import gradio as gr
import pytest

from app.ui.gradio_import import without_stubs

ROOT = Path(__file__).parents[2]
BUILD = """
import sys
from app.start import Settings, open_workbench
from app.ui.page import build
with open_workbench(Settings.from_env()) as workbench:
    build(workbench)
print([name for name in ("torch", "transformers", "accelerate") if name in sys.modules])
"""


def test_the_page_is_built_without_torch(tmp_path: Path) -> None:
    settings = os.environ | {"CCF_DATA": str(tmp_path / "data")}
    told = subprocess.run([sys.executable, "-c", BUILD], env=settings, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[]"


def test_gradio_finds_no_source_to_make_a_stub_of() -> None:
    with without_stubs():
        with pytest.raises(OSError):
            inspect.getfile(gr.Textbox)
        assert inspect.getfile(Path).endswith(".py")
    assert inspect.getfile(gr.Textbox).endswith("textbox.py")


@pytest.mark.parametrize(
    ("command", "data", "sentence"),
    [
        (["app.py"], False, "set CCF_DATA to a folder for documents and memories, and CCF_CACHE to one"),
        (["app.py"], True, "set CCF_DATA to a folder for documents and memories, and CCF_CACHE to one"),
        (["-m", "app", "compress", "README.md"], False, "set CCF_DATA to a folder"),
        (["-m", "ccf_core", "info"], True, "set CCF_CACHE to a folder for the base model."),
    ],
)
def test_a_home_that_cannot_be_written_is_told_in_one_sentence(
    tmp_path: Path, command: list[str], data: bool, sentence: str
) -> None:
    home = tmp_path / "home"
    home.write_text("a file, in which no folder can be made", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CCF_", "XDG_"))}
    settings = kept | {"HOME": str(home)} | ({"CCF_DATA": str(tmp_path / "data")} if data else {})
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=settings, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(str(home))
    assert sentence in line
