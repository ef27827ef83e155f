"""A cache of bounded size for what was computed of documents, which drops those that are deleted."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
#: SHA-256 of a document, then whatever else tells its values apart.
Key = tuple[Hashable, ...]


class LruCache(Generic[T]):
    """Holds the ``size`` values last used, by keys that begin with a document. May be called from any thread."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._values: OrderedDict[Key, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> T | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: Key, value: T) -> None:
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self.size:
                self._values.popitem(last=False)

    def forget(self, sha256: str) -> None:
        """Drop all values of a document."""
        with self._lock:
            for key in [key for key in self._values if key[0] == sha256]:
                del self._values[key]
