"""A table of things by name that are imported when they are first looked up, so that listing the names is cheap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from threading import RLock
from typing import Any, TypeVar, cast

T = TypeVar("T")
#: Torch and transformers import their own parts in circles: two threads at once would find some of them half made.
_IMPORTING = RLock()


def imported(module: str, name: str = "") -> Any:
    """Import a module, one thread at a time; return it, or the thing of that ``name`` in it."""
    with _IMPORTING:
        found = import_module(module)
    return getattr(found, name) if name else found


class Registry(MutableMapping[str, T]):
    """Entries by name, each given as itself, as ``"package.module"`` or as ``"package.module:Name"``."""

    def __init__(self, entries: Mapping[str, str | T]) -> None:
        self._entries: dict[str, str | T] = dict(entries)

    def __getitem__(self, name: str) -> T:
        entry = self._entries[name]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = self._entries[name] = cast(T, imported(module, attribute))
        return entry

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __setitem__(self, name: str, entry: str | T) -> None:
        self._entries[name] = entry

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
