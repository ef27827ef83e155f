"""A copy of a database holds all that was stored, and what is used is told."""

import pytest

from store import Store, StoreUnavailable


def test_a_copy_is_whole_and_on_its_own(store, add, tmp_path):
    first = add("seven ships")
    store.memories.put_many(first.sha256, "m", [(0, 4, b"blob")])
    path = tmp_path / "copy.db"
    store.copy_to(path)
    add("written later")
    with Store(path) as copy:
        assert [document.sha256 for document in copy.documents.list()] == [first.sha256]
        assert copy.memories.get(first.sha256, "m", None, [4]) == {(0, 4): b"blob"}
        assert [hit.document.sha256 for hit in copy.documents.search("ships")] == [first.sha256]
        copy.documents.delete(first.sha256)
    assert store.documents.find(first.sha256)
    store.copy_to(path)
    with Store(path) as copy:
        assert len(copy.documents.list()) == 2
    assert not list(tmp_path.glob("*.partial"))


def test_a_copy_that_cannot_be_written_is_a_sentence(store, add, tmp_path):
    add("text")
    with pytest.raises(StoreUnavailable, match="choose another path"):
        store.copy_to(tmp_path / "nowhere" / "copy.db")


def test_usage_counts_documents_and_files_that_wait(store, add):
    assert (store.usage().documents, store.usage().nbytes) == (0, 0)
    add("seven")
    store.jobs.add("a.txt", b"123")
    store.jobs.add("b.txt", b"4567")
    assert (store.usage().documents, store.usage().nbytes) == (3, 5 + 3 + 4)
    running = store.jobs.take()
    assert store.usage().documents == 3
    store.jobs.read(running.id, add("123").sha256)
    assert (store.usage().documents, store.usage().nbytes) == (3, 5 + 3 + 4)
    store.jobs.fail(store.jobs.take().id, "no")
    assert store.usage().documents == 3
