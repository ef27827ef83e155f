"""What can go wrong in a store, one class each; every message says what to do.

It knows nothing of SQLite: `connections` turns SQLite's error codes into these.
"""


class StoreError(RuntimeError):
    """Root of every error that this package raises on purpose."""


class DocumentNotFound(StoreError):
    """No document has this SHA-256, or it was deleted."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"There is no document {sha256[:12]}; choose one from the library or add it again.")


class DocumentDamaged(StoreError):
    """The stored text is not the one that its SHA-256 was made of."""

    def __init__(self, title: str) -> None:
        super().__init__(f"The text of “{title}” is damaged in the database; add the same file again to mend it.")


class ChatNotFound(StoreError):
    """No chat has this number, or it was deleted."""

    def __init__(self, chat: int) -> None:
        super().__init__(f"There is no chat {chat}; choose another one or start a new one.")


class JobNotFound(StoreError):
    """No job has this number, or it was dismissed."""

    def __init__(self, job: int) -> None:
        super().__init__(f"There is no job {job} any more; add the file again.")


class InvalidText(StoreError):
    """A document's text has no UTF-8 form (lone surrogates), so it has no content address."""

    def __init__(self) -> None:
        super().__init__("The text is not valid Unicode; save the document as UTF-8 and add it again.")


class StoreUnavailable(StoreError):
    """The file cannot be used: not a database, another program's, newer, damaged, read-only, or closed."""


class StoreDamaged(StoreUnavailable):
    """Pages of the file are not what SQLite wrote; `rescue` takes what is sound into a new file."""


class StoreBusy(StoreUnavailable):
    """Another writer held the database for longer than the busy timeout; the same call may succeed later."""
