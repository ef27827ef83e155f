"""The shipped adapter on the real base: what it answers comes from the memory it is given, and from nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ccf_core import CCF, KVMemory, save_memory
from ccf_core.answering.prompt import question_prompt
from ccf_core.metrics import rouge_l

pytestmark = pytest.mark.model

ROOT = Path(__file__).parent.parent
FACTS = [
    (
        "The village of Aldermoor lies on the river Tarn, nine miles north of the coast. Its market was founded in "
        "1482 by a wool merchant named Godfrey Pell, who also paid for the stone bridge. Today the market is held on "
        "Thursdays, and farmers come from three valleys to sell cheese, honey and yarn.",
        "Who founded the market?",
        "Godfrey Pell",
    ),
    (
        "Dr. Maria Lindqvist joined the observatory in 2003 as its youngest astronomer. Six years later she discovered "
        "a comet with a small telescope on the roof of her own house in Uppsala. The comet was named after her "
        "daughter, Astrid, and returns every 74 years.",
        "Where was the house of Maria Lindqvist?",
        "Uppsala",
    ),
    (
        "The Blue Heron was a cargo ship built in Rotterdam. On her last voyage she carried 400 tons of coffee from "
        "Santos to Hamburg. Captain Yusuf Okoro ordered the crew into the boats when the engine room flooded, and all "
        "nineteen sailors were picked up by a fishing vessel the next morning.",
        "What did the ship carry?",
        "400 tons of coffee",
    ),
]

READ_ALONE = """
import json, sys
from ccf_core import CCF, load_memory
from ccf_core.answering.prompt import question_prompt
path, question, answer = sys.argv[1:]
ccf = CCF.from_pretrained("assets/adapter", device="cpu", dtype="float32")
prompt = question_prompt(ccf.tokenizer, question)
target = ccf.tokenizer(answer, add_special_tokens=False)["input_ids"]
print(json.dumps(ccf.decoder.score(ccf.decoder.prefix(load_memory(path)), prompt, target).tolist()))
"""


@pytest.fixture(scope="module")
def ccf() -> CCF:
    return CCF.from_pretrained(ROOT / "assets" / "adapter", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def memories(ccf: CCF) -> list[KVMemory]:
    return [ccf.compress(text).quantize("int8") for text, _, _ in FACTS]


def nats(ccf: CCF, memory: KVMemory | None, question: str, answer: str) -> float:
    """Mean log-probability of the answer's tokens, in nats."""
    prefix = ccf.decoder.prefix(memory) if memory else None
    target = ccf.tokenizer(answer, add_special_tokens=False)["input_ids"]
    return ccf.decoder.score(prefix, question_prompt(ccf.tokenizer, question), target).mean().item()


@pytest.mark.parametrize("ratio", [4, 8])
def test_another_documents_memory_is_worth_no_more_than_none(ccf: CCF, memories: list[KVMemory], ratio: int):
    own = other = none = 0.0
    for i, (_, question, answer) in enumerate(FACTS):
        own += nats(ccf, memories[i].at(ratio), question, answer) / len(FACTS)
        other += nats(ccf, memories[i - 1].at(ratio), question, answer) / len(FACTS)
        none += nats(ccf, None, question, answer) / len(FACTS)
    assert own > other + 1.0
    assert own > none + 1.0
    assert other < none + 0.5 * (own - none)


def test_a_process_with_the_memory_file_alone_scores_the_same(ccf: CCF, memories: list[KVMemory], tmp_path: Path):
    _, question, answer = FACTS[0]
    save_memory(memories[0].at(8), tmp_path / "memory.safetensors")
    command = [sys.executable, "-c", READ_ALONE, str(tmp_path / "memory.safetensors"), question, answer]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    alone = json.loads(done.stdout)
    assert sum(alone) / len(alone) == pytest.approx(nats(ccf, memories[0].at(8), question, answer), abs=1e-3)


@pytest.fixture(scope="module")
def reconstructed(ccf: CCF, memories: list[KVMemory]) -> float:
    """Mean ROUGE-L of the texts, written again from their memories at 4x."""
    scores = [
        rouge_l(ccf.segment(text).input_ids, ccf.reconstruct_ids(memory.at(4))[0])
        for memory, (text, _, _) in zip(memories, FACTS, strict=True)
    ]
    return sum(scores) / len(scores)


def test_short_texts_full_of_names_come_back_for_the_most_part_at_4x(reconstructed: float):
    assert reconstructed > 0.65


@pytest.mark.xfail(raises=AssertionError, strict=True, reason=".70, the adapter before .96: docs/experiments.md")
def test_short_texts_full_of_names_come_back_nearly_whole_at_4x(reconstructed: float):
    assert reconstructed > 0.8


def test_an_answer_is_read_from_the_memory(ccf: CCF, memories: list[KVMemory]):
    right = 0
    for memory, (_, question, answer) in zip(memories, FACTS, strict=True):
        said = ccf.answer(question, memory.at(4), 16)
        assert said.kv_bytes > 0
        right += answer.split()[-1].lower() in said.text.lower()
    assert right >= 2
