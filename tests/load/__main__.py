"""``python -m tests.load``: many visitors of a demo at once, and what became of them.

Starts ``python app.py`` in demo mode on an empty data folder and lets visitors upload, ask and look for some minutes,
each with an open page. Prints a table and writes the figures as JSON; ends with 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.load.server import PATIENCE_S, Server, call, serving
from tests.load.visitor import USES_MODEL, Action, Page, Visitor

WARM_S = 120.0
#: In which all visitors arrive, one after the other.
ARRIVING_S = 30.0
#: Promised of what does not use the model, 95 of 100 times.
SOON_S = 0.5
#: How much larger the server may be at the end than after ``WARM_S``.
GROWTH = 1.10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--tiny", action="store_true", help="a random model of two layers instead of the shipped one")
    parser.add_argument("--no-pages", action="store_true", help="visitors without an open page, as programs are")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    with serving(args.tiny, CCF_DEMO="1", CCF_VISITORS=str(max(100, args.visitors))) as server:
        server.page()
        first = httpx.post(f"{server.address}/visitor", timeout=PATIENCE_S).json()["token"]

        def ready() -> bool:
            shelf = call(server.address, "documents", token=first)
            return len(shelf) >= 3 and all(view["state"] == "ready" for view in shelf)

        print(f"ready after {server.until(ready, 'examples'):.0f} s", file=sys.stderr, flush=True)
        figures = asyncio.run(load(server, args.visitors, 60 * args.minutes, not args.no_pages))
        log = (server.folder / "server.log").read_text()
    figures["tracebacks in the log"] = log.count("Traceback")
    if args.json:
        args.json.write_text(json.dumps(figures | {"log": log[-4000:]}, indent=2) + "\n")
    print("\n".join(table(figures)))
    return 1 if figures["broken"] else 0


async def load(server: Server, count: int, seconds: float, with_pages: bool) -> dict[str, Any]:
    actions: list[Action] = []
    # The server closes connections that rest for 5 s: one is not to be used in that very moment.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=4 * count, keepalive_expiry=2.0)
    async with httpx.AsyncClient(base_url=server.address, limits=limits, timeout=PATIENCE_S) as client:
        page = Page.of((await client.get("/config")).json())
        visitors = [Visitor(number, client, page, actions) for number in range(count)]
        ended = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, ended.set)
        first = time.monotonic() - server.started
        await asyncio.gather(
            *(visitor.live(ended, with_pages, ARRIVING_S * visitor.number / count) for visitor in visitors)
        )
        last = time.monotonic() - server.started
        lost = [one for visitor in visitors for one in await found_again(visitor)]
    figures = summed(actions, count)
    after, at_end = server.megabytes_at(first + min(WARM_S, seconds / 2)), server.megabytes_at(last)
    memory = {"at 2 min": after, "at the end": at_end, "highest": max(mb for _, mb in server.memory)}
    memory |= {f"minute {m}": server.megabytes_at(first + 60 * m) for m in range(1, int(seconds // 60) + 1)}
    kept = sum(len(visitor.kept) for visitor in visitors)
    figures |= {"visitors": count, "seconds": last - first, "memory, MB": memory}
    figures |= {"writes found again": kept - len(lost), "writes lost": lost}
    figures["broken"] = broken(figures)
    return figures


async def found_again(visitor: Visitor) -> list[str]:
    """What the server had said it keeps, and does not list, find and hold complete once its queue is empty."""
    until = time.monotonic() + PATIENCE_S
    while True:
        (shelf,) = await visitor.event(visitor.page.by_name["documents"], [])
        states = {view["title"]: view["state"] for view in shelf}
        missing = [title for title in visitor.kept if states.get(title) != "ready"]
        if not missing or time.monotonic() > until:
            break
        await asyncio.sleep(2)
    for title, word in visitor.kept.items():
        (hits,) = await visitor.event(visitor.page.by_name["search"], [word, 5])
        if [hit["document"]["title"] for hit in hits] != [title]:
            missing.append(title)
    return sorted({f"{title}: {states.get(title, 'gone')}" for title in missing})


def summed(actions: Sequence[Action], count: int) -> dict[str, Any]:
    """Figures of what was done; times in seconds."""
    by_kind: dict[str, dict[str, Any]] = {}
    for kind in sorted({action.kind for action in actions}):
        those = [action for action in actions if action.kind == kind]
        by_kind[kind] = {"model": kind in USES_MODEL, **Counter(one.outcome for one in those), **_times(those)}
    served = Counter(a.visitor for a in actions if a.kind in USES_MODEL and a.outcome == "done")
    each = [served[number] for number in range(count)]
    errors = Counter(f"{a.kind}: {a.said[:300]}" for a in actions if a.outcome == "error")
    others = [a for a in actions if a.kind not in USES_MODEL]
    return {
        "actions": by_kind,
        "not using the model": _times(others),
        "without looks": _times([a for a in others if a.kind != "look"]),
        "using the model": _times([a for a in actions if a.kind in USES_MODEL and a.outcome == "done"]),
        "refused as busy": sum(a.outcome == "busy" for a in actions),
        "errors": dict(errors),
        "served by visitor": {"least": min(each), "median": statistics.median(each), "most": max(each)},
    }


def _times(actions: Sequence[Action]) -> dict[str, Any]:
    seconds = sorted(action.seconds for action in actions)
    at = {name: seconds[int(share * (len(seconds) - 1))] for name, share in (("p50", 0.5), ("p95", 0.95))}
    return {"count": len(seconds), **at, "max": seconds[-1]} if seconds else {"count": 0}


def broken(figures: dict[str, Any]) -> list[str]:
    promises = {
        "no error but busy": not figures["errors"],
        "no write lost": not figures["writes lost"],
        f"p95 of what does not use the model under {SOON_S * 1000:.0f} ms": figures["not using the model"]["p95"]
        < SOON_S,
        f"memory flat: at the end under {GROWTH} of that at 2 min": figures["memory, MB"]["at the end"]
        < GROWTH * figures["memory, MB"]["at 2 min"],
        "everybody is served, at least half as often as the median": figures["served by visitor"]["least"]
        >= max(1, figures["served by visitor"]["median"] // 2),
    }
    return [promise for promise, held in promises.items() if not held]


def table(figures: dict[str, Any]) -> list[str]:
    lines = ["| action | done | busy | error | p50, s | p95, s | max, s |", "|---|---|---|---|---|---|---|"]
    for kind, row in figures["actions"].items():
        counts = " | ".join(str(row.get(outcome, 0)) for outcome in ("done", "busy", "error"))
        lines.append(f"| {kind} | {counts} | {row['p50']:.3f} | {row['p95']:.3f} | {row['max']:.3f} |")
    rest = {key: value for key, value in figures.items() if key != "actions"}
    return [*lines, "", json.dumps(rest, indent=2)]


if __name__ == "__main__":
    sys.exit(main())
