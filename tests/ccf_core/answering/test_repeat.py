"""A LoRA for repeating alone: segments are written again with it, everything else is read without."""

from __future__ import annotations

import dataclasses

import pytest

from ccf_core import CCF, Cut, ablate
from ccf_core.analysis.ablation import reconstruct_from
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import reconstruct
from ccf_core.model.adapter import merge_into
from ccf_core.model.decoder import Decoder

TEXT = "The harbour master counted seven ships. Zoë saw the evening fog hide them all again. " * 3


@pytest.fixture(scope="module")
def ccf(make_ccf):
    return make_ccf(repeat_rank=3)


@pytest.fixture(scope="module")
def memory(ccf):
    return ccf.compress(TEXT)


@pytest.fixture(scope="module")
def reads(ccf, make_base):
    """The same adapter as if it had no LoRA for repeating."""
    return CCF(make_base(), ccf.adapter.reading())


def decoder_that_repeats(ccf, make_base) -> Decoder:
    model = make_base().model
    merge_into(model, ccf.adapter.repeating())
    return Decoder(model, ccf.config)


def test_segments_are_written_again_by_decoder_and_repeat_together(ccf, memory, reads, make_base):
    decoder = decoder_that_repeats(ccf, make_base)
    wanted = [
        decoder.generate(
            [decoder.prefix(memory.select([i]))],
            [[ccf.config.repeat_token]],
            max_new_tokens=len(memory.spans[i]),
            exactly=True,
        )[0]
        for i in range(memory.segments)
    ]
    assert ccf.reconstruct_ids(memory) == wanted
    assert reads.reconstruct_ids(dataclasses.replace(memory, header=reads.header)) != wanted
    first = memory.select([0])
    assert reconstruct_from(ccf, ablate(ccf, first, Cut()), len(first.spans[0])) == wanted[0]


def test_answers_are_written_without_it(ccf, memory, reads):
    ccf.reconstruct_ids(memory)
    own = dataclasses.replace(memory, header=reads.header)
    question = "Who counted seven ships?"
    assert ccf.answer(question, memory, 12).text == reads.answer(question, own, 12).text


def test_only_what_it_changes_is_held_twice(ccf):
    own, other = (dict(decoder.model.named_parameters()) for decoder in (ccf.decoder, ccf.repeater))
    twice = {name for name in own if own[name].data_ptr() != other[name].data_ptr()}
    assert twice == {name for name in own if name.removesuffix(".weight").endswith(ccf.config.targets)}


def test_an_adapter_without_one_repeats_as_it_reads(reads):
    assert reads.repeater is reads.decoder


def test_another_device_makes_it_anew(make_ccf):
    ccf = make_ccf(repeat_rank=3)
    before = ccf.repeater
    assert ccf.to("cpu").repeater is not before
    assert ccf.repeater is ccf.repeater


def test_reconstruction_is_measured_with_it(ccf, make_base):
    plain = Decoder(make_base().model, ccf.config)
    whole = CCF(make_base(), ccf.adapter.repeating())
    rows = [{"source": "harbour", "title": "", "text": TEXT}]
    options = Options(ratios=(4,), readers=("memory",))
    found, wanted, reading = (
        reconstruct.evaluate(Subject(one, plain), rows, options)
        for one in (ccf, whole, CCF(make_base(), ccf.adapter.reading()))
    )
    assert found == wanted
    assert found != reading
