import pytest

from app.parsers import DamagedDocument, DocumentTooLarge, EncryptedDocument, Limits, NoTextInDocument, read

PROSE = [
    "The harbour of Lindness was built in three years by men who had never",
    "seen the sea. They came from the quarries inland, and they brought with",
    "them the habit of working in silence. When the last stone was set, the",
    "foreman wrote the date on it in chalk.",
    "Nobody remembers who washed it off. Some say it was the first storm, and",
    "some say it was the foreman's daughter.",
]


def test_pages_cover_the_text_with_offsets(build_pdf):
    document = read(build_pdf([["First page here."], ["Second page here."]]), "two.pdf")
    assert document.media_type == "application/pdf"
    assert document.text == "First page here.\n\nSecond page here."
    assert [(p.number, document.text[p.start : p.end]) for p in document.pages] == [
        (1, "First page here."),
        (2, "Second page here."),
    ]
    assert [(page.number, page.start) for page in document.pages] == [(1, 0), (2, document.text.index("Second"))]
    assert document.notes == ()


def test_wrapped_lines_become_paragraphs(build_pdf):
    text = read(build_pdf([PROSE]), "harbour.pdf").text
    assert text.split("\n") == [" ".join(PROSE[:4]), " ".join(PROSE[4:])]


def test_words_divided_at_line_ends_are_joined(build_pdf):
    lines = [
        "A long line of text that ends in the middle of one word is an exam-",
        "ple of division, and a well-known case is the compound that is well-",
        "known by its hyphen, which must survive, as must the name of Anglo-",
        "Saxon kings.",
    ]
    text = read(build_pdf([lines]), "hyphens.pdf").text
    assert "an example of division" in text
    assert text.count("well-known") == 2
    assert "Anglo-Saxon kings" in text


def test_lists_and_tables_keep_their_lines(build_pdf):
    lines = [*PROSE[:4], "1. Bread and salt", "2. A lamp", "Year Boats", "1901 12", "1902 17"]
    assert read(build_pdf([lines]), "list.pdf").text.split("\n")[1:] == lines[4:]


def test_a_sentence_runs_across_pages(build_pdf):
    document = read(build_pdf([["The road went on over the"], ["hills and did not re-"], ["turn."]]), "road.pdf")
    assert document.text == "The road went on over the hills and did not return."
    assert [document.text[p.start : p.end] for p in document.pages] == [
        "The road went on over the",
        "hills and did not re",
        "turn.",
    ]


def test_running_headers_are_kept_once_and_page_numbers_left_out(build_pdf):
    pages = [
        ["Annual Report 1911", f"Chapter {word} begins.", f"- {n} -"]
        for n, word in enumerate(("one", "two", "three"), 7)
    ]
    document = read(build_pdf(pages), "report.pdf")
    assert document.text == "Chapter one begins.\n\nChapter two begins.\n\nChapter three begins.\nAnnual Report 1911"
    assert document.title == "Chapter one begins."
    assert document.notes == ("Left out: 2 copies of headers and footers, which are kept once, and 3 page numbers.",)
    (left_out,) = document.left_out
    assert left_out.text.split("\n") == [
        "Page 1: - 7 -",
        "Page 2: Annual Report 1911",
        "Page 2: - 8 -",
        "Page 3: Annual Report 1911",
        "Page 3: - 9 -",
    ]


def test_title_from_metadata_unless_it_says_nothing(build_pdf):
    assert read(build_pdf([["Body."]], title="On Harbours"), "x.pdf").title == "On Harbours"
    assert read(build_pdf([["On Lamps", "Body."]], title="untitled 2"), "x.pdf").title == "On Lamps"
    assert read(build_pdf([["On Lamps", "Body."]], title="Microsoft Word - draft3.doc"), "x.pdf").title == "On Lamps"


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_encrypted_with_an_empty_user_password_opens(build_pdf, algorithm):
    data = build_pdf([["Free to read."]], password="", algorithm=algorithm)
    assert read(data, "open.pdf").text == "Free to read."


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_encrypted_with_a_password_is_refused(build_pdf, algorithm):
    with pytest.raises(EncryptedDocument, match="needs a password; save a copy without one"):
        read(build_pdf([["Secret."]], password="x", algorithm=algorithm), "closed.pdf")


def test_image_only_needs_text_recognition(build_pdf):
    with pytest.raises(NoTextInDocument, match="OCR"):
        read(build_pdf([[], []]), "scan.pdf")


def test_pages_without_text_are_named(build_pdf):
    document = read(build_pdf([["One."], [], ["Three."], [], []]), "mixed.pdf")
    assert [page.number for page in document.pages] == [1, 3]
    assert document.notes == ("Pages 2, 4 to 5 hold no text (perhaps a scan).",)


def test_a_page_that_cannot_be_read_costs_only_itself(build_pdf):
    data = build_pdf([["One."], ["Two."], ["Three."]])
    document = read(b"/Filter /ASCIIHexDecode >>\nstream\n".join(data.rsplit(b">>\nstream\n", 1)), "mixed.pdf")
    assert [page.number for page in document.pages] == [1, 2]
    assert document.notes == ("Page 3 could not be read.",)


def test_cut_off_is_damaged_or_says_so(build_pdf):
    data = build_pdf([PROSE, PROSE])
    with pytest.raises(DamagedDocument, match="damaged or cut off"):
        read(data[:120], "cut.pdf")
    cut_update = data + b"9 0 obj\n<< /Type /Page >>\nendobj\n" * 90
    recovered = read(cut_update, "update.pdf")
    assert recovered.text.startswith("The harbour of Lindness")
    assert recovered.notes == ("The file does not end as a PDF should; pages may be missing.",)


def test_every_cut_gives_text_or_a_read_error(build_pdf):
    data = build_pdf([["Some text here."]])
    outcomes = set()
    for end in range(5, len(data), 7):
        try:
            outcomes.add(type(read(data[:end], "cut.pdf")).__name__)
        except (DamagedDocument, NoTextInDocument) as error:
            outcomes.add(type(error).__name__)
    assert {"DamagedDocument", "ReadDocument"} <= outcomes


def test_limits(build_pdf):
    data = build_pdf([["One page."], ["Two pages."]])
    with pytest.raises(DocumentTooLarge, match="2 pages and the limit is 1"):
        read(data, "x.pdf", Limits(pages=1))
    with pytest.raises(DocumentTooLarge, match="10 characters"):
        read(data, "x.pdf", Limits(characters=10))


def test_ligatures_and_bullets_are_ordinary_characters(build_pdf):
    assert read(build_pdf([["caf\u00e9 \u2022 \u201cquoted\u201d"]]), "x.pdf").text == "café • “quoted”"
