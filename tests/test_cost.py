"""What compressing and asking cost, as ratios measured in one run; `pytest -m bench -s` prints them.

On 2 CPU cores compressing 10,000 tokens should take at most 1.6 times the bare base model over the same segments.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccf_core.__main__ import main


@pytest.mark.bench
@pytest.mark.model
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("tokens", [2_000, 10_000])
def test_cost_of_compressing_and_of_the_first_token(tokens: int, tmp_path: Path):
    out = tmp_path / "bench.json"
    assert main(["bench", "--tokens", str(tokens), "--ratio", "8", "--out", str(out)]) == 0
    measured = json.loads(out.read_text())
    print(json.dumps(measured, indent=2))
    assert measured["tokens"] == tokens
    assert measured["compress_over_prefill"] > 0
    assert measured["kv_bytes"] < measured["full_kv_bytes"]
