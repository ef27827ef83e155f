"""Memories with parts switched off, on a tiny random model."""

from __future__ import annotations

import pytest

from app.analysis.ablation import BadNumbers, described, numbers
from app.parsers.normalise import ranges
from ccf_core.analysis.ablation import ablate
from ccf_core.analysis.cut import Cut


def test_reconstructing_from_an_operated_memory(workbench, codec, sha256) -> None:
    cut = Cut(levels=frozenset({16}), layers=frozenset({0}), heads=frozenset({1}))
    view = workbench.ablation.ablate(sha256, 1, 8, cut)
    intact = workbench.fidelity.reconstruct(sha256, 1, 8)
    assert (view.intact.text, view.intact.rouge_l, view.intact.slots) == (intact.text, intact.rouge_l, intact.slots)
    memory = workbench.memories.recall(sha256, 8).memory.select([1])
    prefix = ablate(codec, memory, cut)
    original = codec.segment(workbench.library.text(sha256)).segment(1)
    [ids] = codec.decoder.generate([prefix], [[3]], max_new_tokens=32, exactly=True)
    assert view.operated.text == codec.tokenizer.decode(ids, skip_special_tokens=True)
    assert view.operated.slots == prefix.length < intact.slots
    assert view.operated.nats == pytest.approx(-float(codec.decoder.score(prefix, [3], original).mean()), rel=1e-4)
    assert view.off == "levels 16x; heads 1 of layers 0"


def test_asking_an_operated_memory(workbench, codec, sha256) -> None:
    view = workbench.ablation.ablate(sha256, 1, 4, Cut(layers=frozenset({0, 1})), "What did the fog hide?")
    assert (
        view.intact.text
        == codec.answer("What did the fog hide?", workbench.memories.recall(sha256, 4).memory.select([1])).text
    )
    assert view.intact.rouge_l == 1
    assert view.operated.nats != pytest.approx(view.intact.nats, abs=1e-4)
    assert view.operated.slots == view.intact.slots


def test_nothing_off_is_the_same_twice(workbench, sha256) -> None:
    view = workbench.ablation.ablate(sha256, 0, 8, Cut())
    assert view.intact == view.operated
    assert view.off == "nothing"


@pytest.mark.parametrize(
    ("written", "chosen"),
    [("", set()), ("4", {4}), ("0-3, 7", {0, 1, 2, 3, 7}), (" 2 - 2 ,", {2}), ("1\u20132", {1, 2})],
)
def test_numbers_are_read_as_they_are_written(written: str, chosen: set[int]) -> None:
    assert numbers(written) == chosen
    assert numbers(ranges(frozenset(chosen))) == chosen


@pytest.mark.parametrize("written", ["four", "3-1", "-2", "1;2", "1-2-3", "9999999"])
def test_other_numbers_are_refused_in_a_sentence(written: str) -> None:
    with pytest.raises(BadNumbers, match="write them like 0-3, 7"):
        numbers(written)


def test_what_is_off_is_said_in_words() -> None:
    cut = Cut(frozenset({1, 2, 5}), frozenset({4, 32}), frozenset({0, 1}), frozenset())
    assert described(cut) == "levels 32x, 4x; slots 1-2, 5; layers 0-1"
    assert described(Cut(heads=frozenset({2}))) == "heads 2 of every layer"
