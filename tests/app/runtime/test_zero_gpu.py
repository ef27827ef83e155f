"""GPUs that are lent by the call, with the package of the platform that lends them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import torch

from app.settings import Settings
from app.workbench import Workbench

ROOT = Path(__file__).parents[3]


def test_on_a_space_of_zero_gpu() -> None:
    """In a process of its own: the package changes torch and gradio for good. See ``zero_gpu/checks.py``."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.app.runtime.zero_gpu.lender",
        "-p",
        "no:cacheprovider",
    ]
    ran = subprocess.run([*command, "tests/app/runtime/zero_gpu/checks.py"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2_000:]


def test_a_process_that_may_be_lent_gpus_keeps_its_own_model_on_the_cpu() -> None:
    lent = Settings.from_env({"SPACES_ZERO_GPU": "true", "CCF_DEVICE": "cuda"})
    assert (lent.lent, lent.device, lent.dtype) == (True, "cpu", "bfloat16")
    own = Settings.from_env({"CCF_DEVICE": "cuda"})
    assert (own.lent, own.device, own.dtype) == (False, "cuda", None)


def test_a_memory_goes_between_processes_as_bytes(workbench: Workbench, prose) -> None:
    memory = workbench.memories.recall(workbench.intake.ingest_text(prose(120)).document.sha256, 4).memory
    data = pickle.dumps(memory)
    assert len(data) < 1.5 * memory.nbytes + 2_000 * sum(1 for _ in memory.parts())
    found = pickle.loads(data)
    assert (found.header, found.spans, found.ratio) == (memory.header, memory.spans, memory.ratio)
    for (_, _, ours), (_, _, theirs) in zip(memory.parts(), found.parts(), strict=True):
        assert all(torch.equal(tensor, theirs.tensors()[name]) for name, tensor in ours.tensors().items())
