"""Segment by segment: what reservoir sampling expects is what full back-propagation gives, outcome by outcome."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from ccf_core.config import CCFConfig
from ccf_core.model.adapter import Adapter
from ccf_core.training.data.batch import Batch
from ccf_core.training.data.batch_size import Capacity, longest_segment, size_of
from ccf_core.training.data.examples import LONGEST, Decoded, Example, Kind, Mix
from ccf_core.training.data.long_documents import SegmentCapacity, segment_batches
from ccf_core.training.data.packing import pack
from ccf_core.training.model import TrainingModel
from ccf_core.training.reservoir import Reservoir, backward_documents

CONFIG = CCFConfig(segment_length=16, encoder_rank=3, decoder_rank=3)
MIX = Mix(weights=(1.0, 0.7, 0.5, 0.2, 0.1, 0.0))
LENGTHS = ((16, 5, 16, 9, 16), (7, 16, 16, 3, 12))


@pytest.fixture(scope="module")
def make_model(tiny_model) -> Callable[[CCFConfig], TrainingModel]:
    def make(config: CCFConfig) -> TrainingModel:
        base = tiny_model("llama", max_position_embeddings=256)
        adapter = Adapter.zero(base, config)
        generator = torch.Generator().manual_seed(5)
        tensors = {n: t + 0.2 * torch.randn(t.shape, generator=generator) for n, t in adapter.tensors.items()}
        return TrainingModel(base, Adapter(config, tensors), compiled=False)

    return make


@pytest.fixture(scope="module")
def model(make_model) -> TrainingModel:
    return make_model(CONFIG)


@pytest.fixture(scope="module")
def documents() -> list[list[np.ndarray]]:
    rng = np.random.default_rng(3)
    return [[rng.integers(10, 250, n) for n in lengths] for lengths in LENGTHS]


@pytest.fixture(scope="module")
def batches(documents) -> list[Batch]:
    return segment_batches(documents, 4, CONFIG, MIX, shift=1)


def scripted(numbers: tuple[int, ...]) -> Callable[[int], int]:
    left = list(numbers)
    return lambda bound: left.pop(0)


def outcomes(segments: int, size: int) -> Iterator[tuple[tuple[int, ...], Fraction]]:
    """Every sequence of draws that differs in its effect, with its probability; ``size`` stands for "not admitted"."""
    choices = [
        [(place, Fraction(1, t)) for place in range(size)] + [(size, Fraction(t - size, t))]
        for t in range(size + 1, segments + 1)
    ]
    for path in itertools.product(*choices):
        probability = Fraction(1)
        for _, p in path:
            probability *= p
        yield tuple(place for place, _ in path), probability


def gradients(model: TrainingModel, batches: list[Batch], **options) -> tuple[dict[str, Tensor], Tensor]:
    model.zero_grad()
    record = backward_documents(model, batches, **{"draw": np.random.default_rng(0).integers, **options})
    found = {name: p.grad.double().clone() for name, p in model.trainable.items() if p.grad is not None}
    return found, record


def worst(one: dict[str, Tensor], other: dict[str, Tensor], part: str = "") -> float:
    """Largest distance of two gradients, relative to the length of the first, over parameters named ``part…``."""
    return max(float((one[n] - other[n]).norm() / one[n].norm()) for n in one if n.startswith(part))


@pytest.mark.parametrize("size", [1, 2])
def test_over_every_outcome_the_expectation_is_the_exact_gradient(model, batches, size):
    exact, record = gradients(model, batches, strategy="full")
    expected = {name: torch.zeros_like(g) for name, g in exact.items()}
    total, spread = Fraction(0), 0.0
    for places, probability in outcomes(len(batches), size):
        found, told = gradients(model, batches, strategy="reservoir", reservoir=size, draw=scripted(places))
        for part in ("decoder", "repeat_embedding"):
            assert worst(exact, found, part) < 1e-4
        assert torch.allclose(told, record, rtol=1e-5)
        spread = max(spread, worst(exact, found, "encoder"))
        for name, gradient in found.items():
            expected[name] += float(probability) * gradient
        total += probability
    assert total == 1
    assert spread > 0.1, "the outcomes must differ for their mean to say anything"
    for part in ("encoder", "level_embeddings", "decoder", "repeat_embedding"):
        assert worst(exact, expected, part) < 1e-4


@pytest.mark.parametrize("options", [{"strategy": "incremental"}, {"strategy": "reservoir", "reservoir": 5}])
def test_with_every_graph_kept_gradients_are_exact(model, batches, options):
    exact, record = gradients(model, batches, strategy="full")
    found, told = gradients(model, batches, **options)
    assert worst(exact, found) < 1e-5
    assert torch.allclose(told, record)


@pytest.mark.parametrize(
    "option",
    [{}, {"compressor": "mean_pool"}],
    ids=lambda option: "-".join(option.values()) or "default",
)
def test_losses_and_gradients_are_those_of_one_packed_batch(make_model, documents, option):
    """The training pass that scores what encoder and decoder score (test_training.py) is the reference."""
    config = dataclasses.replace(CONFIG, **option)
    model = make_model(config)
    examples = []
    for document in documents:
        example = Example(4, document)
        for t, segment in enumerate(document):
            begun = np.concatenate(([CONFIG.repeat_token], segment[:-1]))
            example.decoded.append(Decoded(Kind.RECONSTRUCT, (t,), begun, segment))
            if t:
                example.decoded.append(Decoded(Kind.CONTINUE, tuple(range(t)), segment[:-1], segment[1:], 1))
        examples.append(example)
    model.zero_grad()
    used = np.sum([size_of(example, config) for example in examples], axis=0)
    loss, packed = model(pack(examples, config, Capacity.holding(used, LONGEST[0]), MIX))
    loss.backward()
    wanted = {name: p.grad.double().clone() for name, p in model.trainable.items() if p.grad is not None}
    for capacity in (None, SegmentCapacity.fixed(2, 6, config)):
        batches = segment_batches(documents, 4, config, MIX, shift=1, capacity=capacity)
        found, record = gradients(model, batches, strategy="full")
        assert torch.allclose(record, packed, rtol=1e-4)
        assert worst(wanted, found) < 1e-4


def test_one_shape_for_all_segments_changes_nothing(model, documents, batches):
    capacity = SegmentCapacity.fixed(3, 6, CONFIG)
    padded = segment_batches(documents, 4, CONFIG, MIX, shift=1, capacity=capacity)
    assert len({tuple(t.shape for t in b if isinstance(t, Tensor)) for b in padded}) == 1
    assert len({b.read.longest for b in padded}) == 1
    tight, record = gradients(model, batches, strategy="incremental")
    found, told = gradients(model, padded, strategy="incremental")
    assert torch.allclose(record, told, rtol=1e-5)
    assert worst(tight, found) < 1e-4


def test_every_sequence_of_a_full_stream_has_queries():
    """Keys that nobody queries would be given uninitialised gradients by attention kernels."""
    ids = np.arange(16)
    for segments in (2, 6):
        capacity = SegmentCapacity.fixed(3, 24, CONFIG)
        for batch in segment_batches([[ids] * segments], 32, CONFIG, MIX, capacity=capacity):
            keys, queries = batch.read.key_bounds.diff(), batch.read.query_bounds.diff()
            assert queries[keys > 0].min() > 0


@pytest.mark.parametrize(("length", "segments"), [(16, 2), (16, 6), (256, 2)])
def test_no_sequence_is_longer_than_attention_kernels_are_told(length, segments):
    """Beyond the bound they leave results and gradients uninitialised, of filling too."""
    config = CCFConfig(segment_length=length)
    capacity = SegmentCapacity.fixed(3, segments, config)
    for size in (1, length):
        for batch in segment_batches([[np.arange(size)] * 2] * 3, 32, config, MIX, capacity=capacity):
            assert batch.encoder_bounds.diff().max() <= longest_segment(config)
            longest = max(batch.read.query_bounds.diff().max(), batch.read.key_bounds.diff().max())
            assert longest <= batch.read.longest


def test_documents_of_unequal_length_are_refused(documents):
    with pytest.raises(ValueError, match="equally many"):
        segment_batches([documents[0], documents[1][:3]], 4, CONFIG, MIX)


@pytest.mark.parametrize(("items", "size"), [(5, 1), (5, 2), (6, 3)])
def test_algorithm_r_gives_every_subset_the_same_chance(items, size):
    chances: Counter = Counter()
    for draws in itertools.product(*(range(t) for t in range(size + 1, items + 1))):
        sample = Reservoir(size, scripted(draws))
        left = {out for item in range(items) if (out := sample.offer(item)) is not None}
        assert left | set(sample.items) == set(range(items))
        assert not left & set(sample.items)
        chances[frozenset(sample.items)] += 1
    assert len(chances) == len(list(itertools.combinations(range(items), size)))
    assert len(set(chances.values())) == 1


def test_seeded_draws_are_uniform_by_chi_square():
    items, size, runs = 32, 4, 4000
    rng = np.random.default_rng(7)
    counts = np.zeros(items)
    for _ in range(runs):
        sample = Reservoir(size, rng.integers)
        for item in range(items):
            sample.offer(item)
        counts[sample.items] += 1
    expected = runs * size / items
    # Without replacement the counts vary less than multinomially, by (items - size) / (items - 1).
    statistic = ((counts - expected) ** 2 / expected).sum() * (items - 1) / (items - size)
    assert statistic < 61.1  # 0.999 quantile, 31 degrees of freedom


def test_a_reservoir_of_nothing_is_refused():
    with pytest.raises(ValueError, match="one item or more"):
        Reservoir(0, np.random.default_rng(0).integers)
