import pytest

from store import Store, StoreBusy


def test_a_block_is_kept_whole_or_not_at_all(store, add):
    with store.transaction():
        first = add("first")
        add("second")
    assert len(store.documents.list()) == 2
    with pytest.raises(ZeroDivisionError), store.transaction():
        add("third")
        store.memories.put_many(first.sha256, "aa", [(0, 4, b"x")])
        _ = 1 / 0
    assert len(store.documents.list()) == 2
    assert store.stats().blobs == 0


def test_a_block_sees_its_own_writes(store, add):
    with store.transaction():
        document = add("text")
        store.memories.put_many(document.sha256, "aa", [(0, 4, b"x")])
        assert store.memories.get(document.sha256, "aa", None, [4]) == {(0, 4): b"x"}


def test_a_failed_inner_block_leaves_the_outer_one(store, add):
    with store.transaction():
        add("outer")
        with pytest.raises(ZeroDivisionError), store.transaction():
            add("inner")
            _ = 1 / 0
    assert [d.characters for d in store.documents.list()] == [5]
    assert len(store.documents.search("outer")) == 1
    assert store.documents.search("inner") == []


def test_readers_do_not_wait_for_a_writer(path, store, add):
    with Store(path) as other, store.transaction():
        add("not yet there")
        assert other.documents.list() == []
    assert len(store.documents.list()) == 1


def test_a_writer_that_waits_too_long_says_so(path, store, add):
    with Store(path, busy_timeout_s=0.05) as impatient:
        with store.transaction():
            add("first")
            with pytest.raises(StoreBusy, match="try again in a moment"):
                impatient.documents.add("second", title="t", media_type="text/plain")
        impatient.documents.add("second", title="t", media_type="text/plain")
    assert len(store.documents.list()) == 2


def test_reading_works_while_the_note_of_it_cannot_be_written(path, store, add, remember, sql):
    document = add("text")
    remember(document)
    sql("UPDATE memories SET last_used = 0")
    with Store(path, busy_timeout_s=0.05) as other, store.transaction():
        assert len(other.memories.get(document.sha256, "aa", None, [4, 8])) == 2
    assert sql("SELECT last_used FROM memories") == [(0,)]
