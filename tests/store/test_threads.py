import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from store import Store, StoreUnavailable
from store.connections import Connections

THREADS, WRITES = 8, 200


def test_eight_threads_lose_nothing(store, add):
    documents = [add(f"text of thread {n}").sha256 for n in range(THREADS)]
    together = threading.Barrier(THREADS)

    def write(document):
        together.wait()
        for segment in range(WRITES):
            store.memories.put_many(document, "aa", [(segment, 4, segment.to_bytes(2, "big"))])

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, documents))
    expected = {(n, 4): n.to_bytes(2, "big") for n in range(WRITES)}
    for document in documents:
        assert store.memories.get(document, "aa", None, [4]) == expected
    assert store.stats().blobs == THREADS * WRITES
    assert store.memories.nbytes() == 2 * THREADS * WRITES


def test_transactions_that_read_before_they_write_do_not_collide(store):
    chat = store.chats.create("counter")
    store.chats.append(chat.id, "user", "0")
    together = threading.Barrier(THREADS)

    def count():
        together.wait()
        for _ in range(20):
            with store.transaction():
                last = int(store.chats.messages(chat.id)[-1].content)
                store.chats.append(chat.id, "user", str(last + 1))

    with ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(count) for _ in range(THREADS)]:
            future.result()
    assert [int(m.content) for m in store.chats.messages(chat.id)] == list(range(THREADS * 20 + 1))


def test_the_same_document_from_many_threads_is_one_document(store, add):
    together = threading.Barrier(THREADS)

    def add_it(number):
        together.wait()
        return add("the same text", title=f"title {number}")

    with ThreadPoolExecutor(THREADS) as pool:
        added = set(pool.map(add_it, range(THREADS)))
    assert added == set(store.documents.list())
    assert len(added) == 1


def test_readers_never_see_a_wrong_part_while_it_is_rewritten(store, add):
    document = add("text").sha256
    store.memories.put_many(document, "aa", [(0, 4, b"0" * 5000)])
    stop = threading.Event()

    def rewrite():
        for number in range(300):
            store.memories.put_many(document, "aa", [(0, 4, str(number % 10).encode() * 5000)])
        stop.set()

    def read():
        seen = []
        while not stop.is_set():
            found = store.memories.get(document, "aa", None, [4])
            seen.append(found.corrupted == [] and len(set(found[0, 4])) == 1)
        return seen

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        pool.submit(rewrite).result()
        assert all(all(reader.result()) for reader in readers)
    assert store.memories.get(document, "aa", None, [4]) == {(0, 4): b"9" * 5000}


def test_closing_closes_the_connections_of_all_threads(path):
    store = Store(path)
    ready, closed = threading.Event(), threading.Event()

    def use():
        before = store.documents.list()
        ready.set()
        closed.wait()
        with pytest.raises(StoreUnavailable, match="was closed"):
            store.documents.list()
        return before

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(use)
        ready.wait()
        store.close()
        closed.set()
        assert future.result() == []
    # SQLite removes its log when the last connection closes.
    assert sorted(path.parent.iterdir()) == [path]


def test_closing_lets_who_reads_finish(path):
    connections = Connections(path)
    with connections.reading() as db:
        rows = db.execute("SELECT name FROM sqlite_master")
        connections.close()
        assert ("documents",) in rows.fetchall()
    with pytest.raises(StoreUnavailable, match="was closed"), connections.reading():
        pass
    assert sorted(path.parent.iterdir()) == [path]
