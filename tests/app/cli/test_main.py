"""The command line: one JSON object, the contract's keys, sentences instead of tracebacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import ccf_core
from app.cli.main import main
from app.parsers import LeftOut, ReadDocument
from app.settings import Settings
from app.types import IngestProgress
from app.workbench import Workbench
from ccf_core.memory.file import load_memory

ROOT = Path(__file__).resolve().parents[3]
EVIDENCE = {"title", "filename", "segment", "score", "start", "end", "page", "text"}


@pytest.fixture
def file(tmp_path: Path, prose) -> Path:
    path = tmp_path / "log.txt"
    path.write_text(prose(), encoding="utf-8")
    return path


@pytest.fixture
def options(settings: Settings) -> list[str]:
    return [
        *("--data-dir", str(settings.data_dir), "--adapter", str(settings.adapter)),
        *("--base", str(settings.base), "--device", "cpu", "--dtype", "float32"),
    ]


@pytest.fixture
def run(options: list[str], capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """``run(command, …)``: (exit code, stdout, stderr)."""

    def call(*argv: object, last: Sequence[object] = ()) -> tuple[int, str, str]:
        code = main([*map(str, argv), *options, *map(str, last)])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def as_json(run) -> Callable[..., dict]:
    def call(*argv: object) -> dict:
        code, out, _ = run(*argv, "--json")
        assert code == 0
        return json.loads(out)

    return call


def test_an_adapter_of_another_base_is_used_where_that_is_allowed(run, file, settings: Settings, tmp_path) -> None:
    adapter = ccf_core.Adapter.load(settings.adapter)
    replace(adapter, config=replace(adapter.config, base="0" * 64)).save(tmp_path / "foreign")
    # The last of an option given twice counts.
    foreign = ["--adapter", tmp_path / "foreign"]
    code, _, told = run("compress", file, last=foreign)
    assert code == 2 and "--allow-other-base" in told.splitlines()[-1]
    assert run("compress", file, last=[*foreign, "--allow-other-base"])[0] == 0


def test_memories_are_stored_in_the_dtype_that_is_asked_for(as_json, file, tmp_path) -> None:
    out = tmp_path / "log.safetensors"
    sizes = []
    for dtype in ("bfloat16", "int8", "int4"):
        told = as_json("compress", file, "--memory-dtype", dtype, "--out", out)
        assert load_memory(out).dtype == dtype
        # Each is made of the one before.
        assert told["from_cache"] == (dtype != "bfloat16")
        sizes.append(load_memory(out).nbytes)
    assert sizes == sorted(sizes, reverse=True)


def test_compress(as_json, file, settings: Settings, tmp_path, encoded) -> None:
    first = as_json("compress", file, "--out", tmp_path / "log.safetensors")
    assert list(first) == [
        *("document_sha256", "title", "filename", "tokens", "segments", "slots"),
        *("seconds", "tokens_per_s", "stored_bytes", "from_cache"),
    ]
    assert list(first["slots"]) == ["4", "8", "16", "32"]
    assert (first["title"], first["filename"]) == ("log", "log.txt")
    assert (first["from_cache"], sum(encoded)) == (False, first["tokens"])
    memory = load_memory(tmp_path / "log.safetensors")
    assert (memory.ratio, memory.slots) == (4, first["slots"]["4"])
    encoded.clear()
    again = as_json("compress", file)
    assert (again["from_cache"], encoded) == (True, [])
    with Workbench(settings) as workbench:
        assert [d.sha256 for d in workbench.library.documents()] == [first["document_sha256"]]
        assert workbench.library.documents()[0].stored_bytes == first["stored_bytes"]


def test_read_prints_the_text_and_what_is_left_out_of_it(run, as_json, file, monkeypatch, encoded) -> None:
    left_out = (LeftOut("Running headers", "Harbour log, page 1"),)
    document = ReadDocument("Log", "The fog.", "text/plain", (), ("A header was left out.",), left_out)
    monkeypatch.setattr("app.documents.ingest.read_in_sandbox", lambda data, name, **told: document)
    code, out, err = run("read", file)
    assert (code, err) == (0, "A header was left out.\n")
    assert out == "The fog.\n--- left out, not compressed: Running headers\nHarbour log, page 1\n"
    found = as_json("read", file)
    assert (found["text"], found["filename"]) == ("The fog.", "log.txt")
    assert found["left_out"] == [{"what": "Running headers", "text": "Harbour log, page 1"}]
    assert encoded == []


def test_reconstruct(as_json, file, settings: Settings) -> None:
    found = as_json("reconstruct", file, "--ratio", 8)
    assert list(found) == ["ratio", "rouge_l", "segments"]
    assert found["ratio"] == 8
    assert {frozenset(one) for one in found["segments"]} == {frozenset({"index", "text", "reconstruction", "rouge_l"})}
    assert "".join(one["text"] for one in found["segments"]) == file.read_text(encoding="utf-8")
    with Workbench(settings) as workbench:
        (document,) = workbench.library.documents()
        weighted = sum(one.rouge_l * one.tokens for one in workbench.fidelity.reconstruct_all(document.sha256, 8))
    assert found["rouge_l"] == pytest.approx(weighted / document.tokens)
    chosen = as_json("reconstruct", file, "--segments", 4, 2)
    assert [one["index"] for one in chosen["segments"]] == [4, 2]
    assert chosen["segments"][1] == found["segments"][2]


@pytest.mark.parametrize("reader", ["memory", "focus", "full", "repeat_attention", "graded"])
def test_ask(as_json, file, reader, settings: Settings) -> None:
    answer = as_json("ask", file, "Where were the ships?", "--ratio", 16, "--reader", reader)
    assert list(answer) == [
        *("answer", "reader", "ratio", "evidence", "timings", "kv_bytes", "full_kv_bytes"),
    ]
    assert (answer["reader"], answer["ratio"]) == (reader, 16)
    assert list(answer["timings"]) == ["load_s", "first_token_s", "tokens_per_s"]
    assert all(set(item) == EVIDENCE | ({"ratio"} if reader == "focus" else set()) for item in answer["evidence"])
    assert bool(answer["evidence"]) == (reader in ("memory", "focus", "graded"))
    with Workbench(settings) as workbench:
        sha256 = workbench.library.documents()[0].sha256
        *_, same = workbench.asking.ask("Where were the ships?", [sha256], 16, reader)
    assert (answer["answer"], answer["kv_bytes"]) == (same.text, same.kv_bytes)


def test_compare(as_json, run, file) -> None:
    found = as_json("compare", file, "Where were the ships?", "--settings", "32x", "none", "full")
    assert list(found) == ["question", "answers"]
    assert [one["setting"] for one in found["answers"]] == ["full", "32x", "none"]
    keys = ["setting", "answer", "error", "timings", "kv_bytes", "full_kv_bytes"]
    assert all(list(one) == keys for one in found["answers"])
    assert found["answers"][1]["kv_bytes"] < found["answers"][0]["kv_bytes"]
    code, out, _ = run("compare", file, "Where were the ships?", "--settings", "32x")
    assert (code, out.startswith("32x: ")) == (0, True)


def test_ingest(as_json, tmp_path, prose) -> None:
    folder = tmp_path / "papers"
    (folder / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "one.txt").write_text(prose(50, 1), encoding="utf-8")
    (folder / "deep" / "two.md").write_text(prose(50, 2), encoding="utf-8")
    (folder / "same.txt").write_text(prose(50, 1), encoding="utf-8")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "picture.pdf").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    (folder / ".hidden" / "three.txt").write_text(prose(50, 3), encoding="utf-8")
    done = as_json("ingest", folder)
    assert list(done) == ["documents", "tokens", "cached", "failed", "seconds"]
    assert (done["documents"], done["cached"]) == (2, 1)
    assert [item["file"] for item in done["failed"]] == ["empty.txt", "picture.pdf"]
    assert all(item["reason"].endswith(".") for item in done["failed"])
    assert as_json("ingest", folder)["cached"] == 3


def test_words_for_people(run, file) -> None:
    code, out, err = run("compress", file)
    assert code == 0
    assert "segments" in out and "32x" in out
    assert "memory:" in err
    code, out, _ = run("ask", file, "Where were the ships?")
    assert code == 0
    assert "bytes of cache held" in out
    code, out, _ = run("reconstruct", file, "--segments", 0)
    assert code == 0
    assert "--- reconstruction" in out
    code, out, _ = run("ingest", file.parent)
    assert code == 0
    assert "documents" in out


def test_notes_go_to_stderr(run, tmp_path) -> None:
    short = tmp_path / "short.pdf"
    short.write_text("xyz", encoding="utf-8")
    code, out, err = run("ask", short, "What?", "--json")
    assert code == 0
    assert json.loads(out)["ratio"] == 8
    assert "read itself" in err
    assert "name suggests another kind" in err


def last_line(err: str) -> str:
    return err.strip().splitlines()[-1]


def test_what_the_caller_can_mend_is_one_sentence_and_code_2(run, file, tmp_path, monkeypatch) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "blank").mkdir()
    (tmp_path / "blank" / "blank.txt").write_bytes(b" ")
    for argv, sentence in [
        (("compress", tmp_path / "missing.txt"), "No such file"),
        (("compress", tmp_path), "directory"),
        (("compress", tmp_path / "blank" / "blank.txt"), "The file is empty"),
        (("compress", file, "--out", tmp_path / "nowhere" / "m.safetensors"), "another folder"),
        (("ask", file, " "), "There is no question"),
        (("ask", file, "What?", "--ratio", 7), "4, 8, 16, 32"),
        (("compare", file, "What?", "--settings", "7x"), "no setting '7x'"),
        (("reconstruct", file, "--ratio", 7), "4, 8, 16, 32"),
        (("reconstruct", file, "--segments", 99), "no segment 99"),
        (("ingest", empty), "no files"),
        (("ingest", file), "is no folder"),
        (("ingest", tmp_path / "blank"), "None of the 1 files"),
    ]:
        code, out, err = run(*argv)
        assert (code, out) == (2, ""), argv
        assert sentence in last_line(err)
        assert "Traceback" not in err
    monkeypatch.setenv("CCF_MAX_TOKENS", "lots")
    code, out, err = run("compress", file)
    assert (code, out) == (2, "")
    assert err.startswith("CCF_MAX_TOKENS must be")


def test_a_missing_adapter_is_one_sentence(options, file, tmp_path, capsys) -> None:
    assert main(["compress", str(file), *options, "--adapter", str(tmp_path / "none")]) == 2
    assert "There is no adapter in" in last_line(capsys.readouterr().err)


@pytest.mark.parametrize("argv", [[], ["compress"], ["ask", "x", "y", "--reader", "guess"], ["sing"]])
def test_wrong_arguments_are_one_sentence_and_code_2(argv, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("--help.\n") and err.count("\n") == 1


def test_ctrl_c_keeps_what_was_stored(run, file, settings: Settings, monkeypatch) -> None:
    from app.cli.progress import Meter

    def interrupt(self: Meter, step: IngestProgress) -> None:
        if step.stage == "memory" and step.done >= 64:
            raise KeyboardInterrupt

    monkeypatch.setattr(Meter, "step", interrupt)
    code, out, err = run("compress", file, "--json")
    assert (code, out) == (130, "")
    assert "goes on from there" in last_line(err)
    monkeypatch.undo()
    with Workbench(replace(settings)) as workbench:
        workbench.model.load()
        (document,) = workbench.library.documents()
        assert (document.state, document.compressed_segments) == ("partial", 2)
    assert run("compress", file)[0] == 0


def python(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv], cwd=ROOT, env=os.environ | env, capture_output=True, text=True, check=False
    )


def test_help_is_light() -> None:
    code = "import sys; import app.cli.main; sys.argv[1:] = ['--help']\ntry: app.cli.main.main()\nfinally: "
    done = python("-c", code + "print(sorted({'torch', 'gradio', 'transformers'} & sys.modules.keys()))")
    assert done.returncode == 0
    assert "compress a file" in done.stdout
    assert done.stdout.endswith("[]\n")


@pytest.mark.slow
def test_as_a_program_set_up_by_the_environment(settings: Settings, file) -> None:
    done = python(
        *("-m", "app", "compress", str(file), "--json"),
        CCF_DATA=str(settings.data_dir),
        CCF_ADAPTER=str(settings.adapter),
        CCF_BASE=str(settings.base),
        CCF_DEVICE="cpu",
        CCF_DTYPE="float32",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["segments"] == 11
    with Workbench(settings) as workbench:
        assert len(workbench.library.documents()) == 1
