"""The order in which memories were used holds, whatever the clock does."""

from __future__ import annotations

import pytest

LEVELS = (4, 8, 16, 32)
DAY = 86_400.0


@pytest.fixture
def clock(monkeypatch):
    """``clock(days)``: from here on it is so many days later, or earlier, than at first."""

    def set_to(days: float) -> None:
        monkeypatch.setattr("store.memories.time.time", lambda: 1_800_000_000.0 + days * DAY)

    set_to(0)
    return set_to


@pytest.mark.parametrize("jump", [-30, 30])
def test_the_least_recently_used_goes_first_after_the_clock_was_set(store, add, remember, clock, jump):
    first, second, third = (add(name) for name in ("first", "second", "third"))
    remember(first)
    clock(1)
    remember(second)
    clock(jump)
    assert len(store.memories.get(first.sha256, "aa", None, LEVELS)) == 4
    store.memories.cap_bytes = 800
    remember(third)
    kept = [document.sha256 for document in store.documents.list() if document.memory_bytes]
    assert kept == [third.sha256, first.sha256]


def test_a_clock_that_ran_ahead_for_a_while_leaves_nothing_behind(store, add, remember, clock):
    ahead, later = add("ahead"), add("later")
    clock(10_000)
    remember(ahead)
    clock(0)
    remember(later)
    store.memories.cap_bytes = 800
    remember(add("newest"))
    assert store.documents.get(ahead.sha256).memory_bytes == 0
    assert len(store.memories.get(later.sha256, "aa", None, LEVELS)) == 4


def test_chats_messages_and_jobs_keep_their_order(store, monkeypatch):
    chat = store.chats.create("Ships")
    for number in range(4):
        monkeypatch.setattr("store.chats.now", lambda number=number: f"20{30 - number}-01-01T00:00:00.000000+00:00")
        monkeypatch.setattr("store.jobs.now", lambda number=number: f"20{30 - number}-01-01T00:00:00.000000+00:00")
        store.chats.append(chat.id, "user", str(number))
        store.jobs.add(str(number), b"")
    assert [message.content for message in store.chats.messages(chat.id)] == list("0123")
    assert [store.jobs.take().name for _ in range(4)] == list("0123")
