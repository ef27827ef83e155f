"""Serve the workbench, or with ``CCF_DEMO`` a public demo of it, and keep a copy of its database if asked to."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

from gradio.utils import get_upload_folder

from app.demo.serve import serve_demo
from app.demo.snapshot import Snapshots, restore
from app.demo.visitors import Visitors
from app.documents.examples import take_in
from app.settings import Settings
from app.ui.page import build
from app.ui.server import serve
from app.workbench import Workbench


def open_workbench(settings: Settings) -> Workbench:
    """Open the workbench on the database of ``settings``, fetched from the snapshot if there is none here.

    Raises:
        BadSetting: a folder cannot be written.
        StoreUnavailable, OSError: the database cannot be used, the snapshot cannot be read.
    """
    settings.check_folders()
    restore(settings)
    return Workbench(settings)


def launch(workbench: Workbench) -> None:
    """Serve the page until it is interrupted, then close the workbench; meanwhile load model and examples."""
    settings = workbench.settings
    with ExitStack() as stack:
        stack.enter_context(workbench)
        stack.enter_context(Snapshots(workbench))
        if settings.demo is None:
            server, *_ = serve(build(workbench), settings, prevent_thread_lock=True)
        else:
            visitors = stack.enter_context(Visitors(workbench, settings.demo, Path(get_upload_folder()) / "visitors"))
            visitors.start()
            server, *_ = serve_demo(visitors, prevent_thread_lock=True)
        # Only now: they import torch, for which the page would wait.
        threading.Thread(target=take_in, args=(workbench.intake, settings.data_dir), daemon=True).start()
        workbench.queue.start()
        server.get_blocks().block_thread()
