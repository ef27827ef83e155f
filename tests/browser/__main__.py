"""``python -m tests.browser [PYTEST OPTIONS]``: the browser tests on two workers, each with whole files."""

from __future__ import annotations

import subprocess
import sys

COMMAND = [sys.executable, "-m", "pytest", "tests/browser", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]

if __name__ == "__main__":
    sys.exit(subprocess.call([*COMMAND, *sys.argv[1:]]))
