"""A bounded memory of what was computed for a segment, which forgets a document when told."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")
#: Document, segment, ratio (0 where it does not matter), key of the model.
Key = tuple[str, int, int, str]


class Remembered(Generic[T]):
    """Holds the ``most`` values last used. May be called from any thread."""

    def __init__(self, most: int) -> None:
        self.most = most
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
            while len(self._values) > self.most:
                self._values.popitem(last=False)

    def forget(self, sha256: str) -> None:
        """Drop everything of a document."""
        with self._lock:
            for key in [key for key in self._values if key[0] == sha256]:
                del self._values[key]
