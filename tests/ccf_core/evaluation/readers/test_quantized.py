"""Full caches held as codes: what is read of them, and that it is no more than a memory's bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from ccf_core.base.spec import StackSpec
from ccf_core.evaluation import scoring
from ccf_core.evaluation.readers import READERS
from ccf_core.evaluation.readers.base import Scores, Setting, readings
from ccf_core.evaluation.readers.quantized import coded, held_bytes
from ccf_core.evaluation.rows import Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import perplexity, qa
from ccf_core.memory.block import Block
from ccf_core.memory.quantization import to_int2
from ccf_core.readers.base import Question

OPTIONS = Options(ratios=(4, 16))
DTYPES = ("int8", "int4", "int2")


@pytest.mark.parametrize("tokens", [1, 32, 33, 70])
def test_bytes_are_those_of_the_tensors(subject: Subject, text_ids: Callable, tokens: int) -> None:
    decoder = subject.ccf.decoder
    spec, prefix = StackSpec.of(decoder.model), decoder.read_text(text_ids(tokens))
    cache = Block(torch.cat(prefix.keys), torch.cat(prefix.values))
    assert held_bytes(spec, tokens, "int8") == cache.quantize("int8").nbytes
    assert held_bytes(spec, tokens, "int4") == cache.quantize("int4").nbytes
    assert held_bytes(spec, tokens, "int2") == sum(t.nbytes for t in (*to_int2(cache.k, -2), *to_int2(cache.v, -1)))


def test_codes_of_more_bits_are_nearer_to_the_cache(subject: Subject, text_ids: Callable) -> None:
    prefix = subject.ccf.decoder.read_text(text_ids(70))
    errors = []
    for dtype in DTYPES:
        rounded = coded(prefix, dtype)
        assert rounded.next_position == prefix.next_position == 70
        both = zip((*rounded.keys, *rounded.values), (*prefix.keys, *prefix.values), strict=True)
        errors.append(sum(float((a - b).abs().mean()) for a, b in both))
    assert 0 < errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize("dtype", DTYPES)
def test_as_much_text_is_read_as_an_int8_memorys_bytes_hold(subject: Subject, text_ids: Callable, dtype: str) -> None:
    ccf = subject.ccf
    document = ccf.segment(text_ids(301))
    asked = [Question([5, 6], document, window=1024)]
    for ratio, (reading,) in readings(subject, f"truncated_{dtype}", (4, 16), asked, OPTIONS):
        memory = ccf.compress(document.input_ids).at(ratio).quantize("int8")
        spec = StackSpec.of(ccf.model)
        assert reading.held == reading.held_bytes(10**9) == held_bytes(spec, reading.positions, dtype) <= memory.nbytes
        assert held_bytes(spec, reading.positions + 1, dtype) > memory.nbytes
        expected = coded(ccf.decoder.read_text(document.input_ids[: reading.positions]), dtype)
        assert all(torch.equal(a, b) for a, b in zip(reading.cache().keys, expected.keys, strict=True))
    ((_, (whole,)),) = readings(subject, f"full_{dtype}", (None,), asked, OPTIONS)
    assert whole.positions == 301 and whole.held == held_bytes(spec, 301, dtype)


def test_questions_are_answered_and_segments_scored_after_coded_caches(
    subject: Subject, qa_rows: list[Row], text_rows: list[Row]
) -> None:
    names = tuple(f"{kind}_{dtype}" for kind in ("full", "truncated") for dtype in DTYPES)
    assert all(READERS[name].on_request for name in names)
    options = dataclasses.replace(OPTIONS, readers=("full", *names), ratios=(8,), k=(4,))
    n, rows = qa.evaluate(subject, qa_rows[:2], options)
    assert n == 2 and {row["reader"] for row in rows} == {"full", *names}
    _, rows = perplexity.evaluate(subject, text_rows, options)
    nats = {row["reader"]: row["metrics"]["nats"] for row in rows}
    assert nats["full_int8"] == pytest.approx(nats["full"], abs=0.05)
    expected = []
    for _, before, after in perplexity.windows(subject, text_rows, options, 4):
        prefix = coded(subject.ccf.decoder.read_text(before.input_ids), "int2")
        expected.append(-subject.ccf.decoder.score(prefix, after[:1], after[1:]).mean())
    assert nats["full_int2"] == pytest.approx(float(sum(expected)) / len(expected), abs=1e-3)


def test_coded_caches_are_no_denominators() -> None:
    scores: dict[Setting, list[Scores]] = {
        ("full_int8", None): [{"f1": [(0.6, 1.0)]}],
        ("full", None): [{"f1": [(0.4, 1.0)]}],
    }
    kept = [row["metrics"]["kept"] for row in scoring.table(scores, [0], "all", seed=0)]
    assert kept == pytest.approx([1.5, 1.0])
