"""Training through its public doors, on the tiny model: what it computes, that it learns and resumes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ccf_core.base.load import load_base
from ccf_core.baselines.mean_pool import MeanPoolEncoder
from ccf_core.config import CCFConfig
from ccf_core.memory.memory import KVMemory, MemoryHeader
from ccf_core.memory.segments import Span
from ccf_core.model.adapter import Adapter, merge_into
from ccf_core.model.decoder import Decoder
from ccf_core.model.encoder import Encoder
from ccf_core.training.checkpoint import Cursor, load_portable
from ccf_core.training.data.batch_size import Capacity, draw_examples, size_of
from ccf_core.training.data.cloze import Vocabulary
from ccf_core.training.data.dataset import Ragged, TrainingData
from ccf_core.training.data.examples import LONGEST, Decoded, Example, Kind, Mix
from ccf_core.training.data.packing import Batches, pack
from ccf_core.training.data.sampling import Sampler, cut
from ccf_core.training.loop import TrainingConfig, train
from ccf_core.training.losses import chunked_cross_entropy
from ccf_core.training.model import TrainingModel

CONFIG = CCFConfig(segment_length=32, encoder_rank=4, decoder_rank=4)
MIX = Mix(window=128, long_window=512)


def vocabulary() -> Vocabulary:
    """Of 256 tokens: 10 to 19 are digits, 20 to 59 begin names, every seventh closes a sentence."""
    ids = np.arange(256)
    digit, capital = (ids >= 10) & (ids < 20), (ids >= 20) & (ids < 60)
    part = np.array([7])
    return Vocabulary(
        digit, ~digit, capital, capital, ids % 7 == 0, np.where(capital, ids + 100, -1), part, part, part,
        np.array([8, 2]), np.array([2]),
    )  # fmt: skip


@pytest.fixture
def data() -> TrainingData:
    rng = np.random.default_rng(0)

    def ragged(count: int, low: int, high: int) -> Ragged:
        return Ragged.of([rng.integers(10, 250, rng.integers(low, high)) for _ in range(count)])

    return TrainingData(
        ragged(20, 20, 400), ragged(20, 5, 90), ragged(40, 4, 9), ragged(40, 2, 6), np.arange(0, 41, 2), vocabulary()
    )


@pytest.fixture(params=["llama", "qwen2", "qwen3", "mistral"])
def base(request, tiny_folder):
    return load_base(tiny_folder(request.param), device="cpu", dtype="float32")


def random_adapter(model, config: CCFConfig = CONFIG) -> Adapter:
    adapter = Adapter.zero(model, config)
    generator = torch.Generator().manual_seed(5)
    tensors = {n: t + 0.1 * torch.randn(t.shape, generator=generator) for n, t in adapter.tensors.items()}
    return Adapter(config, tensors)


def run_config(**changes) -> TrainingConfig:
    return dataclasses.replace(
        TrainingConfig(
            steps=6,
            tokens_per_batch=1024,
            learning_rate=5e-3,
            warmup=1,
            workers=0,
            log_every=1,
            save_every=100,
            mix=MIX,
        ),
        **changes,
    )


@pytest.mark.parametrize("changed", [{"compressor": "slots"}, {"compressor": "mean_pool"}])
def test_a_training_pass_scores_what_encoder_and_decoder_score(base, changed):
    config = dataclasses.replace(CONFIG, **changed)
    adapter = random_adapter(base.model, config)
    rng = np.random.default_rng(3)
    segments = [rng.integers(10, 250, n) for n in (32, 7)]
    asked = rng.integers(10, 250, 6)
    targets = rng.integers(10, 250, 6)
    example = Example(
        8,
        segments,
        [
            Decoded(Kind.RECONSTRUCT, (1,), np.array([CONFIG.repeat_token, *segments[1][:-1]]), segments[1]),
            Decoded(Kind.ANSWER, (0, 1), asked, targets),
            Decoded(Kind.FULL, (), asked, targets),
        ],
    )
    capacity = Capacity.holding(size_of(example, config), LONGEST[0])
    batch = pack([example], config, capacity, Mix(weights=(1.0,) * len(Kind)))
    _, record = TrainingModel(base.model, adapter, compiled=False)(batch)

    encoder = (Encoder if config.nested else MeanPoolEncoder)(base.model, adapter)
    merge_into(base.model, adapter)
    decoder = Decoder(base.model, CONFIG)
    blocks = tuple(encoder.encode([s.tolist()], 8)[0] for s in segments)
    spans = (Span("d", 0, 0, 32, 0, 0), Span("d", 1, 32, 39, 0, 0))
    header = MemoryHeader("", "", "", 32, "whole", CONFIG.ratios, 2, 2, blocks[0][32].k.shape[-1])
    memory = KVMemory(header, spans, blocks, 8)
    repeated = decoder.score(decoder.prefix(memory.select([1])), [CONFIG.repeat_token], segments[1].tolist())
    assert record[Kind.RECONSTRUCT, 0].item() == pytest.approx(-repeated.sum().item(), rel=1e-4)
    for kind, prefix in ((Kind.ANSWER, decoder.prefix(memory)), (Kind.FULL, None)):
        given = decoder.inputs([prefix], [asked.tolist()])
        logits = decoder.model(**given).logits[0].log_softmax(-1)
        nats = -logits[torch.arange(6), torch.as_tensor(targets)].sum()
        assert record[kind, 0].item() == pytest.approx(nats.item(), rel=1e-4)


@pytest.mark.parametrize("compressor", ["slots", "mean_pool"])
def test_whatever_is_trained_gets_a_gradient_from_every_batch(tiny_folder, data, compressor):
    """Or else several processes wait for it for ever."""
    config = dataclasses.replace(CONFIG, compressor=compressor)
    base = load_base(tiny_folder("llama"), device="cpu", dtype="float32")
    model = TrainingModel(base.model, random_adapter(base.model, config), compiled=False)
    sampler = Sampler(data, config, MIX)
    capacity = Capacity.measured(sampler, 1024)
    batch = pack(draw_examples(sampler, capacity, np.random.default_rng(1)), config, capacity, MIX)
    model(batch)[0].backward()
    trained = {name: p.grad for name, p in model.trainable.items() if p.requires_grad}
    assert trained
    assert [name for name, gradient in trained.items() if gradient is None] == []


def test_packing_more_examples_changes_no_score(base, data):
    model = TrainingModel(base.model, random_adapter(base.model), compiled=False)
    sampler = Sampler(data, CONFIG, MIX)
    capacity = Capacity.measured(sampler, 1024)
    examples = draw_examples(sampler, capacity, np.random.default_rng(1))
    assert len(examples) > 3
    together = model(pack(examples, CONFIG, capacity, MIX))[1]
    alone = sum(model(pack([e], CONFIG, capacity, MIX))[1] for e in examples)
    assert torch.allclose(together, alone, rtol=1e-4)


def test_a_third_of_segments_are_ragged_and_no_example_is_too_large(data):
    sampler = Sampler(data, CONFIG, MIX)
    capacity = Capacity.measured(sampler, 4096)
    examples = [e for seed in range(4) for e in draw_examples(sampler, capacity, np.random.default_rng(seed))]
    lengths = np.array([len(s) for e in examples for s in e.segments])
    assert (lengths < CONFIG.segment_length).mean() > 0.3
    assert lengths.min() >= 1
    used = sum(size_of(e, CONFIG) for e in draw_examples(sampler, capacity, np.random.default_rng(0)))
    assert (used <= capacity.sizes()).all()
    assert {d.kind for e in examples for d in e.decoded} == set(Kind) - {Kind.ASK}
    assert {e.ratio for e in examples} == set(CONFIG.ratios)
    assert {d.shift for e in examples for d in e.decoded} > {0, 1}


@pytest.mark.parametrize("length", [1, 31, 32, 33, 100])
def test_cuts_cover_every_token_once(length):
    for ragged in (False, True):
        bounds = cut(length, np.random.default_rng(length), 32, ragged)
        assert [t for a, b in bounds for t in range(a, b)] == list(range(length))
        assert all(b - a <= 32 for a, b in bounds)


def test_chunked_cross_entropy_equals_the_plain_one(monkeypatch):
    monkeypatch.setattr("ccf_core.training.losses.CHUNK", 7)
    torch.manual_seed(0)
    hidden, head = torch.randn(20, 8, requires_grad=True), torch.randn(50, 8)
    targets, weights = torch.randint(0, 50, (20,)), torch.rand(20)
    loss, each, hits = chunked_cross_entropy(hidden, head, targets, weights)
    (gradient,) = torch.autograd.grad(3 * loss, hidden)
    plain = torch.nn.functional.cross_entropy(hidden @ head.T, targets, reduction="none")
    (wanted,) = torch.autograd.grad(3 * (plain * weights).sum(), hidden)
    assert torch.allclose(each, plain, atol=1e-5)
    assert torch.allclose(gradient, wanted, atol=1e-5)
    assert hits.tolist() == ((hidden @ head.T).argmax(-1) == targets).tolist()


def test_a_teacher_is_learnt_from_as_far_as_its_share_goes(monkeypatch):
    monkeypatch.setattr("ccf_core.training.losses.CHUNK", 7)
    torch.manual_seed(0)
    hidden, head, teacher = torch.randn(20, 8, requires_grad=True), torch.randn(50, 8), torch.randn(9, 8)
    targets, weights, share = torch.randint(0, 50, (20,)), torch.rand(20), torch.rand(9)
    loss, *_ = chunked_cross_entropy(hidden, head, targets, weights, teacher=teacher, share=share)
    (gradient,) = torch.autograd.grad(loss, hidden)
    logits = hidden @ head.T
    nats = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    wanted = (teacher @ head.T).log_softmax(-1)
    divergence = torch.nn.functional.kl_div(logits[:9].log_softmax(-1), wanted, reduction="none", log_target=True)
    mixed = torch.cat(((1 - share) * nats[:9] + share * divergence.sum(-1), nats[9:]))
    (plain,) = torch.autograd.grad((mixed * weights).sum(), hidden)
    assert loss.item() == pytest.approx((mixed * weights).sum().item(), rel=1e-5)
    assert torch.allclose(gradient, plain, atol=1e-5)


def test_teachers_stand_where_the_same_token_is_predicted_from_raw_text(data):
    sampler = Sampler(data, CONFIG, MIX)
    capacity = Capacity.measured(sampler, 4096)
    taught = 0
    for seed in range(3):
        batch = pack(draw_examples(sampler, capacity, np.random.default_rng(seed)), CONFIG, capacity, MIX)
        of = {int(at): int(t) for at, t in zip(batch.target_at, batch.targets, strict=True) if at < capacity.read - 1}
        used = batch.teacher_share > 0
        taught += int(used.sum())
        assert all(
            of[int(at)] == int(t)
            for at, t in zip(batch.teacher_at[used], batch.targets[: len(used)][used], strict=True)
        )
        assert (batch.target_kind[: len(used)][used] < Kind.FULL).all()
    assert taught > 50


def test_one_batch_in_eight_reads_long_windows(data):
    batches = Batches(data, CONFIG, dataclasses.replace(MIX, long_every=2), 1024, seed=0)
    longest = [batches[number].read.longest for number in (0, 7, 8, 15, 16)]
    assert longest == [LONGEST[0], LONGEST[0], LONGEST[1], LONGEST[1], LONGEST[0]]


def test_notable_tokens_weigh_more_in_reconstructions_alone(data):
    sampler = Sampler(data, CONFIG, MIX)
    capacity = Capacity.measured(sampler, 2048)
    examples = draw_examples(sampler, capacity, np.random.default_rng(0))
    mix, notable = dataclasses.replace(MIX, emphasis=3.0), data.vocabulary.notable
    plain, heavy = (pack(examples, CONFIG, capacity, m, notable) for m in (MIX, mix))
    for kind in {d.kind for e in examples for d in e.decoded}:
        of_kind = plain.target_kind == kind
        assert heavy.target_weight[of_kind].sum().item() == pytest.approx(MIX.weights[kind], rel=1e-4)
    weight = heavy.target_weight[plain.target_kind == Kind.RECONSTRUCT]
    marked = torch.from_numpy(notable)[plain.targets[plain.target_kind == Kind.RECONSTRUCT]]
    assert weight[marked].unique().item() == pytest.approx(3 * weight[~marked].unique().item(), rel=1e-5)
    full = heavy.target_weight[plain.target_kind == Kind.FULL]
    assert len(full.unique()) == 1


def test_a_portable_checkpoint_goes_on_without_a_jump(tiny_folder, data, tmp_path):
    drum = dataclasses.replace(data, texts=Ragged.of([np.resize(np.arange(60, 90), 300)] * 3))
    whole = run_config(steps=80, save_every=40, log_every=4, warmup=8)

    def losses(where: Path, **given) -> dict[int, float]:
        base = load_base(tiny_folder("llama"), device="cpu", dtype="float32")
        train(base, drum, CONFIG, whole, where, **given)
        rows = map(json.loads, (where / "log.jsonl").read_text().splitlines())
        return {row["step"]: row["reconstruct_nats"] for row in rows}

    first = tmp_path / "first"
    base = load_base(tiny_folder("llama"), device="cpu", dtype="float32")
    train(base, drum, CONFIG, dataclasses.replace(whole, steps=40), first)
    start, cursor = load_portable(first / "portable")
    assert cursor == Cursor(40, 0)
    told = losses(tmp_path / "second", start=start, cursor=cursor)
    before = [json.loads(line) for line in (first / "log.jsonl").read_text().splitlines()][-1]["reconstruct_nats"]
    assert min(told) == 44
    assert told[44] < 1.02 * before
    parts = list((first / "portable").glob("*.safetensors"))
    assert max(p.stat().st_size for p in parts) <= 15_000_000


def test_held_out_rows_are_told_by_ratio(tiny_folder, data, tmp_path):
    base = load_base(tiny_folder("llama"), device="cpu", dtype="float32")
    train(base, data, CONFIG, run_config(steps=4, validate_every=2), tmp_path, held_out=data)
    rows = [json.loads(line) for line in (tmp_path / "validation.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    kinds = set(Kind) - {Kind.ASK}  # only a frozen reader teaches that
    assert {f"{kind.name.lower()}_nats_{r}" for kind in kinds for r in CONFIG.ratios} <= rows[0].keys()


def test_it_learns_and_only_the_adapter_changes(tiny_folder, data, tmp_path):
    base = load_base(tiny_folder("llama"), device="cpu", dtype="float32")
    before = {name: p.clone() for name, p in base.model.named_parameters()}
    drum = dataclasses.replace(data, texts=Ragged.of([np.resize([30, 40, 50], 200)] * 3))
    train(base, drum, CONFIG, run_config(steps=12), tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["reconstruct_nats"] < rows[0]["reconstruct_nats"]
    assert all(torch.equal(p, before[name]) for name, p in base.model.named_parameters())


@pytest.mark.parametrize(("dtype", "accumulate"), [("float32", 1), ("bfloat16", 2)])
def test_a_run_resumes_exactly(tiny_folder, data, tmp_path, dtype, accumulate):
    folder = tiny_folder("llama")

    def result(where: Path) -> dict[str, torch.Tensor]:
        base = load_base(folder, device="cpu", dtype=dtype)
        return train(base, data, CONFIG, run_config(save_every=2, accumulate=accumulate), where).tensors

    straight = result(tmp_path / "straight")
    stopped = tmp_path / "stopped"
    base = load_base(folder, device="cpu", dtype=dtype)
    train(base, data, CONFIG, run_config(accumulate=accumulate), stopped, max_seconds=0.0)
    assert json.loads((stopped / "state.json").read_text())["step"] == 1
    resumed = result(stopped)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
