"""What slots look at, word by word, on a tiny random model; and what is cached of a segment."""

from __future__ import annotations

import pytest
import torch

from app.analysis.attention import key_sentence, sentences, word_starts
from app.errors import NoSegment, NotAnswerable
from app.workbench import Workbench
from ccf_core.analysis.cut import Cut
from ccf_core.analysis.inspection import slot_map, text_attention
from ccf_core.errors import NoSuchPart
from store import DocumentNotFound


def last_segment(workbench: Workbench, sha256: str) -> int:
    return len(workbench.library.segments(sha256)) - 1


@pytest.mark.parametrize("ratio", [4, 32])
def test_attention_to_words_is_the_sum_over_their_tokens(workbench, codec, sha256, ratio: int) -> None:
    text = workbench.library.text(sha256)
    document = codec.segment(text)
    for segment in (1, last_segment(workbench, sha256)):
        view = workbench.attention.view(sha256, segment, ratio)
        span = document.spans[segment]
        expected = text_attention(codec.encoder, document.segment(segment)).at(ratio)
        assert "".join(view.words) == text[span.char_start : span.char_end]
        assert all(not word.rstrip() or not any(c.isspace() for c in word.strip()) for word in view.words)
        assert [(s.number, s.level, s.end) for s in view.slots] == [
            (i, level, end)
            for i, (level, end) in enumerate(zip(expected.layout.levels, expected.layout.ends, strict=True))
        ]
        assert [sum(row) for row in view.weights] == pytest.approx([1.0] * len(view.slots), abs=1e-5)
        assert view.sink == pytest.approx(float(expected.by_token[0] / expected.by_token.sum()), rel=1e-4)
        assert view.key_sentence in text


def test_another_ratio_is_not_encoded_again(workbench, sha256, encoded, monkeypatch) -> None:
    runs = []
    monkeypatch.setattr("ccf_core.text_attention", lambda *args: runs.append(args) or text_attention(*args))
    encoded.clear()
    views = {ratio: workbench.attention.view(sha256, 1, ratio) for ratio in (4, 8, 16, 32)}
    assert len(runs) == 1
    for ratio, view in views.items():
        sliced = workbench.attention.slice(sha256, 1, ratio)
        assert sliced.slots == view.slots
        assert (len(sliced.slots), sliced.tokens, sliced.notes) == (32 // ratio, 32, ())
        assert view.weights == views[4].weights[: len(view.slots)]
    assert encoded == []


def test_nothing_is_kept_of_a_deleted_document(workbench, sha256) -> None:
    workbench.attention.view(sha256, 0, 8)
    workbench.fidelity.reconstruct(sha256, 0, 8)
    workbench.summaries.summarise(sha256, 0, 8)
    assert workbench.fidelity.known(sha256, 0, 8) and workbench.summaries.known(sha256, 0, 8)
    workbench.library.delete(sha256)
    assert workbench.fidelity.known(sha256, 0, 8) is workbench.summaries.known(sha256, 0, 8) is None
    for use in (workbench.attention.view, workbench.fidelity.reconstruct, workbench.summaries.summarise):
        with pytest.raises(DocumentNotFound):
            use(sha256, 0, 8)


def test_the_cached_state_changes_with_every_new_result(workbench, sha256) -> None:
    states = [workbench.cached_state(sha256, 1, 8)]
    for use in (workbench.attention.view, workbench.fidelity.reconstruct, workbench.summaries.summarise):
        use(sha256, 1, 8)
        states.append(workbench.cached_state(sha256, 1, 8))
    workbench.fidelity.reconstruct(sha256, 2, 8)
    states.append(workbench.cached_state(sha256, 1, 8))
    assert len(set(states)) == len(states)
    assert workbench.cached_state(sha256, 1, 8) == states[-1]
    assert workbench.summaries.known(sha256, 1, 8) is workbench.summaries.summarise(sha256, 1, 8)


@pytest.mark.parametrize(("part", "layer"), [("values", None), ("keys", 1)])
def test_a_map_is_that_of_the_stored_memory(workbench, sha256, part, layer) -> None:
    view = workbench.attention.slot_map(sha256, 8, part, layer)
    memory = workbench.memories.recall(sha256, 8).memory
    expected = slot_map(memory, part, layer)
    torch.testing.assert_close(torch.tensor([view.x, view.y]).T, expected.points)
    assert (view.segments, view.levels, view.total) == (expected.segments, expected.levels, memory.slots)
    with pytest.raises(NotAnswerable, match="The layer must be one of 0 to 1, not 2"):
        workbench.attention.slot_map(sha256, 8, "values", 2)


def test_wrong_segments_ratios_parts_and_questions(workbench, sha256) -> None:
    attention, ablation = workbench.attention, workbench.ablation
    for use in (attention.view, workbench.summaries.summarise, attention.slice, workbench.fidelity.reconstruct):
        with pytest.raises(NoSegment):
            use(sha256, 99, 8)
        with pytest.raises(NotAnswerable):
            use(sha256, 0, 3)
    with pytest.raises(NoSuchPart, match="no slot 400"):
        ablation.ablate(sha256, 0, 8, Cut(slots=frozenset({400})))
    with pytest.raises(NotAnswerable, match="at most 512"):
        ablation.ablate(sha256, 0, 8, Cut(), "why " * 600)


def test_sentences_end_where_a_reader_would_say() -> None:
    text = "# Title\n\nIt rained. “Did it?” asked Mr. jones (twice.) Yes: 3.5 mm…  東京。大阪。 end"
    assert [text[a:b] for a, b in sentences(text)] == [
        "# Title", "It rained.", "“Did it?” asked Mr. jones (twice.)", "Yes: 3.5 mm…", "東京。", "大阪。", "end",
    ]  # fmt: skip
    assert sentences("  \n\n ") == []


def test_words_begin_at_white_space() -> None:
    #       The  fog  hid  a🙂 in three tokens
    text = "The fog hid a🙂"
    assert word_starts(text, [0, 3, 5, 7, 11, 13, 13]) == [0, 1, 3, 4]


def test_the_key_sentence_has_the_most_attention_a_token_without_the_sink() -> None:
    text = "aaaaaaaaaa. Bbbbbbbbbb. C."
    starts = list(range(0, len(text), 2))
    weights = [9.0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 5]
    assert key_sentence(text, starts, weights) == "Bbbbbbbbbb."
    assert key_sentence("C.", [0], [1.0]) == "C."
    assert key_sentence("   ", [0], [1.0]) == ""
