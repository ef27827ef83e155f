from __future__ import annotations

import json
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[3] / "assets" / "results"


@pytest.fixture(scope="session")
def shipped() -> dict[str, dict]:
    """The results that come with the adapter, by the name of their file."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}
