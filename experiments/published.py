"""``python -m experiments.published --out DIR``: measure an adapter by the commands of the published results.

The commands stand in ``assets/results/*.json``. Where one names readers of all text, the yardstick reader is added,
which ``kept`` and ``gain_kept`` divide by. Results that are in the folder already are left alone, so that a run goes on
where it stopped. What is timed runs last and alone. Arguments after ``--`` are added to every command.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from ccf_core.assets import DEFAULT_ADAPTER, asset
from ccf_core.cli import CommandParser, positive, report

PUBLISHED = asset("results")
#: Tasks whose results hold seconds.
TIMED = ("peers",)
#: Reader -> the same by the yardstick reader's decoder.
MEASURED_BY = {"full": "yardstick_full", "none": "yardstick_none"}


def arguments(command: str) -> list[str]:
    """Take the arguments of ``python -m ccf_core`` from a published command, without its ``--out`` and ``--device``."""
    kept = shlex.split(command)[3:]
    for option in ("--out", "--device"):
        if option in kept:
            at = kept.index(option)
            del kept[at : at + 2]
    if "--reader" in kept:
        named = kept.index("--reader") + 1
        ends = next((i for i in range(named, len(kept)) if kept[i].startswith("--")), len(kept))
        readers = kept[named:ends]
        wanted = [MEASURED_BY[r] for r in readers if r == "full" or (r == "none" and "perplexity" in kept)]
        kept[ends:ends] = [reader for reader in wanted if reader not in readers]
    return kept


def measure(name: str, given: Sequence[str], cards: Queue[str], out: Path) -> bool:
    """Run one command on a card that is free, and tell whether it succeeded; its stderr is kept beside the result."""
    card = cards.get()
    started = time.monotonic()
    try:
        with (out / f"{name}.log").open("w") as log:
            command = [sys.executable, "-m", "ccf_core", *given, "--out", str(out / f"{name}.json")]
            shown = {"CUDA_VISIBLE_DEVICES": card} if card else {}
            run = subprocess.run(command, env=os.environ | shown, stdout=subprocess.DEVNULL, stderr=log)
    finally:
        cards.put(card)
    report(f"{name}: {'measured' if run.returncode == 0 else 'failed'} in {time.monotonic() - started:.0f} s")
    return run.returncode == 0


def main(argv: Sequence[str] | None = None, published: Path = PUBLISHED) -> int:
    """Return 1 if a command failed, else 0."""
    argv = list(sys.argv[1:] if argv is None else argv)
    own, more = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    parser = CommandParser(prog="python -m experiments.published", description="Measure an adapter as published.")
    parser.add_argument("--adapter", type=Path, default=DEFAULT_ADAPTER)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--only", nargs="+", help="names of results, such as qa")
    parser.add_argument("--cards", nargs="+", default=[""], help="numbers of the CUDA devices to use")
    parser.add_argument("--at-once", type=positive, default=1, help="commands on a card at a time")
    args = parser.parse_args(own)
    args.out.mkdir(parents=True, exist_ok=True)
    commands = {}
    for path in sorted(published.glob("*.json")):
        if (not args.only or path.stem in args.only) and not (args.out / path.name).exists():
            given = arguments(json.loads(path.read_text(encoding="utf-8"))["command"])
            other = ["--adapter", str(args.adapter)] if args.adapter != DEFAULT_ADAPTER else []
            commands[path.stem] = [*given, *other, *more]
    cards: Queue[str] = Queue()
    for card in args.cards * args.at_once:
        cards.put(card)
    timed = [name for name, given in commands.items() if given[1] in TIMED]
    with ThreadPoolExecutor(cards.qsize()) as pool:
        together = [name for name in commands if name not in timed]
        done = list(pool.map(lambda name: measure(name, commands[name], cards, args.out), together))
    done += [measure(name, commands[name], cards, args.out) for name in timed]
    return int(not all(done))


if __name__ == "__main__":
    sys.exit(main())
