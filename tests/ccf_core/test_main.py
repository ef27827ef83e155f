"""``python -m ccf_core``: one JSON object on stdout, or one sentence on stderr and exit code 2."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ccf_core
from ccf_core.__main__ import main
from ccf_core.assets import DEFAULT_ADAPTER
from ccf_core.base.load import load_base
from ccf_core.evaluation.report import page as report

TEXT = "The harbour master counted seven ships in the morning, and Oslo hid 1984 of them again. " * 40


@pytest.fixture(scope="module")
def folders(
    tmp_path_factory: pytest.TempPathFactory, tiny_folder: Callable[..., Path], make_adapter: Callable
) -> list[str]:
    """``--base`` and ``--adapter`` of a tiny model, on the CPU."""
    base, adapter = tiny_folder(), tmp_path_factory.mktemp("adapter")
    make_adapter(load_base(base, device="cpu", dtype="float32").model).save(adapter)
    return ["--base", str(base), "--adapter", str(adapter), "--device", "cpu", "--dtype", "float32"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    text = [{"source": f"s{i}", "title": f"t{i}", "text": TEXT[i:]} for i in range(4)]
    qa = [
        {"source": "s", "context": TEXT[i:900], "question": "Who?", "answers": ["the harbour master"]}
        for i in range(15)
    ]
    for name, rows in (("text", text), ("qa", qa)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {name: folder / f"{name}.jsonl" for name in ("text", "qa")}


@pytest.mark.parametrize(
    ("task", "file"),
    [
        ("reconstruct", "text"),
        ("perplexity", "text"),
        ("qa", "qa"),
        ("longqa", "qa"),
        ("needle", "text"),
        ("evidence", "qa"),
    ],
)
def test_evaluate_prints_one_json_object(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    folders: list[str],
    data: dict[str, Path],
    task: str,
    file: str,
) -> None:
    out = tmp_path / "result.json"
    argv = ["evaluate", task, "--data", str(data[file]), "--ratio", "4", "8", "--limit", "2", "--seed", "3"]
    argv += ["--lengths", "200"] if task == "needle" else []
    markdown = tmp_path / "result.md"
    assert main([*argv, "--out", str(out), "--markdown", str(markdown), *folders]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert set(result) == {
        "task", "data", "half", "n", "seed", "adapter", "base", "dtype", "device", "memory_dtype", "decoding",
        "seconds", "command", "rows",
    }  # fmt: skip
    assert json.loads(out.read_text()) == result
    assert markdown.read_text(encoding="utf-8") == report.markdown(result)
    assert printed.err
    assert (result["task"], result["seed"], result["dtype"], result["device"]) == (task, 3, "float32", "cpu")
    assert result["data"]["name"] == data[file].name
    assert len(result["data"]["sha256"]) == 64
    assert str(data[file].parent) not in printed.out
    assert str(tmp_path) not in printed.out
    assert result["command"].startswith(f"python -m ccf_core evaluate {task} --data {data[file].name} --ratio 4 8")
    for row in result["rows"]:
        assert {"reader", "ratio", "metrics", "ci95"} <= row.keys()
        assert row["metrics"].keys() == row["ci95"].keys()


def test_the_same_seed_gives_the_same_rows(
    capsys: pytest.CaptureFixture[str], folders: list[str], data: dict[str, Path]
) -> None:
    argv = ["evaluate", "reconstruct", "--data", str(data["text"]), "--ratio", "8", "--limit", "2", *folders]
    results = []
    for seed in ("1", "1", "2"):
        main([*argv, "--seed", seed])
        results.append(json.loads(capsys.readouterr().out)["rows"])
    assert results[0] == results[1] != results[2]


def test_info_says_what_would_be_used(capsys: pytest.CaptureFixture[str], folders: list[str]) -> None:
    assert main(["info", *folders]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"version", "base", "adapter", "device", "dtype"}
    assert result["version"] == ccf_core.__version__
    assert len(result["adapter"]) == len(result["base"]["fingerprint"]) == 64


def test_an_adapter_of_another_base_is_used_where_that_is_allowed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folders: list[str]
) -> None:
    adapter = ccf_core.Adapter.load(folders[3])
    foreign = dataclasses.replace(adapter.config, base="0" * 64, base_name="org/another")
    dataclasses.replace(adapter, config=foreign).save(tmp_path)
    argv = ["info", *folders, "--adapter", str(tmp_path)]
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(word in line for word in ("org/another", Path(folders[1]).name, "--allow-other-base"))
    assert main([*argv, "--allow-other-base"]) == 0
    monkeypatch.setenv("CCF_ALLOW_OTHER_BASE", "0")
    assert main(argv) == 2
    monkeypatch.setenv("CCF_ALLOW_OTHER_BASE", "1")
    assert main(argv) == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["evaluate", "reconstruct", "--data", "nowhere.jsonl"], "There is no file nowhere.jsonl"),
        (["evaluate", "reconstruct", "--data", "{qa}"], "has no 'text'"),
        (["evaluate", "reconstruct", "--data", "{text}", "--ratio", "5"], "no ratio 5"),
        (["evaluate", "reconstruct", "--data", "{text}", "--reader", "full"], "no reader 'full'"),
        (["evaluate", "reconstruct", "--data", "{text}", "--sources", "x"], "no source 'x'"),
        (["evaluate", "reconstruct", "--data", "{text}", "--adapter", "nowhere"], "no adapter in nowhere"),
        (["evaluate", "reconstruct", "--data", "{text}", "--base", "no/such/model"], "no folder no/such/model"),
        (["evaluate", "reconstruct", "--data", "{text}", "--dtype", "int3"], "int3 is not a dtype"),
        (["evaluate", "reconstruct", "--data", "{text}", "--limit", "0"], "Argument --limit"),
        (["evaluate", "reconstruct", "--data", "{text}", "--out", "no/folder/x.json"], "no folder for x.json"),
        (["evaluate", "reconstruct", "--data", "{text}", "--markdown", "no/folder/x.md"], "no folder for x.md"),
        (["evaluate", "perplexity", "--data", "{text}", "--k", "1"], "--k 1 cannot be measured"),
        (
            ["evaluate", "perplexity", "--data", "{text}", "--yardstick", str(DEFAULT_ADAPTER)],
            "trained on another base",
        ),
        (["report", "nowhere.json", "--out", "results.md"], "nowhere.json is not readable"),
        (["report", "nowhere.json", "--out", "no/folder/results.md"], "no folder for results.md"),
        (["evaluate", "guess", "--data", "{text}"], "invalid choice: 'guess'"),
        (["evaluate", "reconstruct", "--sources", "x"], "choose from 18F/18f.gsa.gov, GSA/digitalgov.gov"),
        (["bench", "--ratio", "7", "--tokens", "50"], "no ratio 7"),
        (["bench", "--ratio", "4", "--finest", "8", "--tokens", "50"], "choose a finer --finest"),
        (["bench", "--tokens", "50", "--markdown", "no/folder/x.md"], "no folder for x.md"),
        (["paint"], "invalid choice: 'paint'"),
        ([], "required: "),
    ],
)
def test_mistakes_end_with_code_2_and_one_sentence(
    capsys: pytest.CaptureFixture[str],
    folders: list[str],
    data: dict[str, Path],
    changes: list[str],
    says: str,
) -> None:
    changes = [value.format(**data) for value in changes]
    # The last of an option given twice counts.
    argv = [*changes[:1], *folders, *changes[1:]] if changes[:1] in (["evaluate"], ["bench"]) else changes
    try:
        code = main(argv)
    except SystemExit as stopped:
        code = stopped.code
    printed = capsys.readouterr()
    assert code == 2
    assert printed.out == ""
    assert says in printed.err
    assert len(printed.err.strip().splitlines()) == 1


@pytest.mark.slow
def test_it_runs_as_a_module(folders: list[str]) -> None:
    root = str(Path(ccf_core.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "ccf_core", "info", *folders],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["device"] == "cpu"


@pytest.mark.slow
def test_train_makes_an_adapter_and_goes_on_from_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, folders: list[str], data: dict[str, Path]
) -> None:
    rows = ["--text", str(data["text"]), "--qa", str(data["qa"])]
    sizes = ["--segment-length", "32", "--encoder-rank", "4", "--decoder-rank", "2"]
    run = [
        *("train", *rows, "--base", folders[1], "--device", "cpu", "--dtype", "float32", "--workers", "0"),
        *("--steps", "2", "--tokens-per-batch", "512", "--mix-window", "128", "--mix-long-window", "256"),
        *("--made-up", "20"),
    ]
    assert main([*run, *sizes, "--out", str(tmp_path / "first"), "--held-out", *rows[1::2]]) == 0
    told = json.loads((tmp_path / "first" / "validation.jsonl").read_text())
    assert told["step"] == 2 and told["reconstruct_nats_4"] > 0
    first = ["--start", str(tmp_path / "first" / "adapter")]
    assert main([*run, *first, "--compressor", "mean_pool", "--out", str(tmp_path / "second")]) == 0
    second = ccf_core.Adapter.load(tmp_path / "second" / "adapter")
    assert (second.config.encoder_rank, second.config.compressor) == (4, "mean_pool")
    assert second.config.base_name == Path(folders[1]).name
    capsys.readouterr()
    assert main([*run, *first, "--encoder-rank", "5", "--out", str(tmp_path / "third")]) == 2
    assert "leave it out" in capsys.readouterr().err
