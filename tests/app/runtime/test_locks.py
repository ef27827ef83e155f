"""FairLock: one at a time, in rotation, given up when cancelled."""

from __future__ import annotations

import threading

import pytest

from app.errors import Busy
from app.runtime.locks import BACKGROUND, BUSY_AT, MAX_PER_VISITOR, FairLock, KeyedLock
from ccf_core import Cancelled


def queued(
    turns: FairLock, name: str, order: list[str], visitor: str = "", background: bool = False
) -> threading.Thread:
    """A thread that has asked for its turn by the time this returns."""
    asked = threading.Event()

    def look() -> bool:
        asked.set()
        return False

    def work() -> None:
        BACKGROUND.set(background)
        with turns.hold(look, visitor):
            order.append(name)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert asked.wait(60)
    return thread


def test_turns_come_in_the_order_of_asking() -> None:
    turns, order = FairLock(), list[str]()
    with turns.hold():
        threads = [queued(turns, name, order) for name in "abcd"]
        assert order == []
    # Whoever has just had a turn stands at the end.
    with turns.hold():
        order.append("again")
    for thread in threads:
        thread.join(60)
    assert order == ["a", "b", "c", "d", "again"]


def test_visitors_are_served_in_rotation() -> None:
    turns, order = FairLock(), list[str]()
    with turns.hold(visitor="many"):
        threads = [queued(turns, f"many {i}", order, "many", background=True) for i in range(20)]
        threads += [queued(turns, name, order, name) for name in ("one", "two")]
        threads += [queued(turns, "one again", order, "one"), queued(turns, "nobody", order)]
        assert [turns.ahead(visitor) for visitor in ("one", "two", "many", "else")] == [1, 2, 4, None]
    for thread in threads:
        thread.join(60)
    # One question behind twenty gets the next turn.
    assert order[:6] == ["one", "two", "nobody", "many 0", "one again", "many 1"]
    assert order[6:] == [f"many {i}" for i in range(2, 20)]


def test_short_turns_come_first() -> None:
    turns, order = FairLock(), list[str]()

    def short() -> None:
        with turns.hold(asked.set, "b", short=True):
            order.append("short")

    with turns.hold(visitor="a"):
        threads = [queued(turns, name, order, name[0]) for name in ("a", "b", "c")]
        for _ in range(2):
            asked = threading.Event()
            threads.append(threading.Thread(target=short, daemon=True))
            threads[-1].start()
            assert asked.wait(60)
    for thread in threads:
        thread.join(60)
    assert order == ["short", "short", "b", "c", "a"]


def test_one_visitor_may_wait_for_a_few_turns_alone() -> None:
    turns, order = FairLock(), list[str]()
    with turns.hold(visitor="other"):
        threads = [queued(turns, str(i), order, "mine") for i in range(MAX_PER_VISITOR)]
        with (
            pytest.raises(Busy, match=rf"busy, 1 ahead of you, and {MAX_PER_VISITOR} of your requests wait"),
            turns.hold(visitor="mine"),
        ):
            pytest.fail("the turn was taken")
        threads += [queued(turns, "yours", order, "yours"), queued(turns, "job", order, "mine", background=True)]
    for thread in threads:
        thread.join(60)
    assert order == ["0", "yours", "1", "2", "3", "job"]
    with turns.hold(visitor="mine"):
        assert turns.ahead("mine") is None


def test_of_many_who_wait_nobody_waits_twice() -> None:
    turns, order = FairLock(), list[str]()
    with turns.hold():
        threads = [queued(turns, str(i), order, str(i)) for i in range(BUSY_AT)]
        with pytest.raises(Busy, match="busy, 8 ahead of you, and 1 of your requests waits"), turns.hold(visitor="7"):
            pytest.fail("the turn was taken")
        threads.append(queued(turns, "late", order, "late"))
        assert turns.ahead("late") == BUSY_AT + 1
    for thread in threads:
        thread.join(60)
    assert order == [*map(str, range(BUSY_AT)), "late"]


def test_one_holder_at_a_time() -> None:
    turns, inside, most = FairLock(), 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with turns.hold():
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)


def test_waiting_can_be_given_up() -> None:
    turns = FairLock()
    with turns.hold(), pytest.raises(Cancelled), turns.hold(lambda: True):
        pytest.fail("the turn was taken")
    with turns.hold(lambda: True):
        pass  # nobody to wait for
    with turns.hold():
        assert True


def test_an_error_inside_ends_the_turn() -> None:
    turns = FairLock()
    with pytest.raises(KeyError), turns.hold():
        raise KeyError
    order: list[str] = []
    with turns.hold():
        order.append("next")
    assert order == ["next"]


def test_a_turn_may_end_in_another_thread() -> None:
    turns = FairLock()
    turn = turns.hold()
    turn.__enter__()
    thread = threading.Thread(target=lambda: turn.__exit__(None, None, None))
    thread.start()
    thread.join()
    order: list[str] = []
    with turns.hold():
        order.append("next")
    assert order == ["next"]


def test_keys_do_not_wait_for_each_other() -> None:
    turns = KeyedLock()
    with turns.hold("a"):
        assert (turns.busy("a"), turns.busy("b")) == (True, False)
        with turns.hold("b"):
            assert turns.busy("b")
        with pytest.raises(Cancelled), turns.hold("a", lambda: True):
            pytest.fail("the turn was taken")
        assert turns.busy("a")
    assert not turns.busy("a")
