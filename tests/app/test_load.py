"""A few visitors at once, for some seconds. ``python -m tests.load`` is the same with fifty, for ten minutes."""

from __future__ import annotations

import asyncio

from tests.load.__main__ import load
from tests.load.server import serving


def test_visitors_meet_no_error_and_no_write_is_lost() -> None:
    with serving(True, CCF_DEMO="1") as server:
        server.page()
        figures = asyncio.run(load(server, count=2, seconds=25, with_pages=True))
        log = (server.folder / "server.log").read_text()
    assert figures["errors"] == {}
    assert figures["writes lost"] == []
    assert figures["writes found again"] >= 1
    assert "Traceback" not in log
    assert {"look", "ingest"} <= figures["actions"].keys()
