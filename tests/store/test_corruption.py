import logging

import pytest

from store import DocumentDamaged, StoreDamaged

LEVELS = (4, 8, 16, 32)


@pytest.fixture
def document(add, remember):
    document = add("text")
    remember(document, "aa", segments=3)
    return document.sha256


def spoil(sql, segment, level, statement="UPDATE blobs SET data = ?"):
    where = "WHERE key = (SELECT key FROM memory_parts WHERE segment = ? AND level = ?)"
    values = [b"x" * 100] if "?" in statement else []
    sql(f"{statement} {where}", *values, segment, level)


def test_a_damaged_blob_is_dropped_reported_and_missing(store, sql, document, caplog):
    spoil(sql, 1, 8)
    with caplog.at_level(logging.WARNING):
        found = store.memories.get(document, "aa", None, LEVELS)
    assert found.corrupted == [(1, 8)]
    assert (1, 8) not in found
    assert len(found) == 11
    assert "segment 1, level 8" in caplog.text
    assert store.memories.missing(document, "aa", 3, LEVELS) == [1]
    assert store.stats().blobs == 11
    assert store.memories.nbytes() == 1100


def test_a_damage_is_reported_once_and_can_be_repaired(store, sql, document):
    spoil(sql, 1, 8)
    assert store.memories.get(document, "aa", None, LEVELS).corrupted == [(1, 8)]
    assert store.memories.get(document, "aa", None, LEVELS).corrupted == []
    store.memories.put_many(document, "aa", [(1, 8, b"made again")])
    found = store.memories.get(document, "aa", [1], [8])
    assert (found, found.corrupted) == ({(1, 8): b"made again"}, [])


def test_a_lost_blob_is_damage_too(store, sql, document):
    spoil(sql, 0, 4, "DELETE FROM blobs")
    found = store.memories.get(document, "aa", [0], LEVELS)
    assert found.corrupted == [(0, 4)]
    assert store.memories.missing(document, "aa", 3, LEVELS) == [0]


def test_a_truncated_blob_and_a_swapped_digest_are_damage(store, sql, document):
    spoil(sql, 0, 4, "UPDATE blobs SET data = substr(data, 1, 99)")
    sql("UPDATE memory_parts SET digest = ? WHERE segment = 2 AND level = 32", "0" * 64)
    found = store.memories.get(document, "aa", None, LEVELS)
    assert found.corrupted == [(0, 4), (2, 32)]
    assert store.memories.missing(document, "aa", 3, LEVELS) == [0, 2]


def test_only_what_is_read_is_checked(store, sql, document):
    spoil(sql, 1, 4)
    assert store.memories.get(document, "aa", None, [8, 16, 32]).corrupted == []
    assert store.memories.get(document, "aa", [0, 2], LEVELS).corrupted == []
    assert store.memories.get(document, "aa", [1], [4]).corrupted == [(1, 4)]


def test_a_damaged_text_is_named_and_mended_by_adding_it_again(store, sql, add):
    document = add("The fog hid seven ships.", "Log")
    sql("UPDATE documents SET text = CAST(x'54686520666f67ff20' AS TEXT)")
    with pytest.raises(DocumentDamaged, match="The text of “Log” is damaged in the database; add the same file again"):
        store.documents.text(document.sha256)
    assert [one.title for one in store.documents.list()] == ["Log"]
    assert len(store.documents.search("fog")) == 1
    assert add("The fog hid seven ships.", "Other title") == document
    assert store.documents.text(document.sha256) == "The fog hid seven ships."
    assert len(store.documents.search("seven")) == 1


def test_a_text_that_is_gone_or_of_another_document_is_damage_too(store, sql, add):
    first, second = add("first"), add("second")
    sql("UPDATE documents SET text = 'second' WHERE sha256 = ?", first.sha256)
    sql("UPDATE documents SET text = '' WHERE sha256 = ?", second.sha256)
    for document in (first, second):
        with pytest.raises(DocumentDamaged):
            store.documents.text(document.sha256)


def test_stored_json_that_cannot_be_read_is_a_damaged_file(store, sql, add):
    add("text")
    sql("UPDATE documents SET pages = '[[0,'")
    with pytest.raises(StoreDamaged, match=f'`python -m store rescue "{store.path}"`'):
        store.documents.list()


def test_left_out_text_that_is_damaged_is_named_and_mended_by_adding_the_file_again(store, sql, add):
    document = add("text", "Log", filename="log.html", left_out=[("Menu", "Home")])
    for damage in ("replace(left_out, 'Home', 'Away')", "CAST(x'5b5bff' AS TEXT)"):
        sql(f"UPDATE sources SET left_out = {damage}")
        with pytest.raises(DocumentDamaged, match="add the same file again"):
            store.documents.left_out(document.sha256)
        assert store.documents.text(document.sha256) == "text"
        add("text", filename="log.html", left_out=[("Menu", "Home")])
        assert store.documents.left_out(document.sha256) == [("Menu", "Home")]


def test_a_document_with_a_damaged_text_can_be_deleted(store, sql, add):
    document = add("The fog hid seven ships.", "Log")
    sql("UPDATE documents SET text = CAST(x'54686520666f67ff20' AS TEXT)")
    store.documents.delete(document.sha256)
    assert store.documents.list() == store.documents.search("fog") == []
