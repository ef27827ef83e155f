"""What every family of bases can do, on tiny ones: load, compress, ask, train 20 steps, evaluate."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from ccf_core import CCF
from ccf_core.__main__ import main
from ccf_core.base.load import load_base
from tests.families import FAMILIES

TEXT = "The harbour master counted seven ships in the morning, and Oslo sold 1984 of them for $3 each. " * 12
QUESTION = "Who counted the ships?"


@dataclass(frozen=True)
class Trained:
    """Folders of a base and of the adapter that was trained for it, and rows of text and questions."""

    base: Path
    run: Path
    text: Path
    questions: Path

    @property
    def options(self) -> list[str]:
        return ["--base", str(self.base), "--device", "cpu", "--dtype", "float32"]


@pytest.fixture(scope="module", params=FAMILIES)
def trained(
    request: pytest.FixtureRequest, family_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """A base of the family with an adapter of 20 steps."""
    folder = tmp_path_factory.mktemp(request.param)
    texts = [{"source": f"s{i % 2}", "text": TEXT[i:]} for i in range(4)]
    questions = [{"context": row["text"], "question": QUESTION, "answers": ["the harbour master"]} for row in texts]
    made = Trained(family_folder(request.param), folder / "run", folder / "text.jsonl", folder / "qa.jsonl")
    for path, rows in ((made.text, texts), (made.questions, questions)):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [
        "train", "--text", str(made.text), "--qa", str(made.questions), "--out", str(made.run), "--made-up", "4",
        "--steps", "20", "--segment-length", "32", "--encoder-rank", "2", "--decoder-rank", "2", "--warmup", "1",
        "--tokens-per-batch", "256", "--learning-rate", "0.01", "--workers", "0", "--log-every", "1",
        "--mix-window", "96", "--mix-long-window", "192", "--mix-long-every", "0",
    ]  # fmt: skip
    assert main([*command, *made.options]) == 0
    return made


@pytest.fixture(scope="module")
def ccf(trained: Trained) -> CCF:
    return CCF.from_pretrained(trained.run / "adapter", trained.base, "cpu", "float32")


def test_it_loads(trained: Trained, ccf: CCF) -> None:
    base = load_base(trained.base, device="cpu", dtype="float32")
    assert (ccf.config.base, ccf.config.tokenizer) == (base.fingerprint, base.tokenizer_fingerprint)
    new = base.new_config()
    assert (ccf.config.repeat_token, ccf.config.chat_template) == (new.repeat_token, new.chat_template)
    assert ccf.tokenizer.decode(ccf.segment(TEXT).input_ids) == TEXT


def test_it_compresses(ccf: CCF) -> None:
    memory = ccf.compress(TEXT)
    assert [memory.at(ratio).slots for ratio in (4, 32)] == [ccf.segment(TEXT).slots(ratio) for ratio in (4, 32)]
    written = ccf.reconstruct_ids(memory)
    assert [len(ids) for ids in written] == [len(span) for span in memory.spans]
    assert ccf.config.repeat_token not in {token for ids in written for token in ids}


def test_it_answers(ccf: CCF) -> None:
    memory, ids = ccf.compress(TEXT), ccf.segment(TEXT).input_ids
    for reader in ("memory", "full", "none"):
        *pieces, last = ccf.answer(QUESTION, memory, 8, stream=True, reader=reader, input_ids=ids)
        assert "".join(pieces).strip() == last.text
    assert ccf.answer(QUESTION, memory.at(8), 8).kv_bytes == memory.at(8).nbytes


def test_it_learns(trained: Trained, ccf: CCF) -> None:
    log = [json.loads(line) for line in (trained.run / "log.jsonl").read_text().splitlines()]
    assert len(log) == 20
    nats = [row["reconstruct_nats"] for row in log]
    assert sum(nats[-5:]) < sum(nats[:5])
    assert all(torch.isfinite(tensor).all() for tensor in ccf.adapter.tensors.values())


def test_it_is_evaluated(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    for task, data, metric in (("reconstruct", trained.text, "rouge_l"), ("qa", trained.questions, "f1")):
        command = ["evaluate", task, "--data", str(data), "--adapter", str(trained.run / "adapter"), "--ratio", "8"]
        assert main([*command, "--limit", "2", *trained.options]) == 0
        rows = json.loads(capsys.readouterr().out)["rows"]
        assert {row["ratio"] for row in rows} >= {8}
        assert all(0 <= row["metrics"][metric] <= 1 for row in rows)
