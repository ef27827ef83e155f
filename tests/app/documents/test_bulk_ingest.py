"""A folder comes in by one process or by several: the same keys, one writer, and nothing is done twice."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from app.documents.bulk_ingest import Piece, shares
from app.runtime.distributed import Processes
from app.settings import Settings
from app.workbench import Workbench
from ccf_core import Block
from ccf_core.memory.segments import Segmented, Span

ROOT = Path(__file__).resolve().parents[3]
#: Contents of two runs agree within so many int8 steps; a step is 1/127 of the largest number of its vector.
STEPS = 2


#: ``python -m app``, but the process of rank 1 is given one more option.
ODD_ONE_OUT = """
import os, sys
from app.cli.main import main
sys.exit(main(sys.argv[3:] + (sys.argv[1:3] if os.environ["RANK"] == "1" else [])))
"""


@pytest.fixture
def folder(tmp_path: Path, prose) -> Path:
    """Eight texts of 200 tokens and more, two of them the same, and a file that is none."""
    made = tmp_path / "papers"
    made.mkdir()
    for seed in range(7):
        (made / f"{seed}.txt").write_text(prose(100 + 17 * seed, seed), encoding="utf-8")
    (made / "again.txt").write_text(prose(100, 0), encoding="utf-8")
    (made / "picture.pdf").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    return made


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``start(processes, folder, …)``: the command as a program; none of its processes outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def run(
        processes: int, folder: Path, into: Settings = settings, program: Sequence[str] = ("-m", "app")
    ) -> subprocess.Popen[str]:
        launch = ["-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--num_machines", "1"]
        launch += ["--num_processes", str(processes), "--mixed_precision", "no", "--dynamo_backend", "no"]
        launch += ["--main_process_port", "0"]
        options = ["--data-dir", str(into.data_dir), "--adapter", str(into.adapter), "--base", str(into.base)]
        options += ["--device", "cpu", "--dtype", "float32", "--json"]
        one = subprocess.Popen(
            [sys.executable, *(launch if processes > 1 else []), *program, "ingest", str(folder), *options],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(one)
        return one

    yield run
    for one in started:
        kill(one)
        one.communicate()


def kill(run: subprocess.Popen[str]) -> None:
    """Kill a launcher and what it started, workers first, without a chance to tidy up."""
    with suppress(psutil.NoSuchProcess):
        launcher = psutil.Process(run.pid)
        for process in [*launcher.children(recursive=True), launcher]:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def counts(said: str) -> tuple[int, int, int]:
    """(segments encoded, segments in all, processes) as the command says."""
    found = re.search(r"(\d+) of (\d+) segments were encoded, by (\d+) process", said)
    assert found, said
    return int(found[1]), int(found[2]), int(found[3])


def floats(block: Block) -> tuple[torch.Tensor, torch.Tensor]:
    return block.floating(torch.float32, "cpu")


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference, in units of the largest number of its vector."""
    return max(((a - b).abs().amax(-1) / a.abs().amax(-1).clamp_min(1e-6)).flatten().tolist(), default=0.0)


def test_two_processes_store_what_one_stores(start, folder, settings: Settings, sql, tmp_path) -> None:
    alone = replace(settings, data_dir=tmp_path / "alone")
    runs = start(1, folder, alone), start(2, folder)
    (one, said_by_one), (two, said_by_two) = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said_by_two
    first, second = json.loads(one), json.loads(two)
    assert list(second) == ["documents", "tokens", "cached", "failed", "seconds"]
    assert first | {"seconds": 0} == second | {"seconds": 0}
    assert (second["documents"], second["cached"]) == (7, 1)
    assert [item["file"] for item in second["failed"]] == ["picture.pdf"]
    assert (counts(said_by_one)[2], counts(said_by_two)[2]) == (1, 2)
    assert counts(said_by_one)[:2] == counts(said_by_two)[:2]
    by_two = sql("SELECT key, nbytes FROM memory_parts ORDER BY key")
    with closing(sqlite3.connect(alone.database)) as db:
        assert by_two == db.execute("SELECT key, nbytes FROM memory_parts ORDER BY key").fetchall()
    with Workbench(alone) as left, Workbench(settings) as right:
        for document in left.library.documents():
            ours, theirs = (one.memories.recall(document.sha256, 4).memory for one in (left, right))
            assert theirs.header == ours.header
            pairs = zip(ours.parts(), theirs.parts(), strict=True)
            for (*place, mine), (*same_place, theirs) in pairs:
                assert place == same_place
                assert max(map(apart, floats(mine), floats(theirs))) <= STEPS / 127


def test_other_batches_give_the_same_contents(workbench: Workbench, folder, settings: Settings, tmp_path) -> None:
    workbench.folders.ingest(folder, Processes(), lambda *_: None)
    with Workbench(replace(settings, data_dir=tmp_path / "alone")) as alone:
        for path in sorted(folder.glob("*.txt")):
            sha256 = alone.intake.ingest_file(path).document.sha256
            pairs = zip(
                alone.memories.recall(sha256, 4).memory.parts(),
                workbench.memories.recall(sha256, 4).memory.parts(),
                strict=True,
            )
            for (*place, mine), (*same_place, theirs) in pairs:
                assert place == same_place
                assert max(map(apart, floats(mine), floats(theirs))) <= STEPS / 127


def test_an_interrupted_run_keeps_what_is_stored(workbench: Workbench, folder, sql, encoded) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if done > total / 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workbench.folders.ingest(folder, Processes(), interrupt)
    stored = sql("SELECT count(DISTINCT memory_id || '-' || segment) FROM memory_parts")[0][0]
    encoded.clear()
    taken = workbench.folders.ingest(folder, Processes(), lambda *_: None)
    assert 0 < taken.encoded_segments == len(encoded) == segments_of(workbench) - stored
    assert stored > 0
    assert (taken.files, len(taken.documents), list(taken.failed)) == (8, 7, ["picture.pdf"])


def segments_of(workbench: Workbench) -> int:
    return sum(len(workbench.library.segments(document.sha256)) for document in workbench.library.documents())


def test_a_document_that_is_deleted_meanwhile_is_told_and_the_others_go_on(workbench: Workbench, folder) -> None:
    def delete(what: str, done: int, total: int) -> None:
        for document in workbench.library.documents():
            if done and document.title == "3":
                workbench.library.delete(document.sha256)

    taken = workbench.folders.ingest(folder, Processes(), delete)
    assert list(taken.failed) == ["picture.pdf", "3.txt"]
    assert (taken.files, len(taken.documents)) == (7, 6)
    assert {document.state for document in workbench.library.documents()} == {"ready"}


def test_a_killed_run_goes_on_with_what_is_missing(start, prose, sql, settings: Settings, tmp_path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for seed in range(40):
        (folder / f"{seed}.txt").write_text(prose(900, seed), encoding="utf-8")
    killed = start(2, folder)
    # Told once a tenth is stored.
    assert any(line.startswith("memory: ") for line in killed.stderr)
    kill(killed)
    killed.wait()
    stored = sql("SELECT count(DISTINCT memory_id || '-' || segment) FROM memory_parts")[0][0]
    again = start(2, folder)
    out, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    now, segments, _ = counts(said)
    assert 0 < now < segments
    assert (now, json.loads(out)["documents"]) == (segments - stored, 40)
    with Workbench(settings) as workbench:
        workbench.model.load()
        assert {document.state for document in workbench.library.documents()} == {"ready"}


def test_a_process_that_fails_ends_all_with_a_sentence(start, folder, settings: Settings, tmp_path) -> None:
    script = tmp_path / "odd.py"
    script.write_text(ODD_ONE_OUT, encoding="utf-8")
    run = start(2, folder, program=(str(script), "--adapter", "nowhere"))
    out, said = run.communicate(timeout=300)
    assert (run.returncode != 0, out) == (True, "")
    assert said.count("Process 1 of 2 failed (") == 1
    assert said.count("mend that and run the command again; what is stored is kept.") == 1
    with Workbench(settings) as workbench:
        assert workbench.library.documents() == []


def test_only_ingest_is_spread(start, folder) -> None:
    run = start(2, folder, program=("-m", "app", "compare"))
    out, said = run.communicate(timeout=300)
    assert (run.returncode != 0, out) == (True, "")
    assert "Only ingest is spread over processes: run compare without a launcher." in said


def test_shares_are_full_batches_of_one_length_and_lose_nothing() -> None:
    def document(name: str, tokens: int) -> Segmented:
        spans = tuple(
            Span(name, i, a, min(a + 32, tokens), a, min(a + 32, tokens)) for i, a in enumerate(range(0, tokens, 32))
        )
        return Segmented(name, tuple(range(tokens)), spans)

    documents = [document(str(tokens), tokens) for tokens in range(1, 400, 7)]
    pieces = [Piece(one, index) for one in documents for index in range(len(one.spans))]
    dealt = list(shares(pieces, 8, 32))
    batches = [batch for share in dealt for batch in share]
    assert all(len({len(piece) for piece in batch}) == 1 and len(batch) <= 8 for batch in batches)
    assert all(sum(len(piece) for batch in share for piece in batch) <= 8 * 32 for share in dealt)
    lengths = [len(batch[0]) for batch in batches]
    assert lengths == sorted(lengths, reverse=True)
    flat = [piece for batch in batches for piece in batch]
    assert len(flat) == len(pieces)
    assert {(p.document.sha256, p.index) for p in flat} == {(p.document.sha256, p.index) for p in pieces}
    assert list(shares([], 8, 32)) == []
