import hashlib

import pytest

from store import DocumentNotFound, InvalidText, Store


def test_the_address_is_the_sha256_of_the_utf8_text(add):
    text = "Grüße, 世界 🌍"
    document = add(text, title="gruss.txt", pages=[(0, 5), (5, len(text))], source_bytes=99)
    assert document.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert (document.title, document.media_type) == ("gruss.txt", "text/plain")
    assert (document.text_bytes, document.characters, document.source_bytes) == (
        len(text.encode()),
        len(text),
        99,
    )
    assert document.pages == ((0, 5), (5, len(text)))
    assert (document.tokens, document.segments, document.memory_bytes) == (None, None, 0)


def test_adding_again_returns_the_first_one(store, add):
    first = add("same text", title="first.txt")
    assert add("same text", title="second.txt") == first
    assert store.documents.list() == [first]


@pytest.mark.parametrize("text", ["", "a\0b", "\r\n line ends \n", "é" * 100_000])
def test_text_comes_back_exactly(store, add, text):
    assert store.documents.text(add(text).sha256) == text


def test_text_without_a_utf8_form_is_refused(store, add):
    with pytest.raises(InvalidText, match="save the document as UTF-8"):
        add("broken \ud800 half")
    assert store.documents.list() == []


def test_a_title_from_an_undecodable_file_name_is_kept_readable(add):
    assert add("text", title="caf\udce9.txt").title == "caf?.txt"


def test_the_list_is_newest_first_and_knows_memory_sizes(store, add, remember):
    first, second = add("one"), add("two")
    remember(first, "aa", nbytes=10)
    remember(first, "bb", nbytes=1)
    assert [d.sha256 for d in store.documents.list()] == [second.sha256, first.sha256]
    assert [d.memory_bytes for d in store.documents.list()] == [0, 44]


def test_rename_and_token_counts(store, add):
    document = add("text")
    assert store.documents.rename(document.sha256, "better name").title == "better name"
    assert store.documents.set_tokens(document.sha256, 300, 2).segments == 2
    found = store.documents.get(document.sha256)
    assert (found.title, found.tokens, found.segments) == ("better name", 300, 2)


def test_find_is_none_where_get_raises(store):
    assert store.documents.find("0" * 64) is None
    for use in (store.documents.get, store.documents.text, store.documents.delete):
        with pytest.raises(DocumentNotFound, match="choose one from the library"):
            use("0" * 64)
    with pytest.raises(DocumentNotFound):
        store.documents.rename("0" * 64, "title")
    with pytest.raises(DocumentNotFound):
        store.documents.set_tokens("0" * 64, 1, 1)


def test_reopening_finds_everything(path):
    with Store(path) as store:
        document = store.documents.add("kept", title="kept.txt", media_type="text/plain")
        store.memories.put_many(document.sha256, "aa", [(0, 4, b"memory")])
        chat = store.chats.create("about it", [document.sha256])
        store.chats.append(chat.id, "user", "why?")
        run = store.runs.add("bench", {"tokens": 1}, {"seconds": 2.0})
    with Store(path) as store:
        assert store.documents.text(document.sha256) == "kept"
        assert store.memories.get(document.sha256, "aa", None, [4]) == {(0, 4): b"memory"}
        assert [m.content for m in store.chats.messages(chat.id)] == ["why?"]
        assert store.runs.list() == [run]


def test_the_name_of_the_file_and_what_was_left_out_of_it_are_kept(store, add):
    parts = [("Navigation", "Home\nNews"), ("Running headers", "Page 1 \ud800")]
    document = add("text", filename="rep\udce9.pdf", left_out=parts)
    assert (document.filename, store.documents.get(document.sha256).filename) == ("rep?.pdf", "rep?.pdf")
    assert store.documents.left_out(document.sha256) == [("Navigation", "Home\nNews"), ("Running headers", "Page 1 ?")]


def test_text_without_a_file_has_neither(store, add):
    document = add("text")
    assert (document.filename, store.documents.left_out(document.sha256)) == ("", [])
    with pytest.raises(DocumentNotFound):
        store.documents.left_out("0" * 64)


def test_what_was_not_known_of_the_file_is_filled_in_and_nothing_is_replaced(store, add):
    add("text")
    assert add("text", filename="a.pdf").filename == "a.pdf"
    document = add("text", filename="b.pdf", left_out=[("Menu", "one")])
    assert (document.filename, store.documents.left_out(document.sha256)) == ("a.pdf", [("Menu", "one")])
    again = add("text", filename="c.pdf", left_out=[("Menu", "two")])
    assert (again, store.documents.left_out(again.sha256)) == (document, [("Menu", "one")])


def test_what_was_left_out_counts_as_used(store, add):
    add("text", left_out=[("Menu", "word " * 1000)])
    assert 5000 < store.usage().nbytes < 5100
