import random

import pytest

HOSTILE = [
    '"', '""', '"""', "'", "*", "a*", "AND", "OR NOT", "NEAR(", "(", ")", "^", "-", "+", ":", "title:x",
    "{a b}:c", "😀", "\0", "a\0b", "\ud800", '"two\nlines"', 'a"b c"d', '" "', "\\", "%", "_", ";", "--",
    "text MATCH 'x'", "документ", "漢字", "x" * 10_000, "word " * 5_000,
]  # fmt: skip


def test_a_hit_names_the_place(store, add):
    text = "Filler sentence. " * 200 + "The heron stands in the reeds at dawn. " + "More filler here. " * 200
    document = add(text, title="birds.txt")
    add("Nothing of the kind.", title="other.txt")
    [hit] = store.documents.search("heron reeds")
    assert hit.document == document
    assert text[hit.start : hit.start + len(hit.snippet)] == hit.snippet
    assert [hit.snippet[a:b] for a, b in hit.marks] == ["heron", "reeds"]
    assert len(hit.snippet) < 300


def test_case_accents_and_endings_do_not_matter(store, add):
    document = add("The Café compresses documents.")
    for query in ("cafe", "CAFÉ", "compressing", "document"):
        assert [hit.document for hit in store.documents.search(query)] == [document]


def test_all_words_are_needed_and_quotes_make_a_phrase(store, add):
    document = add("red fox, brown dog")
    assert [h.document for h in store.documents.search('"red fox" dog')] == [document]
    assert store.documents.search("red cat") == []
    assert store.documents.search('"fox red"') == []


def test_the_passage_with_most_of_the_words_is_shown(store, add):
    text = "river. " + "filler " * 500 + "the river bank flooded " + "filler " * 500
    add(text)
    [hit] = store.documents.search("flooded river bank")
    assert [hit.snippet[a:b] for a, b in hit.marks] == ["river", "bank", "flooded"]


def test_titles_are_found_without_marks(store, add):
    document = add("body of the text", title="Quarterly report")
    [hit] = store.documents.search("quarterly")
    assert (hit.document, hit.start, hit.marks, hit.snippet) == (document, 0, (), "body of the text")


def test_the_best_match_comes_first_and_the_limit_holds(store, add):
    weak = add("kestrel " + "padding " * 300)
    strong = add("kestrel kestrel kestrel")
    hits = store.documents.search("kestrel")
    assert [hit.document for hit in hits] == [strong, weak]
    assert hits[0].score > hits[1].score > 0
    assert len(store.documents.search("kestrel", limit=1)) == 1
    assert store.documents.search("kestrel", limit=0) == []


@pytest.mark.parametrize("query", ["", "   ", "\n", *HOSTILE], ids=range(len(HOSTILE) + 3))
def test_hostile_queries_are_only_words(store, add, query):
    document = add("an ordinary text")
    assert store.documents.search(query) == []
    assert [h.document for h in store.documents.search("ordinary")] == [document]


def test_punctuation_beside_a_word_does_not_hide_it(store, add):
    document = add("an ordinary text")
    for query in (
        "ordinary *",
        '"ordinary',
        "😀 ordinary",
        "ordinary -",
        "(ordinary)",
        "ordinary\0",
    ):
        assert [h.document for h in store.documents.search(query)] == [document], query


def test_random_queries_never_fail(store, add):
    add("an ordinary text")
    dice = random.Random(0)
    alphabet = "ab \"'*()^-+:{}\\\n\t\0\ud800😀ANDORT"
    for _ in range(500):
        query = "".join(dice.choices(alphabet, k=dice.randint(0, 12)))
        assert isinstance(store.documents.search(query), list)


def test_the_index_follows_renaming_and_vacuum(store, add):
    gone, document = add("first text"), add("second text", title="old")
    store.documents.rename(document.sha256, "fresh")
    store.documents.delete(gone.sha256)
    store.vacuum()
    assert [h.document.title for h in store.documents.search("fresh")] == ["fresh"]
    assert [h.document.title for h in store.documents.search("second")] == ["fresh"]
    assert store.documents.search("old") == []
    assert store.documents.search("first") == []


def test_token_counts_do_not_index_the_text_again(sql, store):
    [(trigger,)] = sql("SELECT sql FROM sqlite_master WHERE name = 'documents_au'")
    assert "AFTER UPDATE OF title, text ON" in trigger
