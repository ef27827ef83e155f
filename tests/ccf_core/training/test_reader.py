"""A frozen reader as teacher, a LoRA of its own for repeating, parts that learn and parts that do not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from ccf_core.base.load import load_base
from ccf_core.config import CCFConfig
from ccf_core.model.adapter import Adapter, side_of
from ccf_core.training.checks import PackedOnly
from ccf_core.training.data.batch import Batch
from ccf_core.training.data.batch_size import Capacity, draw_examples, is_taught, size_of
from ccf_core.training.data.dataset import Ragged, TrainingData
from ccf_core.training.data.examples import LONGEST, Decoded, Example, Kind, Mix
from ccf_core.training.data.packing import pack
from ccf_core.training.data.sampling import Sampler
from ccf_core.training.loop import TrainingConfig, train
from ccf_core.training.model import TrainingModel
from tests.ccf_core.training.test_training import random_adapter, vocabulary

CONFIG = CCFConfig(segment_length=32, encoder_rank=4, decoder_rank=4)
OWN = dataclasses.replace(CONFIG, repeat_rank=2)
OPENING, CLOSING = [5, 6, 7], [8, 9]
MIX = Mix(
    window=128, long_window=256, question_share=0.7, distil_share=1.0, distil_text=1.0, distil_all=512, reader=True,
    held_share=0.5, full_share=0.1, weights=(1.0, 1.0, 1.0, 0.2, 0.2, 0.4),
)  # fmt: skip


@pytest.fixture
def data() -> TrainingData:
    rng = np.random.default_rng(0)

    def ragged(count: int, low: int, high: int) -> list[np.ndarray]:
        return [rng.integers(10, 250, rng.integers(low, high)) for _ in range(count)]

    prompts = [np.array([*OPENING, *words, *CLOSING]) for words in ragged(40, 3, 9)]
    return TrainingData(
        Ragged.of(ragged(20, 20, 400)), Ragged.of(ragged(20, 5, 90)), Ragged.of(prompts), Ragged.of(ragged(40, 2, 6)),
        np.arange(0, 41, 2), vocabulary(),
    )  # fmt: skip


@pytest.fixture
def base(tiny_folder):
    return load_base(tiny_folder("llama"), device="cpu", dtype="float32")


def drawn(data: TrainingData, config: CCFConfig = OWN, mix: Mix = MIX, seed: int = 1) -> tuple[list[Example], Batch]:
    sampler = Sampler(data, config, mix)
    capacity = Capacity.measured(sampler, 4096)
    examples = draw_examples(sampler, capacity, np.random.default_rng(seed))
    return examples, pack(examples, config, capacity, mix)


def test_what_is_taught_is_the_token_that_the_reader_predicts_there(data):
    _, batch = drawn(data)
    assert batch.teacher is not None
    used = batch.teacher_share > 0
    at, own = batch.teacher_at[used], batch.target_at[: len(used)][used]
    assert torch.equal(batch.teacher.ids[at], batch.read.ids[own])
    kinds = batch.target_kind[: len(used)][used]
    assert {Kind.CONTINUE, Kind.ANSWER, Kind.FULL, Kind.READ, Kind.ASK} == {Kind(kind) for kind in kinds.tolist()}
    asked = kinds == Kind.ASK
    # The words of a question, and what closes it, have no other target than what the reader expects.
    assert (batch.teacher_share[used][asked] == 1).all()
    assert (batch.teacher_share[used][~asked] - MIX.distil).abs().max() < 1e-6
    following = batch.read.ids[own[asked] + 1]
    assert torch.equal(following, batch.targets[: len(used)][used][asked])
    assert not torch.isin(following, torch.tensor(OPENING)).any()


def test_texts_can_teach_themselves_while_the_reader_teaches_answers(data):
    _, batch = drawn(data, mix=dataclasses.replace(MIX, distil_text=0.0, full_share=0.5))
    kinds, share = batch.target_kind.tolist(), batch.teacher_share.tolist()
    assert {kind for kind, of in zip(kinds, share, strict=False) if of} == {Kind.ANSWER, Kind.READ, Kind.ASK}
    assert {Kind.CONTINUE, Kind.FULL} <= set(kinds)


def test_a_sequence_held_to_the_reader_is_what_the_reader_does(base, data):
    adapter = random_adapter(base.model, OWN)
    model = TrainingModel(base.model, adapter, compiled=False, reader=adapter)
    _, batch = drawn(data)
    with torch.no_grad():
        keys, values = model.encode(batch)
        own, _ = model.decode(batch.read, keys, values)
        theirs, _ = model.decode(batch.teacher, keys[:0], values[:0], model._reader)
    kinds = batch.target_kind[: len(batch.teacher_at)]
    held = (batch.teacher_share > 0) & ((kinds == Kind.FULL) | (kinds == Kind.READ))
    assert held.any()
    at = batch.target_at[: len(held)][held]
    assert torch.allclose(own[at], theirs[batch.teacher_at[held]], atol=1e-5)


def test_hidden_states_that_match_cost_nothing_and_others_something(base, data):
    adapter = random_adapter(base.model, OWN)
    _, batch = drawn(data)
    plain, matched = (
        TrainingModel(base.model, adapter, compiled=False, reader=adapter, match=match)(batch)[0].item()
        for match in (0.0, 1.0)
    )
    assert plain < matched < plain + 4 * sum(MIX.weights)
    full = dataclasses.replace(MIX, full_share=1.0, question_share=1.0)
    _, batch = drawn(data, mix=full)
    plain, matched = (
        TrainingModel(base.model, adapter, compiled=False, reader=adapter, match=match)(batch)[0].item()
        for match in (0.0, 1.0)
    )
    assert matched == pytest.approx(plain, abs=1e-5)


def test_a_batch_for_a_reader_wants_one(base, data):
    _, batch = drawn(data)
    with pytest.raises(ValueError, match="frozen reader"):
        TrainingModel(base.model, random_adapter(base.model, OWN), compiled=False)(batch)


@pytest.mark.parametrize(("config", "mix"), [(OWN, Mix()), (CONFIG, MIX)])
def test_only_the_packed_strategy_takes_a_reader_or_a_lora_for_repeating(base, data, tmp_path, config, mix):
    run = TrainingConfig(steps=1, workers=0, strategy="incremental", mix=mix)
    with pytest.raises(PackedOnly, match="--strategy packed"):
        train(base, data, config, run, tmp_path, reader=random_adapter(base.model, OWN))


def test_repeating_is_done_by_both_loras_at_once(base):
    rng = np.random.default_rng(3)
    segment = rng.integers(10, 250, 20)
    begun = np.concatenate(([CONFIG.repeat_token], segment[:-1]))
    asked = Decoded(Kind.ANSWER, (0,), segment[:6], segment[1:7])
    example = Example(4, [segment], [Decoded(Kind.RECONSTRUCT, (0,), begun, segment), asked])
    adapter = random_adapter(base.model, OWN)

    def record(adapter: Adapter) -> torch.Tensor:
        capacity = Capacity.holding(size_of(example, adapter.config), LONGEST[0])
        batch = pack([example], adapter.config, capacity, Mix(weights=(1.0,) * len(Kind)))
        return TrainingModel(base.model, adapter, compiled=False)(batch)[1]

    own, repeating, reading = record(adapter), record(adapter.repeating()), record(adapter.reading())
    assert own[Kind.RECONSTRUCT, 0].item() == pytest.approx(repeating[Kind.RECONSTRUCT, 0].item(), rel=1e-5)
    assert own[Kind.ANSWER, 0].item() == pytest.approx(reading[Kind.ANSWER, 0].item(), rel=1e-5)
    assert own[Kind.RECONSTRUCT, 0].item() != pytest.approx(reading[Kind.RECONSTRUCT, 0].item(), rel=1e-3)


@pytest.mark.parametrize("sides", [("decoder",), ("encoder", "repeat"), ("encoder", "decoder", "repeat")])
def test_only_the_parts_that_are_named_learn(tiny_folder, data, tmp_path, sides):
    base = load_base(tiny_folder("llama"), device="cpu", dtype="float32")
    start = random_adapter(base.model, OWN)
    run = TrainingConfig(
        steps=2, tokens_per_batch=1024, learning_rate=5e-3, warmup=1, workers=0, log_every=1, train=sides,
        mix=dataclasses.replace(MIX, long_every=0),
    )  # fmt: skip
    trained = train(base, data, OWN, run, tmp_path, start=start, reader=start)
    changed = {side_of(name) for name, t in trained.tensors.items() if not torch.equal(t, start.tensors[name])}
    # The repeat token goes with whatever repeats.
    assert changed - {"decoder"} == set(sides) - {"decoder"}
    pairs = [name for name in trained.tensors if name.startswith("decoder.")]
    same = all(torch.equal(trained.tensors[name], start.tensors[name]) for name in pairs)
    assert same == ("decoder" not in sides)


def test_a_reader_alone_learns_from_raw_text(data):
    mix = dataclasses.replace(MIX, reader=False, full_share=1.0, question_share=0.8)
    examples, batch = drawn(data, CONFIG, mix)
    assert not any(example.segments for example in examples)
    assert batch.teacher is None
    assert batch.repeat is None
    decoded = [d for example in examples for d in example.decoded]
    assert {d.kind for d in decoded} == {Kind.FULL, Kind.READ}
    assert not any(map(is_taught, decoded))


def test_contexts_are_drawn_by_their_weights(data):
    weighted = dataclasses.replace(data, context_weights=np.array([0.0, 3.0, 1.0, *[0.0] * 17]))
    sampler = Sampler(weighted, CONFIG, MIX)
    drawn_contexts = np.array(sampler._draw_contexts(np.random.default_rng(0), 4000))
    assert set(drawn_contexts.tolist()) == {1, 2}
    assert (drawn_contexts == 1).mean() == pytest.approx(0.75, abs=0.03)


def test_tokens_of_long_answers_weigh_less(data):
    mix = dataclasses.replace(MIX, balance=0.5, reader=False)
    segment = np.arange(40, 60)
    prompt = np.array([*OPENING, 30, *CLOSING])

    def asked(answer: np.ndarray) -> Decoded:
        targets = np.concatenate((np.full(len(prompt) - 1, -1), answer))
        return Decoded(Kind.ANSWER, (0,), np.concatenate((prompt, answer[:-1])), targets, asked=len(prompt) - 1)

    example = Example(4, [segment], [asked(segment[:1]), asked(segment[:16])])
    batch = pack([example], CONFIG, Capacity.holding(size_of(example, CONFIG), LONGEST[0]), mix)
    weights = batch.target_weight[batch.target_kind == Kind.ANSWER]
    assert weights.sum().item() == pytest.approx(mix.weights[Kind.ANSWER], rel=1e-5)
    assert (weights[0] / weights[1]).item() == pytest.approx(4.0, rel=1e-5)
