"""Looking into memories through the use cases, on a tiny random model."""

from __future__ import annotations

import pytest
import torch

from app.errors import NoSegment, NotAnswerable
from app.looking import SUMMARY_QUESTION
from app.operating import BadNumbers, described, numbers, ranges
from app.settings import Settings
from app.words import key_sentence, sentences, word_starts
from app.workbench import Workbench
from ccf_core import CCF, Cancelled
from ccf_core.errors import NoSuchPart
from ccf_core.inspection import slot_map, text_attention
from ccf_core.surgery import Cut, answer_from, operate
from store import DocumentNotFound


@pytest.fixture
def sha256(workbench: Workbench, prose) -> str:
    return workbench.ingest_text(prose(120) + " Zoë's 東京 🙂", "Log").document.sha256


@pytest.fixture
def codec(settings: Settings) -> CCF:
    return CCF.from_pretrained(settings.adapter, settings.base, settings.device, settings.dtype)


def last_segment(workbench: Workbench, sha256: str) -> int:
    return len(workbench.segments(sha256)) - 1


@pytest.mark.parametrize("ratio", [4, 32])
def test_attention_to_words_is_the_sum_over_their_tokens(workbench, codec, sha256, ratio: int) -> None:
    text = workbench.text(sha256)
    document = codec.segment(text)
    for segment in (1, last_segment(workbench, sha256)):
        view = workbench.looking.attention(sha256, segment, ratio)
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
    monkeypatch.setattr("app.looking.text_attention", lambda *args: runs.append(args) or text_attention(*args))
    encoded.clear()
    views = {ratio: workbench.looking.attention(sha256, 1, ratio) for ratio in (4, 8, 16, 32)}
    assert len(runs) == 1
    for ratio, view in views.items():
        sliced = workbench.looking.slice(sha256, 1, ratio)
        assert sliced.slots == view.slots
        assert (len(sliced.slots), sliced.tokens, sliced.notes) == (32 // ratio, 32, ())
        assert view.weights == views[4].weights[: len(view.slots)]
    assert encoded == []


def test_nothing_is_kept_of_a_deleted_document(workbench, sha256) -> None:
    workbench.looking.attention(sha256, 0, 8)
    workbench.looking.reconstruct(sha256, 0, 8)
    workbench.looking.summary(sha256, 0, 8)
    assert workbench.looking.remembered(sha256, 0, 8) and workbench.looking.summarised(sha256, 0, 8)
    workbench.delete(sha256)
    assert workbench.looking.remembered(sha256, 0, 8) is workbench.looking.summarised(sha256, 0, 8) is None
    for use in (workbench.looking.attention, workbench.looking.reconstruct, workbench.looking.summary):
        with pytest.raises(DocumentNotFound):
            use(sha256, 0, 8)


def test_whatever_becomes_known_of_a_segment_is_told(workbench, sha256) -> None:
    looking = workbench.looking
    told = [looking.there(sha256, 1, 8)]
    for use in (looking.attention, looking.reconstruct, looking.summary):
        use(sha256, 1, 8)
        told.append(looking.there(sha256, 1, 8))
    looking.reconstruct(sha256, 2, 8)
    told.append(looking.there(sha256, 1, 8))
    assert len(set(told)) == len(told)
    assert looking.there(sha256, 1, 8) == told[-1]
    assert looking.summarised(sha256, 1, 8) is looking.summary(sha256, 1, 8)


def test_fidelity_comes_in_batches_and_is_remembered(workbench, sha256) -> None:
    count = last_segment(workbench, sha256) + 1
    assert workbench.looking.known_fidelity(sha256, 16) == [None] * count
    steps = list(workbench.looking.fidelity(sha256, 16))
    assert steps[0] == [None] * count
    expected = [one.rouge_l for one in workbench.reconstruct_all(sha256, 16)]
    assert steps[-1] == pytest.approx(expected)
    assert list(workbench.looking.fidelity(sha256, 16)) == [steps[-1]]
    assert workbench.looking.known_fidelity(sha256, 8) == [None] * count
    assert workbench.looking.remembered(sha256, 2, 16) == workbench.looking.reconstruct(sha256, 2, 16)


def test_fidelity_can_be_stopped_and_keeps_what_it_has(workbench, sha256, prose) -> None:
    long = workbench.ingest_text(prose(400, seed=1), "Long").document.sha256
    stopped = False
    steps = workbench.looking.fidelity(long, 32, lambda: stopped)
    next(steps)
    first = next(steps)
    stopped = True
    with pytest.raises(Cancelled):
        next(steps)
    known = workbench.looking.known_fidelity(long, 32)
    assert known == first
    assert None in known and any(score is not None for score in known)


def test_a_reconstruction_stops_within_a_token(workbench, sha256) -> None:
    asked = []

    def soon() -> bool:
        asked.append(1)
        return len(asked) > 12

    with pytest.raises(Cancelled):
        workbench.reconstruct(sha256, 0, 8, cancelled=soon)
    assert len(asked) < 16


@pytest.mark.parametrize("ratio", [4, 16])
def test_a_summary_is_the_answer_of_the_segments_memory_alone(workbench, codec, sha256, ratio: int) -> None:
    view = workbench.looking.summary(sha256, 2, ratio)
    memory = codec.compress(workbench.text(sha256)).quantize().at(ratio).select([2])
    assert view.summary == codec.answer(SUMMARY_QUESTION, memory, 80).text
    assert (view.slots, view.key_sentence) == (
        memory.slots, workbench.looking.attention(sha256, 2, ratio).key_sentence,
    )  # fmt: skip


def test_an_abstention_is_barred_and_said(workbench, codec, sha256, monkeypatch) -> None:
    free = workbench.looking.summary(sha256, 2, 4)
    assert free.summary and not free.abstained
    barred = []

    def watched(*args, **kwargs):
        barred.append(kwargs["barred"])
        return answer_from(*args, **kwargs)

    monkeypatch.setattr("app.looking.answer_from", watched)
    monkeypatch.setattr("app.looking.ABSTENTION", free.summary)
    workbench.looking.forget(sha256)
    assert workbench.looking.summary(sha256, 2, 4).abstained
    assert barred == [(), codec.tokenizer(free.summary, add_special_tokens=False)["input_ids"][:1]]


@pytest.mark.parametrize(("part", "layer"), [("values", None), ("keys", 1)])
def test_a_map_is_that_of_the_stored_memory(workbench, sha256, part, layer) -> None:
    view = workbench.looking.slot_map(sha256, 8, part, layer)
    memory = workbench.memory(sha256, 8)
    expected = slot_map(memory, part, layer)
    torch.testing.assert_close(torch.tensor([view.x, view.y]).T, expected.points)
    assert (view.segments, view.levels, view.total) == (expected.segments, expected.levels, memory.slots)
    with pytest.raises(NotAnswerable, match="The layer must be one of 0 to 1, not 2"):
        workbench.looking.slot_map(sha256, 8, "values", 2)


def test_reconstructing_from_an_operated_memory(workbench, codec, sha256) -> None:
    cut = Cut(levels=frozenset({16}), layers=frozenset({0}), heads=frozenset({1}))
    view = workbench.looking.operate(sha256, 1, 8, cut)
    intact = workbench.reconstruct(sha256, 1, 8)
    assert (view.intact.text, view.intact.rouge_l, view.intact.slots) == (intact.text, intact.rouge_l, intact.slots)
    memory = workbench.memory(sha256, 8).select([1])
    prefix = operate(codec, memory, cut)
    original = codec.segment(workbench.text(sha256)).segment(1)
    [ids] = codec.decoder.generate([prefix], [[3]], max_new_tokens=32, exactly=True)
    assert view.operated.text == codec.tokenizer.decode(ids, skip_special_tokens=True)
    assert view.operated.slots == prefix.length < intact.slots
    assert view.operated.nats == pytest.approx(-float(codec.decoder.score(prefix, [3], original).mean()), rel=1e-4)
    assert view.off == "levels 16x; heads 1 of layers 0"


def test_asking_an_operated_memory(workbench, codec, sha256) -> None:
    view = workbench.looking.operate(sha256, 1, 4, Cut(layers=frozenset({0, 1})), "What did the fog hide?")
    assert view.intact.text == codec.answer("What did the fog hide?", workbench.memory(sha256, 4).select([1])).text
    assert view.intact.rouge_l == 1
    assert view.operated.nats != pytest.approx(view.intact.nats, abs=1e-4)
    assert view.operated.slots == view.intact.slots


def test_nothing_off_is_the_same_twice(workbench, sha256) -> None:
    view = workbench.looking.operate(sha256, 0, 8, Cut())
    assert view.intact == view.operated
    assert view.off == "nothing"


def test_wrong_segments_ratios_parts_and_questions(workbench, sha256) -> None:
    looking = workbench.looking
    for use in (looking.attention, looking.summary, looking.slice, looking.reconstruct):
        with pytest.raises(NoSegment):
            use(sha256, 99, 8)
        with pytest.raises(NotAnswerable):
            use(sha256, 0, 3)
    with pytest.raises(NoSuchPart, match="no slot 400"):
        looking.operate(sha256, 0, 8, Cut(slots=frozenset({400})))
    with pytest.raises(NotAnswerable, match="at most 512"):
        looking.operate(sha256, 0, 8, Cut(), "why " * 600)


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
