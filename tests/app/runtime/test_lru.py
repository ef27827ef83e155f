"""A cache holds what was used last, and nothing of a document that is deleted."""

from __future__ import annotations

from app.runtime.lru import LruCache


def test_the_value_used_longest_ago_goes_first() -> None:
    cache: LruCache[int] = LruCache(2)
    cache.put(("a", 0), 1)
    cache.put(("b", 0), 2)
    assert cache.get(("a", 0)) == 1
    cache.put(("c", 0), 3)
    assert [cache.get((name, 0)) for name in "abc"] == [1, None, 3]


def test_a_document_is_forgotten_whole() -> None:
    cache: LruCache[int] = LruCache(8)
    for key in (("a", 0), ("a", 1), ("b", 0)):
        cache.put(key, len(key))
    cache.forget("a")
    assert [cache.get(key) for key in (("a", 0), ("a", 1), ("b", 0))] == [None, None, 2]
