"""Start the workbench: ``python app.py``, ``ccf app``."""

import os

# Before anything imports gradio: no look-ups of outside hosts.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# Gradio sums its last 10,000 events up in a table after every single one, for a page of figures that nobody opens.
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")

import logging
import sys
from collections.abc import Callable

import ccf_core  # noqa: F401  (before torch, for which it sets threads)

if os.environ.get("SPACES_ZERO_GPU"):
    import spaces  # noqa: F401  (before torch, which it changes)

from app.ui.gradio_import import without_stubs

with without_stubs():
    import gradio  # noqa: F401

from app.errors import BadSetting
from app.runtime import malloc
from app.serve import launch, open_workbench
from app.settings import Settings
from store import StoreError

#: Seconds a thread computes before others go on: with Python's own 5 ms, a page waits long beside a model.
SWITCH_S = 0.0005


def main(settings: Callable[[], Settings] = Settings.from_env) -> int:
    """Serve the page until it is interrupted; return the exit code.

    settings : reads them; its BadSetting is told.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for package in ("app", "ccf_core", "store"):  # others tell of every request
        logging.getLogger(package).setLevel(logging.INFO)
    sys.setswitchinterval(SWITCH_S)
    malloc.limit_arenas()
    # At every event Gradio looks for it, in vain, along the whole path.
    sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]
    try:
        workbench = open_workbench(settings())
    except (BadSetting, StoreError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    launch(workbench)
    return 0
