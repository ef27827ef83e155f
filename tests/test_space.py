"""The folder of a Space is made of the checkout alone, and is refused if the platform would refuse it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def space(*arguments: str | Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "tools/space.py", *map(str, arguments)], cwd=root, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Space made from a clean clone of this checkout."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    home = tmp_path_factory.mktemp("space")
    clone = home / "clone"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*author, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *command], cwd=clone, check=True)
    made = space(home / "space", root=clone)
    assert (made.returncode, made.stderr) == (0, "")
    (clone / "new.py").write_text("")
    refused = space(home / "other", root=clone)
    assert (refused.returncode, "Commit your changes first" in refused.stderr) == (2, True)
    return home / "space"


def test_a_space_has_what_the_platform_asks_for(prepared: Path) -> None:
    readme = (prepared / "README.md").read_text(encoding="utf-8")
    for line in ("sdk: gradio", 'python_version: "3.12"', "license: apache-2.0", "app_file: app.py"):
        assert f"\n{line}\n" in readme
    assert "\ntorch==2.11.0\n" in "\n" + (prepared / "requirements.txt").read_text()
    assert not (prepared / "tests").exists()
    assert all(path.stat().st_size <= 9_000_000 for path in prepared.rglob("*") if path.is_file())


def test_a_space_runs_on_what_is_in_it(prepared: Path) -> None:
    code = (
        "import app.ui.page, app.demo.snapshot; from app.settings import Settings;"
        "from app.documents.examples import examples;"
        "s = Settings.from_env({'SPACE_ID': 'a/b'}); assert s.demo and s.adapter.is_dir() and examples()"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=prepared, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


FAULTS = {
    "large.safetensors": (b"0" * 9_000_001, "more than 9,000,000 bytes"),
    "assets/pointer.txt": (b"version https://git-lfs.github.com/spec/v1\n", "pointer of git LFS"),
    "data.db": (b"x", "does not belong"),
    "README.md": (b"# No front matter\n", "lacks license"),
    "requirements.txt": (b"torch>=2.8\n", "one version of torch"),
    "app/broken.py": (b"def :\n", "Not Python"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_the_platform_would_refuse_is_named(prepared: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "space"
    shutil.copytree(prepared, folder)
    (folder / name).write_bytes(FAULTS[name][0])
    checked = space("--check", folder)
    assert checked.returncode == 2
    assert FAULTS[name][1] in checked.stderr
