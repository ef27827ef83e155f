"""Whatever page of the file is damaged: what is read is right or the damage is named, and a rescue saves the rest."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import store as package
from store import Store, StoreBusy, StoreDamaged, StoreError, StoreUnavailable
from store.rescue import rescue

LEVELS = (4, 8, 16, 32)
SEGMENTS = 4
PAGE = 4096
WORDS = ("fog", "hid", "seven", "ships", "évening", "rain")
TEXTS = [" ".join(random.Random(n).choices(WORDS, k=2000)) for n in range(3)]
LEFT_OUT = "The harbour master's log. " * 300
Memory = dict[tuple[int, int], bytes]
DAMAGES: list[Callable[[random.Random], bytes]] = [
    lambda rng: bytes(PAGE),
    lambda rng: rng.randbytes(PAGE),
    lambda rng: bytes([rng.randrange(256) for _ in range(12)]),
]


def memory(seed: int) -> Memory:
    rng = random.Random(seed)
    return {(segment, level): rng.randbytes(9000 // level) for segment in range(SEGMENTS) for level in LEVELS}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Documents by SHA-256 with the seed of each one's memory; the file is in ``sound.path``."""
    path = tmp_path_factory.mktemp("sound") / "workbench.db"
    with Store(path) as store:
        found = {}
        for seed, text in enumerate(TEXTS):
            document = store.documents.add(
                text, title=f"Log {seed}", media_type="text/plain", pages=[(0, 9)], filename="log.txt",
                left_out=[("Repeated lines", LEFT_OUT)],
            )  # fmt: skip
            found[document.sha256] = seed
            parts = [(segment, level, data) for (segment, level), data in memory(seed).items()]
            store.memories.put_many(document.sha256, "aa", parts)
            store.collections.set(document.sha256, ["Logs"])
            store.chats.append(store.chats.create("Ships", [document.sha256]).id, "user", "How many?")
            store.jobs.add("log.txt", b"bytes" * 1000)
            store.runs.add("bench", {}, {"seconds": seed})
    return Sound(found, path)


class Sound(dict[str, int]):
    def __init__(self, found: dict[str, int], path: Path) -> None:
        super().__init__(found)
        self.path = path


def damaged(sound: Sound, path: Path, page: int, rng: random.Random) -> None:
    """A copy in which one page is zeros, noise, noise at its head, or off by a few bits."""
    content = bytearray(sound.path.read_bytes())
    start = page * PAGE
    kind = rng.randrange(len(DAMAGES) + 1)
    if kind < len(DAMAGES):
        new = DAMAGES[kind](rng)
        content[start : start + len(new)] = new
    else:
        for _ in range(3):
            content[start + rng.randrange(PAGE)] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def read_all(sound: Sound, store: Store) -> int:
    """Read everything; returns how many readings named a damage. What is read otherwise is asserted to be right."""
    named = 0
    readings: list[Callable[[], object]] = [
        store.documents.list, store.jobs.list, store.runs.list, store.collections.list, store.stats,
        lambda: [store.chats.messages(chat.id) for chat in store.chats.list()],
        lambda: store.documents.search("harbour fog"),
        *(lambda sha=sha: store.memories.missing(sha, "aa", SEGMENTS, LEVELS) for sha in sound),
    ]  # fmt: skip
    for reading in readings:
        try:
            reading()
        except StoreError:
            named += 1
    for sha, seed in sound.items():
        try:
            assert store.documents.text(sha) == TEXTS[seed]
        except StoreError:
            named += 1
        try:
            assert store.documents.left_out(sha) in ([("Repeated lines", LEFT_OUT)], [])
        except StoreError:
            named += 1
        try:
            found = store.memories.get(sha, "aa", None, LEVELS)
            assert found.items() <= memory(seed).items()
            named += len(found.corrupted)
        except StoreError:
            named += 1
    return named


def test_nothing_wrong_is_ever_read_and_the_rest_is_rescued(sound: Sound, tmp_path: Path) -> None:
    """Every page but the first is damaged once, or ``CCF_DAMAGES`` times."""
    pages = sound.path.stat().st_size // PAGE
    rounds = int(os.environ.get("CCF_DAMAGES", "1"))
    path = tmp_path / "workbench.db"
    report = dict.fromkeys(("files", "named", "beyond rescue", "documents", "documents kept", "texts to add again"), 0)
    for page, number in itertools.product(range(1, pages), range(rounds)):
        damaged(sound, path, page, random.Random(page + number * pages))
        report["files"] += 1
        report["documents"] += len(sound)
        try:
            with Store(path) as store:
                report["named"] += read_all(sound, store) > 0
        except StoreDamaged:
            report["named"] += 1
        try:
            rescued = rescue(path)
        except StoreUnavailable:
            report["beyond rescue"] += 1
            continue
        with Store(path) as store:
            kept = len(store.documents.list())
            assert kept == len(sound) or "documents" in rescued.torn
            report["documents kept"] += kept
            report["texts to add again"] += len(rescued.damaged)
            for seed, text in enumerate(TEXTS):
                store.documents.add(text, title=f"Log {seed}", media_type="text/plain")
            with store.transaction() as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert db.execute("PRAGMA foreign_key_check").fetchall() == []
            read_all(sound, store)
            assert read_all(sound, store) == 0
            assert len(store.documents.search("fog")) == len(TEXTS)
        rescued.aside.unlink()
    print(report)
    assert report["named"] > report["files"] / 2
    # Lost is what stands on the page where its row begins, and everything if the list of tables cannot be read.
    assert report["documents kept"] > 0.9 * report["documents"]


def test_a_rescue_is_one_command_that_says_what_it_did(sound: Sound, tmp_path: Path) -> None:
    path = Path(shutil.copy(sound.path, tmp_path))
    content = path.read_bytes()
    place = content.index(TEXTS[1].encode()[-100:])
    path.write_bytes(content[:place] + b"#" + content[place + 1 :])

    def rescue_it() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "store", "rescue", str(path)]
        return subprocess.run(command, cwd=Path(package.__file__).parents[1], capture_output=True, text=True)

    done = rescue_it()
    assert done.returncode == 0, done.stderr
    assert "Taken over: 3 documents, 3 memories, 48 memory_parts, 48 blobs, 3 chats" in done.stdout
    assert "The text of “Log 1” is damaged: add the same file again to mend it." in done.stdout
    assert f"The damaged file is now {path}.damaged." in done.stdout
    again = rescue_it()
    assert (again.returncode, again.stderr) == (
        2,
        f"{path}.damaged is there from an earlier rescue; move it away first.\n",
    )
    with Store(path) as store:
        for sha, seed in sound.items():
            assert store.memories.get(sha, "aa", None, LEVELS) == memory(seed)


def test_a_database_in_use_is_not_rescued(sound: Sound, tmp_path: Path) -> None:
    path = Path(shutil.copy(sound.path, tmp_path))
    with Store(path) as store:
        with pytest.raises(StoreBusy, match="in use"):
            rescue(path)
        assert len(store.documents.list()) == 3
    with pytest.raises(StoreUnavailable, match="There is no file"):
        rescue(tmp_path / "nothing.db")


def test_what_cannot_be_rescued_at_all_is_left_as_it_was(sound: Sound, tmp_path: Path) -> None:
    path = Path(shutil.copy(sound.path, tmp_path))
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes(len(content) - 100))
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match=r"Nothing can be read of .*: move it away or restore a copy"):
        rescue(path)
    assert path.read_bytes()[100:] == before[100:]
    assert not path.with_name(f"{path.name}.damaged").exists()
