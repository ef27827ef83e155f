"""Whatever a file holds, its reader gives a document that keeps its promises, or an error that says what to do."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from app.parsers import KINDS, Limits, ReadDocument, ReadError, read, read_in_sandbox
from tests.app.parsers.any_files import BY_KIND, NAMES, whole

#: What turns the order of letters around, and what cannot be seen.
DECEPTIVE = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff\U000e0041"


def check(data: bytes, name: str) -> None:
    try:
        document = read(data, name)
    except ReadError as error:
        assert type(error) is not ReadError
        assert str(error)[0].isupper()
        assert str(error).endswith(".")
        assert str(error).isprintable()
    else:
        check_promises(document)


def check_promises(document: ReadDocument) -> None:
    text = document.text
    assert text.strip()
    assert text == text.strip("\n")
    assert "\n\n\n" not in text
    assert unicodedata.is_normalized("NFC", text)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in text)
    assert not any("\ufdd0" <= c <= "\ufdef" for c in text)
    assert 0 < len(document.title) <= 120
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in DECEPTIVE for c in document.title)
    assert document.media_type in {kind.media_type for kind in KINDS}
    ends = [0, *(offset for page in document.pages for offset in (page.start, page.end)), len(text)]
    assert ends == sorted(ends)
    assert [page.number for page in document.pages] == sorted({page.number for page in document.pages})
    assert all(note.endswith(".") for note in document.notes)


@pytest.mark.parametrize("kind", BY_KIND)
@given(data=st.data())
def test_files_of_its_kind(kind: str, data: st.DataObject) -> None:
    check(data.draw(BY_KIND[kind]), NAMES[kind])


@pytest.mark.parametrize("kind", NAMES)
@given(data=st.data())
def test_damaged_files(kind: str, data: st.DataObject) -> None:
    """A sound file with a few bytes overwritten, put in or cut out, or cut off altogether."""
    damaged = bytearray(whole(kind))
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(damaged)))
        damaged[start : start + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    check(bytes(damaged[: data.draw(st.just(None) | st.integers(0, len(damaged)))]), NAMES[kind])


@given(data=st.binary(max_size=400), name=st.sampled_from([*NAMES.values(), "a"]), start=st.sampled_from(
    [b"", b"%PDF-1.7\n", b"PK\x03\x04", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"<!doctype html>"]
))  # fmt: skip
def test_any_bytes(data: bytes, name: str, start: bytes) -> None:
    check(start + data, name)


@given(name=st.text(st.characters(codec=None), max_size=300))
@example(name="../../etc/passwd")
@example(name="<script>alert(1)</script>.txt")
@example(name="\u202efdp.exe")
@example(name="\0.txt")
@example(name="\ud800.md")
def test_any_name(name: str) -> None:
    check(b"Words.\nMore words.", name)


@given(kind=st.sampled_from(sorted(BY_KIND)), data=st.data())
@settings(max_examples=settings.default.max_examples // 5)
def test_another_process_gives_the_same(kind: str, data: st.DataObject) -> None:
    content, name = data.draw(BY_KIND[kind]), data.draw(st.sampled_from([NAMES[kind], "\ud800\n"]))
    assume(content.strip())
    limits = Limits(characters=data.draw(st.sampled_from([10, 10_000])))
    outcomes = []
    for door in (read, read_in_sandbox):
        try:
            outcomes.append(door(content, name, limits))
        except ReadError as error:
            outcomes.append((type(error), str(error)))
    assert outcomes[0] == outcomes[1]
