import pytest

from store import DocumentNotFound, Store, memory_key

LEVELS = (4, 8, 16, 32)


def test_parts_come_back_as_they_went_in(store, add):
    document = add("text").sha256
    store.memories.put_many(document, "aa", [(0, 4, b"\x00\xff four")])
    store.memories.put_many(document, "aa", [(0, 8, b"")])
    assert store.memories.get(document, "aa", [0], [4, 8]) == {(0, 4): b"\x00\xff four", (0, 8): b""}


def test_get_narrows_to_segments_and_levels(store, add, remember):
    document = add("text")
    remember(document, "aa", segments=3)
    get = store.memories.get
    assert list(get(document.sha256, "aa", [2, 0], [32, 8])) == [(0, 8), (0, 32), (2, 8), (2, 32)]
    assert len(get(document.sha256, "aa", None, LEVELS)) == 12
    assert get(document.sha256, "aa", [], LEVELS) == {}
    assert get(document.sha256, "aa", [7], LEVELS) == {}
    assert get(document.sha256, "another model", None, LEVELS) == {}


def test_a_part_written_again_is_replaced(store, add):
    document = add("text").sha256
    store.memories.put_many(document, "aa", [(0, 4, b"old and long")])
    store.memories.put_many(document, "aa", [(0, 4, b"new")])
    assert store.memories.get(document, "aa", None, [4]) == {(0, 4): b"new"}
    assert store.memories.nbytes() == 3
    assert store.stats().blobs == 1


def test_missing_names_segments_that_lack_a_level(store, add, remember):
    document = add("text")
    remember(document, "aa", segments=2)
    store.memories.put_many(document.sha256, "aa", [(3, 32, b"coarse only")])
    assert store.memories.missing(document.sha256, "aa", 4, LEVELS) == [2, 3]
    assert store.memories.missing(document.sha256, "aa", 4, [32]) == [2]
    assert store.memories.missing(document.sha256, "aa", 1, LEVELS) == []
    assert store.memories.missing(document.sha256, "bb", 2, LEVELS) == [0, 1]


def test_put_many_keeps_all_or_nothing(store, add):
    document = add("text").sha256

    def half():
        yield 0, 4, b"a"
        yield 0, 8, b"b"
        raise InterruptedError("the model stopped")

    with pytest.raises(InterruptedError):
        store.memories.put_many(document, "aa", half())
    with pytest.raises(Exception, match="NOT NULL"):
        store.memories.put_many(document, "aa", [(0, 4, b"a"), (0, None, b"b")])
    assert store.memories.get(document, "aa", None, LEVELS) == {}
    assert store.memories.missing(document, "aa", 1, [4]) == [0]
    assert store.stats().blobs == 0


def test_put_many_of_nothing_is_nothing(store, add):
    document = add("text").sha256
    store.memories.put_many(document, "aa", [])
    assert store.memories.get(document, "aa", None, LEVELS) == {}


def test_nbytes_by_document_model_and_level(store, add, remember):
    one, two = add("one"), add("two")
    remember(one, "aa", segments=2, nbytes=10)
    remember(one, "bb", nbytes=1)
    remember(two, "aa", nbytes=5)
    nbytes = store.memories.nbytes
    assert nbytes() == 80 + 4 + 20
    assert nbytes(one.sha256) == 84
    assert nbytes(model_key="aa") == 100
    assert nbytes(one.sha256, "aa", levels=[8, 16, 32]) == 60
    assert nbytes(levels=[32]) == 20 + 1 + 5
    assert nbytes("0" * 64) == 0


def test_delete_one_model_or_all(store, add, remember):
    one, two = add("one"), add("two")
    for document in (one, two):
        remember(document, "aa")
        remember(document, "bb")
    store.memories.delete(one.sha256, "aa")
    assert store.memories.nbytes(one.sha256, "aa") == 0
    assert store.memories.nbytes(one.sha256, "bb") == 400
    store.memories.delete(one.sha256)
    store.memories.delete(one.sha256)
    assert (store.memories.nbytes(one.sha256), store.memories.nbytes(two.sha256)) == (0, 800)
    assert store.stats().blobs == 8


def test_an_unknown_document_has_no_memories(store: Store):
    unknown = "0" * 64
    for use in (
        lambda: store.memories.put_many(unknown, "aa", [(0, 4, b"")]),
        lambda: store.memories.get(unknown, "aa", None, LEVELS),
        lambda: store.memories.missing(unknown, "aa", 1, LEVELS),
        lambda: store.memories.delete(unknown),
    ):
        with pytest.raises(DocumentNotFound):
            use()


def test_every_part_of_the_name_is_in_the_key(store):
    names = [("d", "m", 0, 4), ("e", "m", 0, 4), ("d", "n", 0, 4), ("d", "m", 1, 4), ("d", "m", 0, 8)]
    keys = {memory_key(*name) for name in names}
    assert len(keys) == len(names)
    assert all(len(key) == 64 for key in keys)
