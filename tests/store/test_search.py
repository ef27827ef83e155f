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


JAPANESE = "本契約書は、甲と乙の間で締結する。AIによる検査は2024年から行う。ポンプの点検は毎月、ｶﾀﾛｸﾞを見る。"
CHINESE = "合同自签订之日起生效。数据中心位于北京市海淀区。"
KOREAN = "계약을 체결한 날부터 효력이 발생한다. 서울특별시에서 열린 회의."
ASIAN = {
    JAPANESE: [
        "契約",
        "契約書",
        "甲",
        "検査",
        "AIによる検査",
        "2024年",
        "ポンプ",
        "ポン",
        "点検 ポンプ",
        "ｶﾀﾛｸﾞ",
        "締結 ai",
    ],
    CHINESE: ["合同", "生效", "数据中心", "北京", "海淀区 合同"],
    KOREAN: ["계약", "계약을", "효력", "서울", "특별시", "회의 계약"],
}


@pytest.mark.parametrize(("text", "query"), [(text, query) for text, queries in ASIAN.items() for query in queries])
def test_words_without_spaces_between_them_are_found_wherever_they_stand(store, add, text, query):
    document = add("前書き。" * 300 + text + "後書き。" * 300)
    add("an ordinary text")
    [hit] = store.documents.search(query)
    whole = store.documents.text(hit.document.sha256)
    assert hit.document == document
    assert whole[hit.start : hit.start + len(hit.snippet)] == hit.snippet
    assert sorted({hit.snippet[a:b].lower() for a, b in hit.marks}) == sorted(query.lower().split())


def test_words_without_spaces_are_found_as_they_are(store, add):
    add(JAPANESE)
    for query in ("約契", "契約 数据", "検査AI", "契書"):
        assert store.documents.search(query) == [], query


def test_a_query_from_a_keyboard_that_decomposes_is_found(store, add):
    document = add("ガイドブック 계약")
    for query in ("カ\u3099イト\u3099", "\u1100\u1168\u110b\u1163\u11a8"):
        assert [hit.document for hit in store.documents.search(query)] == [document]


def test_titles_without_spaces_follow_renaming(store, add):
    document = add("text", title="賃貸契約")
    assert [hit.document for hit in store.documents.search("契約")] == [document]
    store.documents.rename(document.sha256, "売買")
    assert store.documents.search("契約") == []
    assert len(store.documents.search("売買")) == 1
