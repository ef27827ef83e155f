"""Memories without an adapter: exact at 1x on every shape of base, a prefix at every ratio, and what they cannot do."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ccf_core import CCF, Adapter, AdapterError, AdapterNeeded, Cut, DamagedMemory, KVMemory, MemoryMismatch, ablate
from ccf_core.__main__ import main
from ccf_core.answering.prompt import question_prompt
from ccf_core.baselines import RANKINGS, FullCache, Pruning
from ccf_core.baselines.expected_attention import AHEAD
from ccf_core.baselines.repeat_attention import INSTRUCTION
from ccf_core.memory.file import load_memory, save_memory
from ccf_core.model.layers import rotary_table, rotate

RATIOS = (1, 2, 4, 8, 16, 32)
SEGMENT = 256


def scaled(kind: str, **more: float) -> dict[str, object]:
    rope = {"rope_type": kind, "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 256}
    return {"rope_parameters": rope | more}


SHAPES = {
    "llama, two heads a group": ("llama", {}),
    "llama, one group": ("llama", {"num_key_value_heads": 1}),
    "llama, biases, wide heads": ("llama", {"attention_bias": True, "mlp_bias": True, "head_dim": 16}),
    "llama3 positions": ("llama", scaled("llama3", low_freq_factor=1.0, high_freq_factor=4.0)),
    "yarn positions": ("llama", scaled("yarn")),
    "dynamic positions": ("llama", scaled("dynamic")),
    "mistral, a window": ("mistral", {"sliding_window": 512}),
    "qwen2, biases": ("qwen2", {}),
    "qwen2, windows in some layers": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 420, "max_window_layers": 1},
    ),
    "qwen3, norms of heads": ("qwen3", {}),
}


@pytest.fixture(scope="module")
def bare(make_base: Callable) -> Callable[..., CCF]:
    """``bare(family, ranking, **config)``: a base without an adapter."""

    def make(family: str = "llama", ranking: str = "repeat_attention", **config: object) -> CCF:
        return CCF(make_base(family, **config), Adapter.named(f"none:{ranking}"))

    return make


@pytest.fixture(scope="module")
def plain(bare: Callable) -> CCF:
    return bare()


def logits_after(ccf: CCF, memory: KVMemory, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return ccf.model(**ccf.decoder.inputs([ccf.prefix_for("memory", memory)], [ids])).logits[0]


@torch.inference_mode()
def logits_of(ccf: CCF, text: list[int], ids: list[int]) -> torch.Tensor:
    return ccf.model(torch.tensor([[*text, *ids]])).logits[0, len(text) :]


@pytest.mark.parametrize("shape", SHAPES)
def test_at_1x_it_is_full_context(bare: Callable, text_ids: Callable, shape: str) -> None:
    family, config = SHAPES[shape]
    ccf = bare(family, "key_norm", **config)
    text, question = text_ids(SEGMENT + 90), text_ids(9, 1)
    memory = ccf.compress(text, finest=1)
    assert (memory.slots, memory.segments) == (len(text), 2)
    assert torch.allclose(logits_after(ccf, memory, question), logits_of(ccf, text, question), atol=1e-4)


@pytest.mark.parametrize("ranking", RANKINGS)
def test_every_ranking_keeps_all_at_1x_and_nests(bare: Callable, text_ids: Callable, ranking: str) -> None:
    ccf = bare("qwen3", ranking)
    text, question = text_ids(SEGMENT + 45), text_ids(5, 1)
    memory = ccf.compress(text, finest=1)
    assert torch.allclose(logits_after(ccf, memory, question), logits_of(ccf, text, question), atol=1e-4)
    seen: set[int] = set()
    for ratio in reversed(RATIOS):
        at_ratio = memory.at(ratio)
        assert at_ratio.slots == ccf.segment(text).slots(ratio) == sum(-(-n // ratio) for n in (SEGMENT, 45))
        kept = torch.cat([block.positions[0, 0] for block in at_ratio.blocks[0].values()]).tolist()
        assert len(set(kept)) == len(kept) and seen < set(kept) <= set(range(SEGMENT))
        seen = set(kept)


def test_as_bfloat16_it_is_as_near_as_that_dtype(make_base: Callable, text_ids: Callable) -> None:
    base = make_base("llama")
    base.model.to(torch.bfloat16)
    ccf = CCF(base, Adapter.named("none:key_norm"))
    text, question = text_ids(300), text_ids(9, 1)
    found, wanted = logits_after(ccf, ccf.compress(text, 1), question).float(), logits_of(ccf, text, question).float()
    assert (found - wanted).norm() < 0.02 * wanted.norm()


@pytest.mark.parametrize("dtype", ["bfloat16", "int8", "int4"])
def test_it_is_stored_as_other_memories_are(plain: CCF, text_ids: Callable, tmp_path: Path, dtype: str) -> None:
    text, question = text_ids(300), text_ids(9, 1)
    memory = plain.compress(text, finest=1, dtype=dtype)
    save_memory(memory, tmp_path / "m.safetensors")
    loaded = load_memory(tmp_path / "m.safetensors")
    for (*_, block), (*_, again) in zip(memory.parts(), loaded.parts(), strict=True):
        assert block.positions.dtype == torch.int16
        assert all(torch.equal(t, again.tensors()[name]) for name, t in block.tensors().items())
    wanted = logits_of(plain, text, question)
    error = (logits_after(plain, loaded, question) - wanted).norm() / wanted.norm()
    assert error < {"bfloat16": 0.02, "int8": 0.03, "int4": 0.3}[dtype]
    assert plain.answer("Who?", loaded.at(4), 3, input_ids=text).evidence


def test_a_file_without_positions_is_damaged(plain: CCF, text_ids: Callable, tmp_path: Path) -> None:
    memory = plain.compress(text_ids(40), finest=8)
    blocks = tuple({n: dataclasses.replace(b, positions=None) for n, b in own.items()} for own in memory.blocks)
    save_memory(dataclasses.replace(memory, blocks=blocks), tmp_path / "m.safetensors")
    with pytest.raises(DamagedMemory, match="positions"):
        load_memory(tmp_path / "m.safetensors")


def test_segments_come_one_by_one_and_are_the_same_when_resumed(plain: CCF, text_ids: Callable) -> None:
    document = plain.segment(text_ids(3 * SEGMENT))
    every = dict(plain.encode(document))
    assert list(every) == [0, 1, 2]
    (only,) = plain.encode(document, [1])
    assert only[0] == 1
    for level, block in only[1].items():
        assert all(torch.equal(t, every[1][level].tensors()[name]) for name, t in block.tensors().items())


@pytest.mark.parametrize("family", ["llama", "mistral"])
def test_a_document_longer_than_the_window_is_read_after_a_memory_of_its_past(
    bare: Callable, text_ids: Callable, family: str
) -> None:
    """The second segment sees all of the first; the third what of the first two fits beside it."""
    ccf = bare(family, "key_norm", max_position_embeddings=640)
    text = text_ids(3 * SEGMENT)
    memory = ccf.compress(text, finest=1)
    short = bare(family, "key_norm", max_position_embeddings=1024)
    within = short.compress(text[: 2 * SEGMENT], finest=1)
    for mine, other in zip(memory.blocks[:2], within.blocks, strict=True):
        assert all(torch.allclose(block.k, other[level].k, atol=1e-5) for level, block in mine.items())
    cache = FullCache.read(ccf.decoder, [text[2 * SEGMENT :]], ccf.decoder.prefix(_past(memory), SEGMENT), inside=True)
    (block,) = ccf.compress(text, finest=1).at(32).blocks[2].values()
    for layer in range(2):
        kept = block.positions[layer].long()[..., None]
        assert torch.allclose(block.k[layer], cache.unrotated[layer][0].take_along_dim(kept, 1), atol=1e-5)
    assert ccf.prefix_for("memory", memory.at(4)).length == 3 * SEGMENT // 4
    assert ccf.answer("Who?", memory.at(8), 3, input_ids=text).evidence


def _past(memory: KVMemory) -> KVMemory:
    """The first two segments at the finest ratios that take 304 positions: 2x and 2x."""
    first, second = ({level: b for level, b in memory.blocks[i].items() if level >= 2} for i in (0, 1))
    return dataclasses.replace(memory.select([0, 1]), blocks=(first, second), ratio=2)


@pytest.mark.parametrize(("family", "config"), [("qwen2", {}), ("mistral", {"sliding_window": 160})])
def test_a_repetition_is_of_the_segment_behind_its_past(
    bare: Callable, text_ids: Callable, attention_over: Callable, family: str, config: dict[str, int]
) -> None:
    ccf = bare(family, max_position_embeddings=4096, **config)
    before, text = text_ids(90), text_ids(50, 1)
    prompt = question_prompt(ccf.tokenizer, INSTRUCTION)
    matrices = attention_over(ccf.model, [*before, *text, *prompt, *text])
    own = slice(len(before), len(before) + len(text))
    expected = [m[:, -1 - len(text) : -1, own].amax(1).unflatten(0, (2, 2)).amax(1) for m in matrices]
    cache = FullCache.read(ccf.decoder, [text], ccf.decoder.read_text(before))
    with torch.inference_mode():
        scores = RANKINGS["repeat_attention"](ccf.tokenizer).scores(ccf.decoder, cache)
    assert torch.allclose(scores[0], torch.stack(expected), atol=1e-5)


def test_expected_attention_is_what_the_formula_gives(plain: CCF, text_ids: Callable) -> None:
    """exp(Rμ·k / √d + kᵀRΣRᵀk / 2d) of each key, normalised, times the norm of its value; written out for a head."""
    ids, layer, head, d = text_ids(40), 1, 0, 8
    cache = FullCache.read(plain.decoder, [ids], inside=True)
    with torch.inference_mode():
        scores = RANKINGS["expected_attention"](plain.tokenizer).scores(plain.decoder, cache)[0, layer, head]

    def rotation(position: int) -> torch.Tensor:
        """The matrix that turns a query at ``position``."""
        cos, sin = rotary_table(plain.model, torch.tensor([position]), torch.float32)
        return rotate(torch.eye(d)[None], cos, sin)[0].T

    ahead = torch.stack([rotation(len(ids) + step) for step in range(AHEAD)]).mean(0)
    keys, values = cache.keys[layer][0, head], cache.values[layer][0, head]
    found = []
    for query_head in (0, 1):
        queries = torch.stack([rotation(i).T @ q for i, q in enumerate(cache.queries[layer][0, query_head])])
        mean, spread = ahead @ queries.mean(0), ahead @ queries.T.cov(correction=0) @ ahead.T
        found.append((keys @ mean / d**0.5 + ((keys @ spread) * keys).sum(-1) / (2 * d)).softmax(-1))
    assert torch.allclose(scores, (found[0] + found[1]) / 2 * values.norm(dim=-1), atol=1e-5)


def test_the_ranking_of_the_guide_is_one_class_and_one_row(
    make_base: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = guide.split("## Add a ranking")[1].split("```python")[1].split("```")[0]
    made: dict[str, type[Pruning]] = {}
    exec(code, made)
    assert len(code.splitlines()) < 20
    monkeypatch.setitem(RANKINGS, "value_norm", made["ValueNorm"])
    # Equal tokens have equal values in the first layer, and no best among them.
    ccf, ids = CCF(make_base(), Adapter.named("none:value_norm")), [*range(4, 74)]
    (block,) = ccf.compress(ids, finest=32).blocks[0].values()
    norms = torch.stack(ccf.decoder.read_text(ids).values)[:, 0].norm(dim=-1)
    assert torch.equal(block.positions.long(), norms.topk(3).indices.sort(-1).values)


def test_what_training_teaches_is_refused(plain: CCF, text_ids: Callable) -> None:
    memory = plain.compress(text_ids(60), finest=4)
    for work in (
        lambda: plain.reconstruct(memory),
        lambda: ablate(plain, memory, Cut(slots=frozenset({0}))),
        lambda: plain.encoder,
    ):
        with pytest.raises(AdapterNeeded, match="needs a trained adapter"):
            work()


def test_memories_name_ranking_and_base(bare: Callable, make_base: Callable, text_ids: Callable, ccf: CCF) -> None:
    one, other = bare("llama", "key_norm"), bare("llama", "random")
    assert one.adapter_fingerprint != other.adapter_fingerprint
    assert one.adapter_fingerprint != bare("llama", "key_norm", seed=1).adapter_fingerprint
    assert one.adapter_fingerprint == bare("llama", "key_norm").adapter_fingerprint
    memory = one.compress(text_ids(40))
    for reader in (other, ccf):
        with pytest.raises(MemoryMismatch):
            reader.prefix_for("memory", memory)
    with pytest.raises(AdapterError, match=r"choose .*expected_attention"):
        CCF(make_base(), Adapter.named("none:best"))


def test_the_base_stays_as_it_is(make_base: Callable) -> None:
    base, again = make_base(), make_base()
    CCF(base, Adapter.named("none"))
    assert all(torch.equal(a, b) for a, b in zip(base.model.parameters(), again.model.parameters(), strict=True))
    ids = torch.tensor([[3, 5]])
    assert torch.equal(base.model.get_input_embeddings()(ids), again.model.get_input_embeddings()(ids))


@pytest.mark.parametrize("reader", ["focus", "graded", "full", "repeat_attention"])
def test_other_readers_work_beside_it(plain: CCF, reader: str) -> None:
    text = "The harbour master counted seven ships in the morning. " * 30
    memory, ids = plain.compress(text, finest=1 if reader == "focus" else 4), plain.segment(text).input_ids
    answer = plain.answer("Who counted?", memory, 4, reader=reader, input_ids=ids)
    assert answer.reader == reader and answer.kv_bytes > 0


@pytest.mark.parametrize(
    "command",
    [
        ["info", "--adapter", "none:key_norm"],
        # Our adapter, which is not named, is of another base.
        ["info"],
        ["evaluate", "qa", "--limit", "2", "--ratio", "1", "8", "--reader", "memory", "--adapter", "none"],
        ["bench", "--tokens", "300", "--runs", "1", "--new-tokens", "8", "--adapter", "none"],
    ],
    ids=" ".join,
)
def test_commands_work_without_an_adapter(
    tiny_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main([*command, "--base", str(tiny_folder("qwen2")), "--device", "cpu", "--dtype", "float32"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_an_evaluation_of_reconstructions_says_what_it_needs(
    tiny_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["--base", str(tiny_folder()), "--device", "cpu", "--dtype", "float32", "--adapter", "none:key_norm"]
    assert main(["evaluate", "reconstruct", "--limit", "1", "--reader", "memory", *base]) == 2
    assert "needs a trained adapter" in capsys.readouterr().err
