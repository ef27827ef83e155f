"""Memories as files and blobs: bit for bit back, old versions readable, damage never served."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ccf_core import CCF, Adapter, CCFConfig, DamagedMemory, KVMemory, MemoryHeader
from ccf_core.memory.block import block_to_bytes
from ccf_core.memory.file import VERSIONS, block_from_bytes, load_memory, save_memory
from ccf_core.memory.layout import slots_of_level

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests" / "fixtures"
DTYPES = ("float32", "bfloat16", "int8", "int4")


@pytest.fixture(scope="module")
def memories(make_base, make_adapter, text_ids):
    """The same 32 · 2 + 3 tokens in every dtype: the last segment has slots of the coarsest level alone."""
    made = {}
    for dtype in ("float32", "bfloat16"):
        base = make_base()
        base.model.to(getattr(torch, dtype))
        made[dtype] = CCF(base, make_adapter(base.model)).compress(text_ids(67))
    return made | {dtype: made["float32"].quantize(dtype) for dtype in ("int8", "int4")}


@pytest.fixture(scope="module")
def pruned(make_base, text_ids):
    """The same tokens without an adapter, as int4: of all tensors that a file can hold."""
    config = dataclasses.replace(CCFConfig.pruned("key_norm"), segment_length=32)
    return CCF(make_base(), Adapter(config, {})).compress(text_ids(67)).quantize("int4")


def same(one: KVMemory, other: KVMemory) -> bool:
    if (one.header, one.spans, one.ratio, one.dtype) != (other.header, other.spans, other.ratio, other.dtype):
        return False
    ours, theirs = list(one.parts()), list(other.parts())
    return [part[:2] for part in ours] == [part[:2] for part in theirs] and all(
        a.tensors().keys() == b.tensors().keys()
        and all(
            x.dtype == y.dtype and torch.equal(x, y)
            for x, y in zip(a.tensors().values(), b.tensors().values(), strict=True)
        )
        for (*_, a), (*_, b) in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("ratio", [4, 32])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_memory_comes_back_bit_for_bit(memories, tmp_path, dtype, ratio):
    memory = memories[dtype].at(ratio)
    assert memory.dtype == dtype
    save_memory(memory, tmp_path / "m.safetensors")
    loaded = load_memory(tmp_path / "m.safetensors")
    assert same(loaded, memory)
    assert loaded.nbytes == memory.nbytes
    assert same(loaded.at(32), memory.at(32))


def test_a_text_of_three_tokens_has_levels_without_slots(memories, tmp_path):
    save_memory(memories["int8"].select([2]), tmp_path / "m.safetensors")
    loaded = load_memory(str(tmp_path / "m.safetensors"))
    assert [(level, block.slots) for level, block in loaded.blocks[0].items()] == [
        (32, 1),
        (16, 0),
        (8, 0),
        (4, 0),
    ]


def test_reordered_repeated_and_joined_segments_come_back(memories, ccf, text_ids, tmp_path):
    memory = memories["float32"]
    mixed = KVMemory.join([memory.select([2, 0, 0]), ccf.compress(text_ids(9, seed=5))])
    save_memory(mixed, tmp_path / "m.safetensors")
    assert same(load_memory(tmp_path / "m.safetensors"), mixed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_block_comes_back_from_its_bytes(memories, dtype):
    memory = memories[dtype]
    for index, level, block in memory.parts():
        back = block_from_bytes(block_to_bytes(block), memory.header, len(memory.spans[index]), level)
        assert back.tensors().keys() == block.tensors().keys()
        assert all(torch.equal(t, back.tensors()[name]) for name, t in block.tensors().items())


def test_damaged_blobs_are_refused(memories):
    memory = memories["int8"]
    block, header = memory.blocks[0][4], memory.header
    data = block_to_bytes(block)
    other_blobs = [
        b"", b"not safetensors", data[:-1], data[: len(data) // 2], b"\xff" * len(data),
        block_to_bytes(memory.blocks[0][8]),
        block_to_bytes(dataclasses.replace(block, k_scale=None)),
        block_to_bytes(dataclasses.replace(block, k_scale=block.k_scale[..., :1, :])),
        block_to_bytes(dataclasses.replace(block, v=block.v.float())),
        block_to_bytes(dataclasses.replace(memories["float32"].blocks[0][4], v_scale=block.v_scale)),
        data.replace(b"k_scale", b"k_scald"),
    ]  # fmt: skip
    for blob in other_blobs:
        with pytest.raises(DamagedMemory, match="compress the"):
            block_from_bytes(blob, header, 32, 4)
    with pytest.raises(DamagedMemory, match="shape"):
        block_from_bytes(data, header, 31, 32)


def test_damaged_int4_blobs_are_refused(memories):
    header, block = memories["int4"].header, memories["int4"].blocks[0][4]
    for changed in (
        {"k_scale": None}, {"v_least": None}, {"v_least": block.v_least.float()}, {"k": block.k[..., :2]},
        {"v": block.v.to(torch.int8)}, {"k_scale": block.k_scale.repeat(1, 1, 2, 1)},
        {"v_scale": block.k_scale.clone()},
    ):  # fmt: skip
        with pytest.raises(DamagedMemory, match="compress the"):
            block_from_bytes(block_to_bytes(dataclasses.replace(block, **changed)), header, 32, 4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_only_what_needs_the_newer_version_says_so(memories, tmp_path, dtype):
    save_memory(memories[dtype], tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        assert file.metadata()["version"] == ("2" if dtype == "int4" else "1")


@pytest.fixture
def saved(memories, tmp_path):
    save_memory(memories["int8"], tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def rewrite(path: Path, metadata: dict[str, str | None], tensors: dict[str, torch.Tensor | None]) -> None:
    """Change or, with None, leave out parts of a memory file."""
    with safe_open(path, "pt") as file:
        old = file.metadata()
    changed = {name: value for name, value in (old | metadata).items() if value is not None}
    kept = {name: tensor for name, tensor in (load_file(path) | tensors).items() if tensor is not None}
    save_file(kept, path, changed)


@pytest.mark.parametrize("kept", [0, 1, 7, 100, 0.3, 0.9, -1])
def test_a_truncated_file_is_refused(saved, kept):
    data = saved.read_bytes()
    saved.write_bytes(data[: kept if isinstance(kept, int) else int(len(data) * kept)])
    with pytest.raises(DamagedMemory, match=r"m\.safetensors is not a readable memory file: export"):
        load_memory(saved)


@pytest.mark.parametrize(
    "metadata",
    [
        {"format": "pt"},
        {"format": None},
        {"version": "4"},
        {"version": "0"},
        {"version": "one"},
        {"version": None},
    ],
)
def test_another_format_or_version_is_refused(saved, metadata):
    rewrite(saved, metadata, {})
    with pytest.raises(DamagedMemory, match="not a memory file of version 1, 2 or 3"):
        load_memory(saved)


def test_a_safetensors_file_without_metadata_is_refused(tmp_path):
    save_file({"x": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(DamagedMemory, match="not a memory file"):
        load_memory(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "metadata",
    [
        *({field.name: None} for field in dataclasses.fields(MemoryHeader)),
        {"ratio": None}, {"ratio": "5"}, {"ratio": "x"}, {"ratios": "{"}, {"ratios": "3"}, {"layers": "two"},
        {"layers": "3"}, {"head_dim": "16"},
        {"text_sha256": None}, {"text_sha256": "[]"}, {"text_sha256": "["},
    ],
    ids=str,
)  # fmt: skip
def test_damaged_metadata_is_refused(saved, metadata):
    rewrite(saved, metadata, {})
    with pytest.raises(DamagedMemory):
        load_memory(saved)


@pytest.mark.parametrize(
    "tensors",
    [
        {"offsets": None},
        {"offsets": torch.zeros(2, 5, dtype=torch.int64)},
        {"offsets": torch.zeros(3, 5, dtype=torch.int64)},
        {"offsets": torch.zeros(3, 2, dtype=torch.int64)},
        {"offsets": torch.zeros(3, dtype=torch.int64)},
        {"s1.l8.k": None},
        {"s1.l8.k_scale": None},
        {"s0.l4.v": torch.zeros(2, 2, 3, 8, dtype=torch.int8)},
        {"s0.l4.v": torch.zeros(2, 2, 4, 8)},
        {"s0.l4.v_scale": torch.ones(2, 2, 4, 1)},
        {"s0.l4.v_scale": torch.ones(2, 2, 4, 8, dtype=torch.float16)},
    ],
)
def test_damaged_tensors_are_refused(saved, tensors):
    rewrite(saved, {}, tensors)
    with pytest.raises(DamagedMemory):
        load_memory(saved)


def digest(memory: KVMemory) -> str:
    """SHA-256 over every tensor of every block, in the order of slots."""
    whole = hashlib.sha256()
    for index, level, block in memory.parts():
        for name, tensor in block.tensors().items():
            whole.update(f"{index} {level} {name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            whole.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("memory-v*.safetensors")), ids=lambda path: path.stem)
def test_files_of_every_released_version_are_read(path):
    expected = json.loads((FIXTURES / "memories.json").read_text(encoding="utf-8"))[path.name]
    memory = load_memory(path)
    assert digest(memory) == expected["digest"]
    assert dataclasses.asdict(memory.header) | {"ratios": list(memory.header.ratios)} == expected["header"]
    assert [list(dataclasses.astuple(span)) for span in memory.spans] == expected["spans"]
    assert (memory.dtype, memory.ratio, memory.slots) == (expected["dtype"], 4, expected["slots"])
    for index, level, block in memory.at(16).parts():
        assert block.slots == slots_of_level(len(memory.spans[index]), level, memory.header.ratios)


def test_there_is_a_fixture_of_every_version_and_dtype():
    kinds = {"memory-v1-bfloat16", "memory-v1-int8", "memory-v2-int4", f"memory-v{VERSIONS[-1]}-int4"}
    assert kinds <= {path.stem for path in FIXTURES.glob("*.safetensors")}


def documented(heading: str) -> set[str]:
    """Names in the first column of the table under a heading of the specification."""
    page = (ROOT / "docs" / "memory-format.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def test_the_specification_names_what_a_file_holds(pruned, saved):
    save_memory(pruned, saved)
    with safe_open(saved, "pt") as file:
        metadata, names = file.metadata(), set(file.keys())
    assert documented("Metadata") == metadata.keys()
    assert documented("Tensors") == {re.sub(r"^s\d+\.l\d+", "s{segment}.l{level}", name) for name in names}
    assert metadata["version"] == VERSIONS[-1]
    assert f"version {VERSIONS[-1]}" in (ROOT / "docs" / "memory-format.md").read_text(encoding="utf-8")


def test_the_specification_names_what_a_blob_holds(pruned):
    names = set(pruned.blocks[0][4].tensors())
    assert documented("Blobs in a database") == names
