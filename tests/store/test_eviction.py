import logging

import pytest

from store import Store

LEVELS = (4, 8, 16, 32)


@pytest.fixture
def store(path):
    with Store(path, memory_cap_bytes=1000) as opened:
        yield opened


def age(sql, document, seconds):
    sql(
        "UPDATE memories SET last_used = last_used - ? WHERE document_id = (SELECT id FROM documents WHERE sha256 = ?)",
        seconds,
        document.sha256,
    )


def test_the_least_recently_used_memory_goes_first(store, add, remember, sql, caplog):
    old, older, new = add("old"), add("older"), add("new")
    remember(old)
    remember(older)
    age(sql, old, 1000)
    age(sql, older, 2000)
    with caplog.at_level(logging.INFO):
        remember(new)
    sizes = [store.memories.nbytes(d.sha256) for d in (old, older, new)]
    assert sizes == [400, 0, 400]
    assert "400 bytes" in caplog.text


def test_reading_keeps_a_memory(store, add, remember, sql):
    read, unread, new = add("read"), add("unread"), add("new")
    remember(read)
    remember(unread)
    age(sql, read, 2000)
    age(sql, unread, 1000)
    store.memories.get(read.sha256, "aa", [0], [32])
    remember(new)
    assert [store.memories.nbytes(d.sha256) for d in (read, unread, new)] == [400, 0, 400]


def test_reading_writes_at_most_once_a_minute(store, add, remember, sql):
    document = add("text")
    remember(document)
    [before] = sql("SELECT last_used FROM memories")
    store.memories.get(document.sha256, "aa", None, LEVELS)
    assert sql("SELECT last_used FROM memories") == [before]
    age(sql, document, 61)
    store.memories.get(document.sha256, "aa", None, LEVELS)
    assert sql("SELECT last_used FROM memories") >= [before]


def test_a_whole_memory_goes_and_others_of_the_same_document_stay(store, add, remember, sql):
    document, new = add("two models"), add("new")
    remember(document, "aa")
    remember(document, "bb")
    sql("UPDATE memories SET last_used = last_used - 1000 WHERE model_key = 'bb'")
    remember(new)
    assert store.memories.nbytes(document.sha256, "aa") == 400
    assert store.memories.missing(document.sha256, "bb", 1, LEVELS) == [0]


def test_the_document_being_written_stays_even_over_the_cap(store, add, remember):
    small, large = add("small"), add("large")
    remember(small)
    remember(large, "aa", segments=3)
    remember(large, "bb", segments=3)
    assert store.memories.nbytes(large.sha256) == 2400
    assert store.memories.nbytes(small.sha256) == 0


def test_documents_are_never_evicted(store, add, remember, sql):
    documents = [add(f"text {n}") for n in range(20)]
    for document in documents:
        remember(document)
    assert len(store.documents.list()) == 20
    assert [store.documents.text(d.sha256) for d in documents] == [f"text {n}" for n in range(20)]
    assert store.memories.nbytes() <= 1000
    assert store.stats().blobs == 8
    assert sql("SELECT sum(length(data)) FROM blobs") == [(store.memories.nbytes(),)]


def test_without_a_cap_nothing_goes(path):
    with Store(path) as store:
        for n in range(20):
            document = store.documents.add(f"text {n}", title="t", media_type="text/plain")
            store.memories.put_many(document.sha256, "aa", [(0, 4, b"x" * 1000)])
        assert store.memories.nbytes() == 20_000


def test_a_lower_cap_takes_effect_at_the_next_write(path, store, add, remember):
    first, second = add("first"), add("second")
    remember(first)
    remember(second)
    with Store(path, memory_cap_bytes=100) as tighter:
        tighter.memories.put_many(second.sha256, "aa", [(1, 4, b"")])
    assert store.memories.nbytes(first.sha256) == 0
    assert store.memories.nbytes(second.sha256) == 400
