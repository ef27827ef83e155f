"""What every room's tests share: the tiers, and who may be skipped. The models are in ``tests.tiny_models`` and
``tests.families``.

Tests marked ``model`` and ``browser`` are skipped, and listed as such, where the model cannot be fetched or
there is no Chromium. ``CCF_REQUIRE_MODEL=1`` and ``CCF_REQUIRE_BROWSER=1`` turn those skips into failures.

Tests marked ``slow``, most of them by the files below, start processes, wait by design or run whole evaluations; the
fast tier leaves them out.

Tests of properties try the same few inputs in every run, with ``--hypothesis-profile=dev`` very few;
``--hypothesis-profile=long`` tries thousands of new ones.
"""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.tiny_models", "tests.families", "tests.hub_stand_in"]

# Before torch is imported: as many threads as there are cores, over all workers, and none that spins while it waits.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // WORKERS)))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Time is no property: these machines are shared. A fixture holds for all inputs of a test, which is meant.
for profile, examples in (("dev", 5), ("default", 25), ("long", 4_000)):
    settings.register_profile(
        profile,
        max_examples=examples,
        derandomize=profile != "long",
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    )
settings.load_profile("default")

#: Files and folders whose tests start processes or servers, wait by design, or run whole evaluations.
SLOW = (
    "app/analysis/test_evaluation_runs.py",
    "app/answers/test_streaming.py",
    "app/demo/test_demo.py",
    "app/demo/test_visitors.py",
    "app/documents/test_bulk_ingest.py",
    "app/documents/test_examples.py",
    "app/documents/test_killed.py",
    "app/parsers/test_hostile.py",
    "app/parsers/test_sandbox.py",
    "app/runtime/test_zero_gpu.py",
    "app/runtime/zero_gpu",
    "app/test_load.py",
    "app/test_soak.py",
    "app/test_start.py",
    "app/ui/test_api_arguments.py",
    "app/ui/test_page.py",
    "app/ui/test_polling.py",
    "ccf_core/base/test_base.py",
    "ccf_core/evaluation/readers",
    "ccf_core/evaluation/tasks",
    "ccf_core/evaluation/test_scoring.py",
    "ccf_core/test_architectures.py",
    "ccf_core/training/test_going_on.py",
    "ccf_core/training/test_mistakes.py",
    "ccf_core/training/test_plan.py",
    "ccf_core/training/test_strategies.py",
    "ccf_core/training/test_training.py",
    "experiments",
    "store/test_damaged_pages.py",
    "store/test_processes.py",
    "test_focus_shipped.py",
    "test_shipped_adapter.py",
    "test_space.py",
    "test_supply_chain.py",
)
HERE = Path(__file__).parent
assert all((HERE / path).exists() for path in SLOW)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        path = item.path.relative_to(HERE)
        if path.is_relative_to("browser"):
            item.add_marker("browser")
            # Each of its steps waits up to 20 minutes on a machine with other work (tests/browser/steps.py).
            item.add_marker(pytest.mark.timeout(3600))
        if any(path.is_relative_to(slow) for slow in SLOW):
            item.add_marker("slow")


@functools.cache
def model_trouble() -> str:
    """Why the real base model cannot be had; empty if it can."""
    from ccf_core.base.load import BaseModelError, resolve_base

    try:
        resolve_base()
    except BaseModelError as error:
        return str(error)
    return ""


@functools.cache
def chromium_path() -> str:
    """The browser to drive: ``CCF_CHROMIUM``, one on the path, playwright's own, or empty for none."""
    for name in (os.environ.get("CCF_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).is_file() else ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("model") and model_trouble():
        _skip_or_fail("CCF_REQUIRE_MODEL", model_trouble())
    if item.get_closest_marker("browser") and not chromium_path():
        _skip_or_fail("CCF_REQUIRE_BROWSER", "There is no Chromium: install it, or name one in CCF_CHROMIUM.")


def _skip_or_fail(required: str, reason: str) -> None:
    if os.environ.get(required) == "1":
        pytest.fail(f"{reason} ({required}=1 forbids the skip)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the Chromium to drive; only for tests marked ``browser``."""
    return chromium_path()
