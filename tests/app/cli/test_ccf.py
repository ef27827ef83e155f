"""``ccf``: every command under one name, none of which waits for torch to be explained."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.ccf import main
from app.settings import Settings
from ccf_core.__main__ import COMMANDS

HELP = """
import sys
from app.cli.ccf import main
try:
    main(["--help"])
except SystemExit:
    print([name for name in ("torch", "transformers", "gradio", "plotly", "numpy") if name in sys.modules])
"""


def test_help_names_every_command_and_imports_nothing_large() -> None:
    told = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True).stdout
    for command in ("app", "compress", "ask", "reconstruct", "compare", "ingest", *COMMANDS):
        assert f"    {command} " in told or f"    {command}\n" in told
    assert told.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["ask", "no.txt"], "required: QUESTION; see ccf ask --help."),
        (["evaluate", "nothing"], "see ccf evaluate --help."),
        (["fly"], "see ccf --help."),
        (["app", "--fly"], "see ccf --help."),
    ],
)
def test_wrong_arguments_are_answered_in_a_sentence(
    capsys: pytest.CaptureFixture[str], argv: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv)
    assert left.value.code == 2
    assert capsys.readouterr().err.strip().endswith(sentence)


def test_commands_of_both_rooms_are_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["compress", "/no/such/file.txt"]) == 2
    assert "/no/such/file.txt: No such file" in capsys.readouterr().err
    monkeypatch.setattr("ccf_core.evaluation.report.info.main", lambda args: {"asked": args.argv})
    assert main(["info"]) == 0
    assert json.loads(capsys.readouterr().out) == {"asked": ["info"]}


def test_a_folder_of_documents_of_any_kind_becomes_rows_to_train_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ccf_core.training.train.main", lambda args: print(*args.text) or 0)
    folder, out = tmp_path / "documents", tmp_path / "run"
    folder.mkdir()
    (folder / "a.html").write_text("<title>A</title><p>The fog hid <b>seven</b> ships.</p>")
    (folder / "b.pdf").write_bytes(b"%PDF-1.7 broken")
    given = ["train", "--text", "more.jsonl", f"--data={folder}", "--out", str(out)]
    for said in ("not taken: b.pdf: ", "read before: take that file away"):
        assert main(given) == 0
        printed = capsys.readouterr()
        assert printed.out.split() == ["more.jsonl", str(out / "documents.jsonl")]
        assert said in printed.err
    (row,) = map(json.loads, (out / "documents.jsonl").read_text().splitlines())
    assert (row["source"], row["text"]) == ("a.html", "The fog hid seven ships.")
    (folder / "a.html").unlink()
    for data, says in ((folder, "None of the 1 files"), (tmp_path / "nowhere", "is no folder")):
        assert main(["train", "--data", str(data), "--out", str(tmp_path / "other")]) == 2
        assert says in capsys.readouterr().err


def test_app_serves_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.start.main", lambda settings: served.append(settings()) or 7)
    served: list[Settings] = []
    assert main(["app"]) == main(["app", "--base", "a/base", "--adapter", "none"]) == 7
    assert served == [Settings.from_env(), replace(Settings.from_env(), base="a/base", adapter=Path("none"))]
