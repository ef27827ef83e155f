import pytest

from store import DocumentNotFound

LEVELS = (4, 8, 16, 32)


def test_nothing_of_a_deleted_document_answers(store, add, remember, sql):
    gone, kept = add("the zebra text"), add("the kept text")
    for document in (gone, kept):
        remember(document, "aa", segments=2)
        remember(document, "bb")
    store.documents.delete(gone.sha256)
    assert store.documents.list() == [store.documents.get(kept.sha256)]
    assert store.documents.search("zebra") == []
    for use in (store.documents.get, store.documents.text, store.documents.delete):
        with pytest.raises(DocumentNotFound):
            use(gone.sha256)
    with pytest.raises(DocumentNotFound):
        store.memories.get(gone.sha256, "aa", None, LEVELS)
    assert store.memories.nbytes(gone.sha256) == 0
    assert store.memories.nbytes() == 1200
    assert sql("SELECT count(*) FROM blobs WHERE key NOT IN (SELECT key FROM memory_parts)") == [(0,)]
    assert sql("SELECT count(*) FROM memory_parts") == sql("SELECT count(*) FROM blobs") == [(12,)]


def test_a_document_that_comes_back_starts_empty(store, add, remember):
    document = add("text", title="first")
    remember(document)
    store.documents.delete(document.sha256)
    again = add("text", title="second")
    assert (again.title, again.memory_bytes) == ("second", 0)
    assert store.memories.missing(again.sha256, "aa", 1, LEVELS) == [0]


def test_a_late_segment_of_a_deleted_document_is_refused(store, add):
    document = add("text")
    store.documents.delete(document.sha256)
    with pytest.raises(DocumentNotFound):
        store.memories.put_many(document.sha256, "aa", [(0, 4, b"late")])
    assert store.stats().blobs == 0


def test_the_schema_itself_leaves_no_orphans(store, add, remember, sql):
    remember(add("text"))
    with store.transaction() as db:
        db.execute("DELETE FROM documents")
    for table in ("memories", "memory_parts", "blobs", "sources"):
        assert sql(f"SELECT count(*) FROM {table}") == [(0,)]


def test_a_chat_keeps_its_messages_but_not_the_link(store, add):
    gone, kept = add("gone"), add("kept")
    chat = store.chats.create("both", [gone.sha256, kept.sha256])
    store.chats.append(chat.id, "user", "what is gone?")
    store.documents.delete(gone.sha256)
    assert store.chats.get(chat.id).documents == (kept.sha256,)
    assert [m.content for m in store.chats.messages(chat.id)] == ["what is gone?"]


def test_quotes_of_a_deleted_document_leave_the_messages(store, add):
    gone, kept = add("gone"), add("kept")
    chat = store.chats.create("both", [gone.sha256, kept.sha256])
    elsewhere = store.chats.create("unlinked")
    quotes = [{"document": gone.sha256, "text": "secret"}, {"document": kept.sha256, "text": "public"}]
    meta = {
        "ratio": 8,
        "evidence": [*quotes, {"text": "secret, unnamed"}],
        "sides": {"a": {"evidence": quotes}},
    }
    store.chats.append(chat.id, "assistant", "an answer", meta)
    store.chats.append(elsewhere.id, "assistant", "an answer", {"evidence": [*quotes, {"text": "other"}]})
    store.chats.append(elsewhere.id, "assistant", "an answer", {"document": gone.sha256, "text": "secret"})
    store.documents.delete(gone.sha256)
    [message] = store.chats.messages(chat.id)
    assert message.content == "an answer"
    assert message.meta == {"ratio": 8, "evidence": [quotes[1]], "sides": {"a": {"evidence": [quotes[1]]}}}
    assert [m.meta for m in store.chats.messages(elsewhere.id)] == [
        {"evidence": [quotes[1], {"text": "other"}]},
        {},
    ]


def test_a_failed_deletion_changes_nothing(store, add, remember):
    document = add("text")
    remember(document)
    with pytest.raises(InterruptedError), store.transaction():
        store.documents.delete(document.sha256)
        raise InterruptedError
    assert store.documents.text(document.sha256) == "text"
    assert store.memories.nbytes(document.sha256) == 400
    assert len(store.documents.search("text")) == 1


def test_vacuum_shrinks_the_file_and_wipes_the_words(path, store, add, remember):
    document = add("xylophonist " * 1000)
    remember(document, segments=20, nbytes=10_000)
    before = store.stats().file_bytes
    store.documents.delete(document.sha256)
    store.vacuum()
    assert store.stats().file_bytes < before / 4
    assert b"xylophonist" not in path.read_bytes()


def test_wiping_leaves_no_trace_in_the_file_and_gives_space_back(store, add, remember, path):
    kept = add("what stays on the shelf")
    gone = add("zanzibar " * 2_000, title="zanzibar", filename="zanzibar.html", left_out=[("Menu", "zanzibar")])
    remember(gone, segments=4, nbytes=200_000)
    job = store.jobs.add("zanzibar.txt", b"zanzibar")
    store.jobs.delete(job.id)
    store.documents.delete(gone.sha256)
    before = store.stats().file_bytes
    store.wipe()
    files = [file for file in path.parent.iterdir() if file.name.startswith(path.name)]
    assert not [file.name for file in files if b"zanzibar" in file.read_bytes()]
    assert path.stat().st_size < before / 2
    assert [d.sha256 for d in store.documents.list()] == [kept.sha256]


def test_wiping_a_file_that_is_mostly_used_leaves_no_trace_either(store, add, path):
    for number in range(40):
        add(f"document {number} " * 400)
    gone = add("zanzibar and more", title="zanzibar")
    store.documents.delete(gone.sha256)
    store.wipe()
    assert b"zanzibar" not in path.read_bytes()
