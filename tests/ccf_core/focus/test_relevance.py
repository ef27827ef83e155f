"""What tells which segments a question needs: their words, and what the decoder says of each alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ccf_core import CCF, KVMemory
from ccf_core.answering.prompt import abstention, question_prompt
from ccf_core.focus import relevance
from ccf_core.focus.budget import Piece, fuse, pieces, ranked

TEXTS = [f"The fog hid {ships} ships of Oslo. It went. " * 3 for ships in ("seven", "eleven", "no", "two")]
QUESTION = "Who saw eleven?"


@pytest.fixture(scope="module")
def memory(ccf: CCF) -> KVMemory:
    return KVMemory.join([ccf.compress(text) for text in TEXTS])


@pytest.fixture(scope="module")
def texts(ccf: CCF) -> list[Sequence[int]]:
    return [document.segment(i) for document in map(ccf.segment, TEXTS) for i in range(len(document.spans))]


def refused(ccf: CCF, memory: KVMemory) -> list[float]:
    prompt, (token, *_) = question_prompt(ccf.tokenizer, QUESTION), abstention(ccf.tokenizer)
    alone = [ccf.decoder.prefix(memory.select([i])) for i in range(memory.segments)]
    return [float(ccf.decoder.score(prefix, prompt, [token])) for prefix in alone]


def worth(ccf: CCF, memory: KVMemory, texts: Sequence[Sequence[int]], size: int = 0) -> list[float]:
    return relevance.worth(ccf.decoder, ccf.tokenizer, QUESTION, memory, texts, size, 100)


@pytest.mark.parametrize("room", [0, 100, 10_000])
def test_every_segment_is_asked_alone_whatever_the_room(ccf: CCF, memory: KVMemory, room: int) -> None:
    prompt, (token, *_) = question_prompt(ccf.tokenizer, QUESTION), abstention(ccf.tokenizer)
    found = relevance.abstention_logprobs(ccf.decoder, prompt, memory.at(8), token, room)
    assert len(found) == memory.segments and len({*found}) > len(TEXTS)
    assert found == pytest.approx(refused(ccf, memory.at(8)), abs=1e-4)


@pytest.mark.parametrize("ratio", [4, 8, 32])
def test_a_segment_is_worth_its_words_and_what_is_not_refused(
    ccf: CCF, memory: KVMemory, texts: list[Sequence[int]], ratio: int
) -> None:
    of_words = relevance.words(ccf.tokenizer, QUESTION, texts, pieces([*map(len, texts)]))
    expected = fuse([-chance for chance in refused(ccf, memory.at(max(8, ratio)))], of_words)
    assert worth(ccf, memory.at(ratio), texts) == pytest.approx(expected)


def test_a_piece_is_worth_its_own_words_too(ccf: CCF, memory: KVMemory, texts: list[Sequence[int]]) -> None:
    every = pieces([*map(len, texts)], 16)
    of_words = relevance.words(ccf.tokenizer, QUESTION, texts, pieces([*map(len, texts)]))
    of_slots = refused(ccf, memory.at(8))
    expected = fuse(
        [-of_slots[piece.segment] for piece in every],
        [of_words[piece.segment] for piece in every],
        relevance.words(ccf.tokenizer, QUESTION, texts, every),
    )
    assert worth(ccf, memory, texts, 16) == pytest.approx(expected)


def test_of_a_long_document_those_are_asked_that_words_and_attention_rank_first(
    ccf: CCF, memory: KVMemory, texts: list[Sequence[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relevance, "SHORTLIST", 3)
    whole: list[Piece] = pieces([*map(len, texts)])
    of_words = relevance.words(ccf.tokenizer, QUESTION, texts, whole)
    seen = relevance.attended(ccf.decoder, question_prompt(ccf.tokenizer, QUESTION), memory)
    assert sum(seen) == pytest.approx(1) and len(seen) == memory.segments
    asked = ranked(fuse(of_words, seen))[:3]
    told = [-chance if i in asked else 0.0 for i, chance in enumerate(refused(ccf, memory.at(8)))]
    assert worth(ccf, memory, texts) == pytest.approx(fuse(told, of_words))


def test_words_find_the_piece_that_holds_them(ccf: CCF, texts: list[Sequence[int]]) -> None:
    every = pieces([*map(len, texts)], 16)
    best = every[ranked(relevance.words(ccf.tokenizer, "eleven", texts, every))[0]]
    assert "eleven" in ccf.tokenizer.decode(list(texts[best.segment][best.start : best.end]))
