"""How much one visitor of a public demo may keep, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.errors import LibraryFull

if TYPE_CHECKING:
    from store import Store


@dataclass(frozen=True)
class Caps:
    """Of one library: ``documents`` stored or waiting, examples too; ``nbytes`` of texts and files that wait."""

    documents: int = 20
    nbytes: int = 20_000_000

    def check(self, store: Store, nbytes: int) -> None:
        """Whether a further document of so many bytes may come in; to be called in the transaction that adds it.

        Raises LibraryFull.
        """
        used = store.usage()
        if used.documents >= self.documents:
            raise LibraryFull(f"This demo keeps {self.documents} documents for you: delete one first.")
        if used.nbytes + nbytes > self.nbytes:
            raise LibraryFull(
                f"This demo keeps {self.nbytes / 1e6:,g} MB for you, of which {used.nbytes / 1e6:,.1f} MB are taken: "
                "delete a document first, or choose a smaller one."
            )


@dataclass(frozen=True)
class Demo:
    """A public place: every visitor has data of their own under ``caps``, deleted ``ttl_s`` seconds after their last
    sign of life. Of more than ``visitors`` the one who has been away longest goes, if away for ``spared_s``.
    """

    caps: Caps = Caps()
    ttl_s: float = 24 * 3600.0
    visitors: int = 100
    spared_s: float = 900.0
