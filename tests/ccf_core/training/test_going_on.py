"""Runs that are stopped and gone on with: by the same base and settings, or not at all; and what they tell."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from ccf_core.__main__ import main
from ccf_core.base.load import load_base
from ccf_core.errors import TrainingError
from ccf_core.model.adapter import Adapter
from ccf_core.training.checkpoint import load_portable
from ccf_core.training.checks import OtherBase
from ccf_core.training.config import TrainingConfig
from ccf_core.training.data.dataset import tokenize_rows
from ccf_core.training.loop import train
from tests.ccf_core.training.command import arguments, log, rows_of


@pytest.fixture(scope="module")
def folders(tiny_folder) -> tuple[Path, Path]:
    """Two bases of one shape."""
    return tiny_folder("llama"), tiny_folder("llama", seed=1)


@pytest.fixture
def stopped(folders, texts, tmp_path, capsys) -> Path:
    """A run on the first base, stopped after one of four steps."""
    out = tmp_path / "run"
    assert main(arguments(folders[0], texts, out, "--steps", "4", "--max-seconds", "0")) == 0
    said = capsys.readouterr().err
    assert "Stopped after step 1 of 4, as --max-seconds says; the same command goes on from there." in said
    return out


def fingerprint(folder: Path) -> str:
    return load_base(folder, device="cpu").fingerprint


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_run_goes_on_whatever_the_id_of_its_repeat_token(folders, texts, stopped):
    config = stopped / "portable" / "ccf.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"repeat_token": 320}))
    assert main(arguments(folders[0], texts, stopped, "--steps", "4")) == 0
    assert Adapter.load(stopped / "adapter").config.repeat_token == 3


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--base", "{other}"], "trains on another base model"),
        (["--base", "{other}", "--allow-other-base"], "--start .*portable --allow-other-base"),
        (["--seed", "3"], "was drawn from seed 0: give --seed 0"),
        (["--encoder-rank", "3"], "has encoder_rank 2, not 3"),
        (["--segment-length", "64"], "has segment_length 32, not 64"),
        (["--targets", "q_proj"], "has targets"),
    ],
)
def test_a_run_goes_on_as_it_began_or_not_at_all(folders, texts, stopped, capsys, more, says):
    before = bytes_of(stopped)
    more = [value.format(other=folders[1]) for value in more]
    assert main(arguments(folders[0], texts, stopped, "--steps", "4", *more)) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert re.search(says, said)
    assert bytes_of(stopped) == before


@pytest.mark.parametrize("option", ["--start", "--resume"])
def test_an_adapter_of_another_base_is_gone_on_with_only_if_asked_for_and_recorded(
    folders, texts, stopped, tmp_path, capsys, option
):
    out = tmp_path / "new"
    given = arguments(folders[1], texts, out, "--steps", "4", option, str(stopped / "portable"))
    assert main(given) == 2
    theirs, own = (Path(folder).name for folder in folders[:2])
    assert f"was trained on another base model than {own}, on {theirs}: give" in capsys.readouterr().err
    assert not list(out.glob("*"))
    for _ in range(2):  # a second time it has nothing left to do, and keeps the record
        assert main([*given, "--allow-other-base"]) == 0
        assert json.loads((out / "run.json").read_text())["start"] == {
            "adapter": Adapter.load(stopped / "portable").fingerprint,
            "base": fingerprint(folders[0]),
            "tokenizer": load_base(folders[0], device="cpu").tokenizer_fingerprint,
        }
        assert Adapter.load(out / "adapter").config.base == fingerprint(folders[1])
    assert "Nothing is left to do: the run is at step 4 of 4." in capsys.readouterr().err


def test_a_reader_of_another_base_teaches_only_if_asked_for(folders, texts, stopped, tmp_path):
    base = load_base(folders[1], device="cpu", dtype="float32")
    data = tokenize_rows(rows_of(texts), [], base.tokenizer, end_token=2)
    reader = Adapter.load(stopped / "adapter")
    run = TrainingConfig(steps=1, workers=0, tokens_per_batch=512, warmup=0)
    with pytest.raises(OtherBase):
        train(base, data, reader.config, run, tmp_path / "new", reader=reader)
    trained = train(base, data, reader.config, run, tmp_path / "new", reader=reader, allow_other_base=True)
    assert trained.config.base == base.fingerprint


def test_a_base_may_move_between_two_parts_of_a_run(folders, texts, stopped, tmp_path):
    moved = shutil.copytree(folders[0], tmp_path / "moved")
    assert main(arguments(str(moved), texts, stopped, "--steps", "4")) == 0
    assert Adapter.load(stopped / "adapter").config.base_name == "moved"


@pytest.mark.parametrize("name", ["state.json", "weights.safetensors", "portable/ccf.json"])
def test_a_damaged_checkpoint_is_told(folders, texts, stopped, capsys, name):
    (stopped / name).write_bytes(b"{")
    assert main(arguments(folders[0], texts, stopped, "--steps", "4")) == 2
    assert "The checkpoint in" in capsys.readouterr().err


def test_a_damaged_cursor_is_told(stopped):
    (stopped / "portable" / "cursor.json").write_text('{"step": "one"}')
    with pytest.raises(TrainingError, match="is damaged"):
        load_portable(stopped / "portable")


def test_the_log_has_each_step_once_however_a_run_was_stopped(folders, texts, stopped):
    checks = ("--held-out", str(texts), "--validate-every", "2", "--validation-batches", "1")
    with (stopped / "log.jsonl").open("a") as file:  # as by a process that is killed, later than its checkpoint
        file.write('{"step": 2, "tokens": 5}\n{"step": 3, "tok')
    (stopped / "validation.jsonl").write_text('{"step": 2}\n')
    assert main(arguments(folders[0], texts, stopped, "--steps", "4", *checks)) == 0
    assert [row["step"] for row in log(stopped)] == [1, 2, 3, 4]
    assert log(stopped)[1]["tokens"] != 5
    scores = rows_of(stopped / "validation.jsonl")
    assert [row["step"] for row in scores] == [2, 4]
    assert len(scores[0]) > 1


def test_a_run_without_a_checkpoint_begins_its_log_anew(folders, texts, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    assert main(arguments(folders[0], texts, tmp_path / "run", "--steps", "2")) == 0
    assert [row["step"] for row in log(tmp_path / "run")] == [1, 2]
    assert all("tokens" in row for row in log(tmp_path / "run"))


def test_a_deadline_that_ends_a_run_is_told_and_so_is_the_saved_adapter(folders, texts, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(arguments(folders[0], texts, out, "--steps", "4", "--deadline", "0")) == 0
    said = capsys.readouterr().err
    assert "Stopped after step 1 of 4, for --deadline." in said
    assert f"adapter {Adapter.load(out / 'adapter').fingerprint[:12]} in {out / 'adapter'}" in said


def test_a_run_adds_a_coarser_level_to_the_adapter_it_starts_from(folders, texts, stopped, tmp_path, capsys):
    begin = ["--start", str(stopped / "portable"), "--steps", "1", "--ratios", "4", "8", "16", "32", "64"]
    out = tmp_path / "wider"
    assert main(arguments(folders[0], texts, out, *begin)) == 2
    assert "--mix-ratios must be a share for each of the ratios 4, 8, 16, 32, 64" in capsys.readouterr().err
    assert main(arguments(folders[0], texts, out, *begin, "--mix-ratios", *[".2"] * 5)) == 0
    assert Adapter.load(out / "adapter").config.ratios == (4, 8, 16, 32, 64)
