"""Focus with the shipped adapter on an example: what the coarsest memory lost is read where the question needs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccf_core import CCF
from ccf_core.memory.grades import TEXT

pytestmark = pytest.mark.model

ROOT = Path(__file__).parent.parent
QUESTION, NUMBER = "What is the telephone number?", "555 0142"


def test_a_number_that_is_lost_at_32x_is_found_by_focus() -> None:
    ccf = CCF.from_pretrained(ROOT / "assets" / "adapter", device="cpu", dtype="float32")
    text = (ROOT / "assets" / "examples" / "tool-library-handbook.md").read_text(encoding="utf-8")
    ids = ccf.segment(text).input_ids
    memory = ccf.compress(text).quantize("int8")
    assert memory.segments > 3
    coarse = ccf.answer(QUESTION, memory.at(32), 24)
    assert NUMBER not in coarse.text
    found = ccf.answer(QUESTION, memory, 24, reader="focus", input_ids=ids)
    assert NUMBER in found.text
    assert found.kv_bytes * 6 <= len(ids) * 2 * ccf.token_kv_bytes  # float32: twice the bytes of bf16
    as_text = [memory.spans[e.segment] for e in found.evidence if e.ratio == TEXT]
    assert 0 < len(as_text) < memory.segments
    assert any(NUMBER in text[span.char_start : span.char_end] for span in as_text)
