"""Types that go through the parsers: limits in, drafts between, a `ReadDocument` out."""

from dataclasses import dataclass

from app.parsers.errors import DocumentTooLarge


@dataclass(frozen=True)
class Page:
    """One page of a document.

    `number` counts from 1. `start` and `end` are character offsets into the document's text; a page that was
    skipped because it holds no text has no `Page`.
    """

    number: int
    start: int
    end: int


@dataclass(frozen=True)
class LeftOut:
    """Text that a file holds and its document does not, such as running headers; `what` heads it for the user."""

    what: str
    text: str


@dataclass(frozen=True)
class ReadDocument:
    """Plain text of a document.

    `text` is NFC, with "\\n" as the only line end, never more than two of them in a row, and no control
    character but "\\n" and "\\t". `pages` is empty for kinds that have no fixed pages. `notes` are sentences
    to show to the user: what was skipped, flattened or guessed. `left_out` is the skipped text itself.
    """

    title: str
    text: str
    media_type: str
    pages: tuple[Page, ...]
    notes: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Limits:
    """Upper bounds for one document; a document beyond any of them raises `DocumentTooLarge`."""

    size: int = 50_000_000
    """Bytes of the file."""
    pages: int = 2_000
    characters: int = 10_000_000
    """Characters of the extracted text."""
    zip_entries: int = 10_000
    zip_size: int = 200_000_000
    """Bytes of everything in a zip container together, unpacked."""
    zip_ratio: int = 300
    """Unpacked over packed bytes of one entry of more than a megabyte."""
    seconds: float = 120.0
    """By the clock; `read_in_sandbox` alone keeps it."""
    memory: int = 1_500_000_000
    """Bytes of address space; `read_in_sandbox` alone keeps it, and only where the system can."""

    def check_size(self, size: int) -> None:
        if size > self.size:
            raise DocumentTooLarge(
                f"The file has {size / 1e6:,.1f} MB and the limit is {self.size / 1e6:,.1f} MB; split it into parts."
            )

    def check_pages(self, pages: int) -> None:
        if pages > self.pages:
            raise DocumentTooLarge(
                f"The document has {pages:,} pages and the limit is {self.pages:,}; split it into parts."
            )

    def check_characters(self, characters: int) -> None:
        if characters > self.characters:
            raise DocumentTooLarge(
                f"The document's text is longer than the limit of {self.characters:,} characters; split it into parts."
            )

    def check_zip(self, sizes: list[tuple[int, int]]) -> None:
        """Refuse a bomb by `sizes`: (packed, unpacked) bytes of each entry, as the container declares them."""
        unpacked = sum(size for _, size in sizes)
        bomb = any(size > 1_000_000 and size > self.zip_ratio * max(packed, 1) for packed, size in sizes)
        if bomb or len(sizes) > self.zip_entries or unpacked > self.zip_size:
            raise DocumentTooLarge(
                f"The file unpacks to {unpacked / 1e6:,.0f} MB in {len(sizes):,} parts, more than a document "
                "needs; save its text alone and try again."
            )


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Draft:
    """What a parser hands to `assemble`: raw text by page, not yet normalised.

    `pages` pairs page numbers with text; a kind without pages gives one pair numbered 0. `titles` are
    candidates for the title, the best first.
    """

    pages: tuple[tuple[int, str], ...]
    titles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
