"""Collections hold documents, never nothing."""

import pytest

from store import DocumentNotFound


def listed(store):
    return {c.name: c.documents for c in store.collections.list()}


def test_a_document_is_in_exactly_the_collections_given(store, add):
    one, two = add("one"), add("two")
    store.collections.set(one.sha256, ["law", "Art", "law"])
    store.collections.set(two.sha256, ["law"])
    assert listed(store) == {"Art": (one.sha256,), "law": (two.sha256, one.sha256)}
    assert [c.name for c in store.collections.list()] == ["Art", "law"]
    store.collections.set(one.sha256, ["law"])
    assert listed(store) == {"law": (two.sha256, one.sha256)}
    store.collections.set(one.sha256, [])
    assert listed(store) == {"law": (two.sha256,)}


def test_a_collection_goes_with_its_last_document(store, add, sql):
    one, two = add("one"), add("two")
    store.collections.set(one.sha256, ["law"])
    store.collections.set(two.sha256, ["law"])
    store.documents.delete(one.sha256)
    assert listed(store) == {"law": (two.sha256,)}
    store.documents.delete(two.sha256)
    assert sql("SELECT * FROM collections") == sql("SELECT * FROM collection_documents") == []


def test_what_is_not_there_is_said(store):
    with pytest.raises(DocumentNotFound):
        store.collections.set("0" * 64, ["law"])
    assert listed(store) == {}
