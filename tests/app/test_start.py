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
