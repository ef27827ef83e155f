import pytest

from store import ChatNotFound, DocumentNotFound


def test_messages_come_back_in_order_with_their_meta(store, add):
    document = add("text")
    chat = store.chats.create("a title", [document.sha256])
    meta = {
        "ratio": 8,
        "timings": {"load_s": 0.5},
        "evidence": [{"document": document.sha256, "text": "\ud800é"}],
    }
    question = store.chats.append(chat.id, "user", "why? 🤔")
    answer = store.chats.append(chat.id, "assistant", "because", meta)
    assert store.chats.messages(chat.id) == [question, answer]
    assert (question.role, question.content, question.meta) == ("user", "why? 🤔", {})
    assert (answer.chat_id, answer.meta) == (chat.id, meta)


def test_documents_keep_their_order_and_count_once(store, add):
    one, two = add("one").sha256, add("two").sha256
    chat = store.chats.create("both", [two, one, two])
    assert chat.documents == (two, one)
    assert store.chats.get(chat.id) == chat


def test_the_list_begins_with_the_chat_last_written_to(store):
    first, second = store.chats.create("first"), store.chats.create("second")
    assert [c.id for c in store.chats.list()] == [second.id, first.id]
    store.chats.append(first.id, "user", "again")
    assert [c.title for c in store.chats.list()] == ["first", "second"]
    assert store.chats.get(first.id).updated_at > first.updated_at


def test_rename_and_delete(store, sql):
    chat, other = store.chats.create("old"), store.chats.create("other")
    store.chats.append(chat.id, "user", "hello")
    assert store.chats.rename(chat.id, "new").title == "new"
    store.chats.delete(chat.id)
    assert store.chats.list() == [other]
    assert sql("SELECT count(*) FROM chat_messages") == [(0,)]


def test_an_unknown_chat_is_refused_everywhere(store):
    for use in (
        lambda: store.chats.get(9),
        lambda: store.chats.messages(9),
        lambda: store.chats.append(9, "user", "hello"),
        lambda: store.chats.rename(9, "title"),
        lambda: store.chats.delete(9),
    ):
        with pytest.raises(ChatNotFound, match="start a new one"):
            use()


def test_a_chat_over_an_unknown_document_is_not_made(store, add):
    known = add("text").sha256
    with pytest.raises(DocumentNotFound):
        store.chats.create("title", [known, "0" * 64])
    assert store.chats.list() == []


def test_text_that_utf8_cannot_carry_is_kept_readable(store):
    chat = store.chats.create("half \ud800")
    assert chat.title == "half ?"
    assert store.chats.append(chat.id, "user", "\udfff!").content == "?!"


def test_meta_that_is_not_json_is_refused(store):
    chat = store.chats.create("title")
    with pytest.raises(TypeError):
        store.chats.append(chat.id, "user", "hello", {"bytes": b"no"})
    assert store.chats.messages(chat.id) == []


def test_messages_can_be_dropped_and_documents_linked_later(store, add):
    one, two = add("one"), add("two")
    chat = store.chats.create("talk", [one.sha256])
    kept, gone = store.chats.append(chat.id, "user", "first"), store.chats.append(chat.id, "user", "second")
    store.chats.drop([gone.id, 999])
    assert store.chats.messages(chat.id) == [kept]
    store.chats.link(chat.id, [two.sha256, one.sha256])
    assert set(store.chats.get(chat.id).documents) == {one.sha256, two.sha256}
    with pytest.raises(ChatNotFound):
        store.chats.link(chat.id + 1, [two.sha256])
