"""Evidence: joined documents, the gold segment, attention in batches, BM25 and chance."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random

import pytest
import torch

from ccf_core import KVMemory
from ccf_core.answering import batching
from ccf_core.answering.batching import DecodeRequest
from ccf_core.answering.evidence import slot_attention
from ccf_core.evaluation import scoring
from ccf_core.evaluation.rows import EvaluationError, Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import evidence
from ccf_core.evaluation.tasks.evidence import Joined, joined
from ccf_core.focus.bm25 import bm25

OPTIONS = Options(ratios=(4, 16), readers=("memory", "full", "none"))


def _silent(message: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    rng = random.Random(0)
    words = [f"{a}{b}" for a in ("har", "mas", "fog", "oslo", "ship") for b in ("bour", "ter", "lin", "den")]
    texts = [" ".join(rng.choices(words, k=rng.randint(5, 40))) + f" code{i}." for i in range(18)]
    return [
        {"source": f"s{i % 2}", "context": text, "question": f"What of code{i}?", "answers": [f"code{i}"]}
        for i, text in enumerate(texts)
    ]


def test_documents_are_joined_from_distinct_contexts_with_the_gold_anywhere(rows: list[Row]) -> None:
    pool = [row["context"] for row in rows]
    made = joined(rows, pool, seed=0)
    assert made == joined(rows, pool, seed=0) != joined(rows, pool, seed=1)
    for row, contexts, gold in made:
        assert contexts[gold] == row["context"]
        assert len(set(contexts)) == len(contexts) and 10 <= len(contexts) <= 15
    assert len({len(contexts) for _, contexts, _ in made}) > 3
    assert len({gold for _, _, gold in made}) > 5
    with pytest.raises(EvaluationError, match="Only 9 contexts"):
        joined(rows, pool[:9], seed=0)


@pytest.mark.parametrize(
    ("answers", "gold"), [(["ships"], {1, 2}), (["Oslo!"], {2}), (["not there"], {1, 2, 3}), (["fog"], {1, 2, 3})]
)
def test_gold_segments_hold_an_answer_if_any_does(answers: list[str], gold: set[int]) -> None:
    segments = ((0, "fog in Oslo"), (1, "seven ships"), (1, "ships in Oslo"), (1, "and a harbour"), (2, "Oslo"))
    assert Joined(("a", "b", "c"), 1, {"answers": answers}, segments).gold_segments == gold


def test_top_three_of_segments_and_contexts() -> None:
    segments = ((0, "fog"), (1, "ships"), (1, "Oslo"), (2, "fog"), (3, "fog"))
    whole = Joined(("a", "b", "c", "d"), 1, {"answers": ["Oslo"]}, segments)
    assert whole.found([5, 4, 0, 3, 1], [0, 9, 0, 0]) == {"top3": [(0, 1)], "top3_context": [(1, 1)]}
    assert whole.found([0, 0, 5, 4, 3], [3, 0, 2, 1]) == {"top3": [(1, 1)], "top3_context": [(0, 1)]}


def test_chance_is_the_share_of_all_orders() -> None:
    for gold in (["Oslo"], ["nowhere"]):
        segments = ((0, "fog"), (1, "ships"), (1, "Oslo"), (2, "fog"), (3, "fog"))
        whole = Joined(("a", "b", "c", "d"), 1, {"answers": gold}, segments)
        picks = list(itertools.combinations(range(5), 3))
        hits = sum(bool(set(pick) & whole.gold_segments) for pick in picks)
        assert whole.chance()["top3"][0][0] == pytest.approx(hits / len(picks))
        assert whole.chance()["top3_context"][0][0] == 3 / 4


def test_bm25_follows_its_formula() -> None:
    passages = ["oslo fog fog", "ships in fog", "harbour", "a quay", "Oslo's fogs and FOG"]
    scores = bm25("Fog, Oslo? Fog!", passages)
    oslo = math.log((5 - 2 + 0.5) / (2 + 0.5))

    def term(idf: float, tf: int, length: int) -> float:
        return idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / (14 / 5)))

    fog = 1e-6  # in more than half of them
    expected = [term(fog, 2, 3) + term(oslo, 1, 3), term(fog, 1, 3), 0.0, 0.0, term(fog, 2, 5) + term(oslo, 1, 5)]
    assert scores == pytest.approx(expected)
    assert bm25("anything", ["", ""]) == bm25("?!", ["a", "b"]) == [0.0, 0.0]


def test_bm25_takes_a_question_for_words_and_nothing_else() -> None:
    assert bm25('NEAR("quay" OR x* AND text:', ["on the quays", "here"])[1] == 0
    assert bm25('NEAR("quay" OR x* AND text:', ["on the quays", "here", "there"])[0] > 0
    assert sum(score > 0 for score in bm25(" ".join(f"word{i}" for i in range(3000)), ["word7", "word", "x"])) == 1


def test_attention_in_batches_is_that_of_one_at_a_time(subject: Subject, text_ids) -> None:
    decoder = subject.ccf.decoder
    memories = [subject.ccf.compress(text_ids(n, n)) for n in (9, 40, 70)]
    before = decoder.model.config._attn_implementation
    requests = [
        DecodeRequest(
            text_ids(4 + i), target=text_ids(6 - 2 * i, 9), prefix=lambda m=m: decoder.prefix(m), cached=m.slots
        )
        for i, m in enumerate(memories)
    ]
    together = batching.attention(decoder, requests, _silent, rows=3)
    for request, found in zip(requests, together, strict=True):
        alone = slot_attention(decoder, request.prefix(), request.prompt, request.target)
        assert torch.allclose(found, alone, atol=1e-6)
        assert len(found) == request.cached
    assert decoder.model.config._attn_implementation == before


def test_rows_tell_evidence_and_answers(subject: Subject, rows: list[Row]) -> None:
    n, told = evidence.evaluate(subject, rows, dataclasses.replace(OPTIONS, limit=8))
    assert n == 8
    whole = {(row["reader"], row["ratio"]): row["metrics"] for row in told if row["source"] == "all"}
    assert list(whole) == [
        ("memory", 4),
        ("memory", 16),
        *((name, None) for name in ("full", "none", "bm25", "chance")),
    ]
    assert whole["bm25", None]["top3_context"] == 1.0 >= whole["bm25", None]["top3"] > whole["chance", None]["top3"]
    assert 3 / 15 <= whole["chance", None]["top3_context"] <= 3 / 10
    for setting, scores in whole.items():
        assert ("top3" in scores) == (setting[0] not in ("full", "none"))
        assert ("f1" in scores) == (setting[0] not in ("bm25", "chance"))


def test_evidence_is_that_of_the_codecs_answer(subject: Subject, rows: list[Row]) -> None:
    ccf = subject.ccf
    options = dataclasses.replace(OPTIONS, ratios=(8,), readers=("memory",), limit=4)
    _, told = evidence.evaluate(subject, rows, options)
    asked, _ = scoring.sample(subject, rows, options)
    hits = []
    for row, contexts, gold in joined(asked, [r["context"] for r in rows], 0):
        parts = [ccf.compress(context).quantize() for context in contexts]
        memory = KVMemory.join(parts).at(8)
        answer = ccf.answer(row["question"], memory, max_new_tokens=32)
        segments = [(i, c[s.char_start : s.char_end]) for i, c in enumerate(contexts) for s in parts[i].spans]
        gold_segments = Joined(contexts, gold, row, tuple(segments)).gold_segments
        hits.append(bool({e.segment for e in answer.evidence[:3]} & gold_segments))
    assert told[0]["metrics"]["top3"] == pytest.approx(sum(hits) / len(hits))


@pytest.mark.parametrize(
    ("question", "passages"),
    [
        ("契約はいつ終わりますか。", ["検査は毎月行う。", "この賃貸契約は三月に終了する。", "甲は乙に支払う。"]),
        ("合同何时生效", ["数据中心位于北京市。", "本合同自签订之日起生效。", "双方协商解决。"]),
        ("계약은 언제 끝납니까?", ["회의는 서울에서 열린다.", "이 계약을 삼월에 마친다.", "점검은 매월 한다."]),
    ],
)
def test_bm25_knows_words_of_scripts_without_spaces(question: str, passages: list[str]) -> None:
    scores = bm25(question, passages)
    assert scores.index(max(scores)) == 1
    assert scores[1] > 0
