"""``python -m tests.browser.busy [RUNS] [PYTEST OPTIONS]``: the browser tests, ten times, beside two busy loops.

A page is slow on a machine with other work, and then what it shows comes later and in another order: a test that waits
for conditions passes all the same. Two runs go on at the same time, each with two workers, which is more work still.
Prints each run's failures; the exit code is 1 if there were any.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

LOOPS = 2
AT_ONCE = 2
BUSY = [sys.executable, "-c", "while True: pass"]
TESTS = [sys.executable, "-m", "tests.browser", "-q"]


def one_run(number: int, options: list[str]) -> bool:
    """Run the tests once, print what became of them, and return whether all passed."""
    started = time.monotonic()
    run = subprocess.run([*TESTS, *options], capture_output=True, text=True)
    said = run.stdout + run.stderr if run.returncode else run.stdout.splitlines()[-1]
    print(f"run {number}, {time.monotonic() - started:.0f} s: {said}", flush=True)
    return run.returncode == 0


def main(argv: list[str]) -> int:
    runs = int(argv.pop(0)) if argv and argv[0].isdecimal() else 10
    # Ended from outside, it takes the loops with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    loops = [subprocess.Popen(BUSY) for _ in range(LOOPS)]
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            passed = list(pool.map(lambda number: one_run(number, argv), range(1, runs + 1)))
    finally:
        for loop in loops:
            loop.kill()
    print(f"{passed.count(False)} of {runs} runs failed")
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
