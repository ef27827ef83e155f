"""What a memory keeps of a text, and what it costs."""

from __future__ import annotations

import pytest

from app.errors import NoSegment, NotAnswerable
from app.settings import Settings
from app.workbench import Workbench
from ccf_core import CCF, Cancelled
from store import DocumentNotFound

TOKEN_KV_BYTES = 2 * 2 * 2 * 8 * 2  # layers, keys and values, kv_heads, head_dim, bytes of bf16


@pytest.fixture
def sha256(workbench: Workbench, prose) -> str:
    return workbench.intake.ingest_text(prose() + " Zoë's 東京 🙂", "Log: fog & rain").document.sha256


@pytest.mark.parametrize("ratio", [4, 32])
def test_a_reconstruction_is_the_models_own(workbench: Workbench, settings: Settings, sha256, ratio: int) -> None:
    ccf = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
    text = workbench.library.text(sha256)
    memory = ccf.compress(text).quantize().at(ratio)
    (expected,) = ccf.reconstruct(memory, [3])
    one = workbench.fidelity.reconstruct(sha256, 3, ratio)
    assert one.text == expected == "".join(word.text for word in one.words)
    assert one.original == text[one.start : one.end]
    assert (one.tokens, one.slots, one.segment, one.ratio) == (32, 32 // ratio, 3, ratio)
    assert one.kv_bytes == one.slots * TOKEN_KV_BYTES * 2  # float32
    assert 0 <= one.exact_token <= one.rouge_l <= 1
    assert all(0 <= word.probability <= 1 for word in one.words)


def test_scores_are_those_of_the_tokens(workbench: Workbench, settings: Settings, sha256) -> None:
    ccf = CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)
    document = ccf.segment(workbench.library.text(sha256))
    found = list(workbench.fidelity.reconstruct_all(sha256, 8))
    outputs = ccf.reconstruct_ids(ccf.compress(workbench.library.text(sha256)).quantize().at(8))
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
    found = list(workbench.fidelity.reconstruct_all(sha256, 8, [5, 0]))
    assert [one.segment for one in found] == [5, 0]
    assert found[1] == workbench.fidelity.reconstruct(sha256, 0, 8)


def test_reconstruction_can_be_cancelled(workbench: Workbench, sha256) -> None:
    found = workbench.fidelity.reconstruct_all(sha256, 8, cancelled=lambda: True)
    with pytest.raises(Cancelled):
        next(found)


def test_wrong_segments_ratios_and_documents(workbench: Workbench, sha256) -> None:
    with pytest.raises(NoSegment):
        workbench.fidelity.reconstruct(sha256, 99, 8)
    with pytest.raises(NotAnswerable):
        workbench.fidelity.reconstruct(sha256, 0, 3)
    for use in (workbench.library.segments, workbench.savings.sizes):
        with pytest.raises(DocumentNotFound):
            use("0" * 64)


def test_fidelity_comes_in_batches_and_is_remembered(workbench, sha256) -> None:
    count = len(workbench.library.segments(sha256))
    assert workbench.fidelity.known_scores(sha256, 16) == [None] * count
    steps = list(workbench.fidelity.scores(sha256, 16))
    assert steps[0] == [None] * count
    expected = [one.rouge_l for one in workbench.fidelity.reconstruct_all(sha256, 16)]
    assert steps[-1] == pytest.approx(expected)
    assert list(workbench.fidelity.scores(sha256, 16)) == [steps[-1]]
    assert workbench.fidelity.known_scores(sha256, 8) == [None] * count
    assert workbench.fidelity.known(sha256, 2, 16) == workbench.fidelity.reconstruct(sha256, 2, 16)


def test_fidelity_can_be_stopped_and_keeps_what_it_has(workbench, sha256, prose) -> None:
    long = workbench.intake.ingest_text(prose(400, seed=1), "Long").document.sha256
    stopped = False
    steps = workbench.fidelity.scores(long, 32, lambda: stopped)
    next(steps)
    first = next(steps)
    stopped = True
    with pytest.raises(Cancelled):
        next(steps)
    known = workbench.fidelity.known_scores(long, 32)
    assert known == first
    assert None in known and any(score is not None for score in known)


def test_a_reconstruction_stops_within_a_token(workbench, sha256) -> None:
    asked = []

    def soon() -> bool:
        asked.append(1)
        return len(asked) > 12

    with pytest.raises(Cancelled):
        workbench.fidelity.reconstruct(sha256, 0, 8, cancelled=soon)
    assert len(asked) < 16
