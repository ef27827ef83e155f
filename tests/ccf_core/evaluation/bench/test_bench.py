"""What ``bench`` counts and tells; how long anything takes is not asserted."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ccf_core import CCF
from ccf_core.__main__ import main
from ccf_core.base.load import load_base
from ccf_core.evaluation.bench.roofline import Counts, matrices, matrix_products
from ccf_core.evaluation.bench.table import markdown
from ccf_core.evaluation.bench.timing import TurnTimes, clock_of, per_token, time_in_turns, timed

TOKEN_BYTES = 2 * 2 * 2 * 8 * 4  # layers, key and value, heads, head_dim, float32


def operations(work: Callable[[], object]) -> int:
    """As torch counts them: attention is two products over every pair, seen or not."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Callable[..., Path], make_adapter: Callable):
    base, adapter = tiny_folder(), tmp_path_factory.mktemp("adapter")
    make_adapter(load_base(base, device="cpu", dtype="float32").model).save(adapter)
    return ["--base", str(base), "--adapter", str(adapter), "--device", "cpu", "--dtype", "float32"]


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_operations_are_those_that_torch_counts(make_ccf: Callable[..., CCF], text_ids: Callable, family: str) -> None:
    ccf = make_ccf(family)
    counts = Counts.of(ccf.decoder)
    tokens, slots, hidden = 32, 8, 32
    pairs = (tokens + slots) ** 2
    pooling = 2 * slots * tokens * hidden
    counted = operations(lambda: ccf.encoder.encode([text_ids(tokens)], 4))
    assert counts.stack(tokens + slots, pairs) + pooling == counted
    seen = (tokens + slots) * (tokens + slots + 1) // 2
    assert counts.compress(ccf, [tokens, tokens], 4) == 2 * counts.stack(tokens + slots, seen)
    assert counts.prefill(100) == counts.stack(100, 5050)
    products, expected = matrix_products(ccf.decoder, 10)
    assert operations(products) == expected == 2 * 10 * counts.layer


def test_every_matrix_of_a_token_is_counted_once(make_ccf: Callable[..., CCF]) -> None:
    ccf = make_ccf()
    held = sum(w.nbytes for w in matrices(ccf.decoder))
    own = [p.nbytes for name, p in ccf.model.named_parameters() if p.ndim == 2]
    assert held == Counts.of(ccf.decoder).weight_bytes == sum(own)
    assert Counts.of(ccf.decoder).decode_bytes(10) == held + 10 * TOKEN_BYTES


def test_the_first_token_is_bound_by_what_takes_longer(make_ccf: Callable[..., CCF]) -> None:
    counts = Counts.of(make_ccf().decoder)
    assert counts.first_token_s(5, 100, 1e30, 2.0) == counts.decode_bytes(100) / 2
    operations = counts.stack(5, 5 * 100 + 15) + 2 * counts.head
    assert counts.first_token_s(5, 100, 2.0, 1e30) == operations / 2


def test_ratios_are_taken_turn_by_turn() -> None:
    measured = TurnTimes({"a": [1.0, 20.0, 3.0], "b": [2.0, 10.0, 12.0]})
    assert measured.ratio("a", "b") == 0.5
    assert measured.ratio("b", "a") == 2.0
    assert (measured.median("a"), measured.median("b"), measured.count) == (3.0, 10.0, 3)


def test_works_take_turns_after_one_to_warm_up() -> None:
    done: list[str] = []
    clock = itertools.count()

    def work(name: str) -> Callable[[], float]:
        return lambda: done.append(name) or float(next(clock))

    measured = time_in_turns({"a": work("a"), "b": work("b")}, 3, 1e9)
    assert done == ["a", "b"] * 4
    assert measured.seconds == {"a": [2.0, 4.0, 6.0], "b": [3.0, 5.0, 7.0]}
    done.clear()
    assert time_in_turns({"a": work("a")}, 3, 0).seconds == {"a": [8.0]}
    assert done == ["a"]


def test_a_cpu_is_timed_by_the_wall_or_by_what_it_gave() -> None:
    assert clock_of(torch.device("cpu")) is time.perf_counter
    assert clock_of(torch.device("cpu"), cpu_time=True) is time.process_time
    ticks = itertools.count(5, 3).__next__
    done: list[str] = []
    assert timed(ticks, lambda: done.append("work"))() == 3 and done == ["work"]


def test_tokens_are_timed_one_by_one(ccf: CCF, text_ids: Callable) -> None:
    prefix = ccf.decoder.prefix(ccf.compress(text_ids(40)))
    clock, numbers = itertools.count().__next__, itertools.count(100)
    seconds = per_token(clock, ccf.decoder, prefix, [5, 6], 3, numbers.__next__)
    assert seconds == {"token": [1, 1, 1], "between": [100, 101, 102]}


def test_figures_stand_beside_their_bounds(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, folders: list[str]
) -> None:
    page = tmp_path / "speed.md"
    argv = ["bench", "--tokens", "200", "320", "--ratio", "8", "--runs", "2", "--new-tokens", "3", "--documents", "3"]
    assert main([*argv, "--prefill-up-to", "300", "--markdown", str(page), *folders]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["ratio"], result["finest"], result["device"], result["dtype"]) == (8, 4, "cpu", "float32")
    assert min(result["machine"].values()) > 0
    assert page.read_text(encoding="utf-8") == markdown(result)
    assert page.read_text(encoding="utf-8").count("\n| ") == len(result["figures"]) + 1
    assert str(tmp_path) not in json.dumps(result)
    found = {(figure["figure"], figure["tokens"]): figure for figure in result["figures"]}
    assert len(found) == len(result["figures"])
    names = {name for name, tokens in found if tokens == 200}
    assert names == {
        "compress_over_prefill", "first_over_prefill", "compress_share_of_matrix_rate", "prefill_share_of_matrix_rate",
        "decode_over_matrix_vector", "decode_over_full", "held_over_full",
    }  # fmt: skip
    assert {name for name, tokens in found if tokens == 320} == names - {"prefill_share_of_matrix_rate"}
    for (name, tokens), figure in found.items():
        unread = tokens == 320 and name in ("compress_over_prefill", "first_over_prefill")
        assert (figure["measured"] is None) == unread
        assert figure["bound"] > 0 and figure["turns"] == (6 if name.startswith(("decode", "held")) else 2)
    held = found["held_over_full", 200]
    assert held["of"] == {"memory_bytes": 25 * TOKEN_BYTES, "full_bytes": 200 * TOKEN_BYTES}
    assert held["measured"] == held["bound"] == 0.125
    [batch] = [figure for figure in result["figures"] if figure["figure"] == "batch_share_of_matrix_rate"]
    assert 300 <= batch["tokens"] <= 600 and batch["of"]["documents_per_s"] > 0


def test_an_untrained_adapter_can_be_measured(capsys: pytest.CaptureFixture[str], folders: list[str]) -> None:
    argv = ["bench", "--tokens", "40", "--runs", "1", "--new-tokens", "2", "--documents", "1", "--finest", "8"]
    assert main([*argv, "--untrained", "--cpu-time", *folders]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["finest"] == 8 and len(result["figures"]) == 8
