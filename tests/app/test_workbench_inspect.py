"""What a memory keeps of a text, and what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import CannotExport, NoSegment, NotAnswerable
from app.settings import Settings
from app.workbench import Workbench
from ccf_core import CCF, Cancelled, KVMemory
from ccf_core.memory_file import load
from store import DocumentNotFound

TOKEN_KV_BYTES = 2 * 2 * 2 * 8 * 2  # layers, keys and values, kv_heads, head_dim, bytes of bf16


@pytest.fixture
def sha256(workbench: Workbench, prose) -> str:
    return workbench.ingest_text(prose() + " Zoë's 東京 🙂", "Log: fog & rain").document.sha256


def test_segments_cover_the_text_without_gaps(workbench: Workbench, sha256) -> None:
    segments = workbench.segments(sha256)
    text = workbench.text(sha256)
    assert [s.index for s in segments] == list(range(len(segments)))
    assert "".join(text[s.start : s.end] for s in segments) == text
    assert [s.token_end for s in segments[:-1]] == [s.token_start for s in segments[1:]]
    assert segments[-1].token_end == workbench.document(sha256).tokens
    assert all(s.preview and "\n" not in s.preview and len(s.preview) <= 160 for s in segments)


@pytest.mark.parametrize("ratio", [4, 32])
def test_a_reconstruction_is_the_models_own(workbench: Workbench, settings: Settings, sha256, ratio: int) -> None:
    ccf = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
    text = workbench.text(sha256)
    memory = ccf.compress(text).quantize().at(ratio)
    (expected,) = ccf.reconstruct(memory, [3])
    one = workbench.reconstruct(sha256, 3, ratio)
    assert one.text == expected == "".join(word.text for word in one.words)
    assert one.original == text[one.start : one.end]
    assert (one.tokens, one.slots, one.segment, one.ratio) == (32, 32 // ratio, 3, ratio)
    assert one.kv_bytes == one.slots * TOKEN_KV_BYTES * 2  # float32
    assert 0 <= one.exact_token <= one.rouge_l <= 1
    assert all(0 <= word.probability <= 1 for word in one.words)


def test_scores_are_those_of_the_tokens(workbench: Workbench, settings: Settings, sha256) -> None:
    ccf = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
    document = ccf.segment(workbench.text(sha256))
    found = list(workbench.reconstruct_all(sha256, 8))
    outputs = ccf.reconstruct_ids(ccf.compress(workbench.text(sha256)).quantize().at(8))
    assert [one.segment for one in found] == list(range(len(document.spans)))
    for one, ids in zip(found, outputs, strict=True):
        wanted = document.segment(one.segment)
        assert one.exact_token == sum(a == b for a, b in zip(wanted, ids, strict=True)) / len(wanted)
        assert one.rouge_l * len(wanted) == pytest.approx(longest_common(wanted, ids))


def longest_common(a, b) -> int:
    """The textbook's table."""
    row = [0] * (len(b) + 1)
    for x in a:
        new = [0]
        for j, y in enumerate(b):
            new.append(row[j] + 1 if x == y else max(row[j + 1], new[j]))
        row = new
    return row[-1]


def test_chosen_segments_in_the_order_given(workbench: Workbench, sha256) -> None:
    found = list(workbench.reconstruct_all(sha256, 8, [5, 0]))
    assert [one.segment for one in found] == [5, 0]
    assert found[1] == workbench.reconstruct(sha256, 0, 8)


def test_reconstruction_can_be_cancelled(workbench: Workbench, sha256) -> None:
    found = workbench.reconstruct_all(sha256, 8, cancelled=lambda: True)
    with pytest.raises(Cancelled):
        next(found)


def test_wrong_segments_ratios_and_documents(workbench: Workbench, sha256) -> None:
    with pytest.raises(NoSegment):
        workbench.reconstruct(sha256, 99, 8)
    with pytest.raises(NotAnswerable):
        workbench.reconstruct(sha256, 0, 3)
    for use in (workbench.segments, workbench.savings):
        with pytest.raises(DocumentNotFound):
            use("0" * 64)


def test_savings_count_what_is_there(workbench: Workbench, sha256) -> None:
    savings = workbench.savings(sha256)
    document = workbench.document(sha256)
    assert savings.text_bytes == len(workbench.text(sha256).encode())
    assert savings.tokens == document.tokens
    assert savings.full_kv_bytes == savings.tokens * TOKEN_KV_BYTES
    assert [row.ratio for row in savings.ratios] == [4, 8, 16, 32]
    for row in savings.ratios:
        memory = workbench.memory(sha256, row.ratio)
        assert row.slots == memory.slots
        assert row.kv_bytes == memory.slots * TOKEN_KV_BYTES * 2
        assert row.factor == savings.full_kv_bytes / row.kv_bytes
        assert row.stored_bytes > memory.nbytes
    assert savings.ratios[0].stored_bytes == savings.stored_bytes == document.stored_bytes


def test_savings_of_a_half_stored_document_count_only_what_is_stored(workbench: Workbench, sha256, sql) -> None:
    sql("DELETE FROM memories")
    savings = workbench.savings(sha256)
    assert (savings.stored_bytes, savings.ratios[0].stored_bytes) == (0, 0)
    assert savings.ratios[0].slots > 0


def test_an_exported_memory_answers_elsewhere(workbench: Workbench, settings: Settings, sha256, tmp_path) -> None:
    path = workbench.export_memory(sha256, 8, tmp_path)
    assert path == tmp_path / "log-fog-rain-8x.safetensors"
    memory = load(path)
    assert memory.dtype == "int8"
    ccf = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
    *_, answer = workbench.ask("Where?", [sha256], 8)
    assert ccf.answer("Where?", memory).text == answer.text
    assert KVMemory.load(workbench.export_memory(sha256, 32, tmp_path / "mine.bin")).ratio == 32
    assert sorted(p.name for p in tmp_path.glob("*.partial")) == []


def test_exporting_to_nowhere_says_so(workbench: Workbench, sha256, tmp_path: Path) -> None:
    with pytest.raises(CannotExport, match="another folder"):
        workbench.export_memory(sha256, 8, tmp_path / "missing" / "memory.safetensors")
