import pytest

from app.parsers import EmptyDocument, UndecodableText, UnsupportedDocument, read


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_with_and_without_byte_order_mark(encoding):
    document = read("Ærø\n\nA small island. 島".encode(encoding), "x.txt")
    assert document.text == "Ærø\n\nA small island. 島"
    assert (document.title, document.media_type, document.pages, document.notes) == (
        "Ærø",
        "text/plain",
        (),
        (),
    )


def test_characters_are_normalised():
    raw = "cafe\u0301\r\nline\rnext\u2028more\x07\x1b[0m\u00adsoft\u00a0space  \n\n\n\n\nend\t\n"
    assert read(raw.encode(), "x.txt").text == "café\nline\nnext\nmore[0msoft space\n\nend"


def test_lines_and_indentation_of_source_code_stay():
    code = "import os\n\n\ndef f(a):\n\treturn os.sep.join(\n            a)\n"
    document = read(code.encode(), "tools/path_tools.py")
    assert document.text == code.replace("\n\n\n", "\n\n").rstrip()
    assert document.title == "import os"


def test_title_from_the_name_when_the_first_line_is_a_sentence():
    assert read(b"It was a night\nof wind and rain.", "C:\\files\\night_watch.v2.txt").title == "night watch.v2"


@pytest.mark.parametrize("data", [b"", b" \n\t\r\n ", b"\xef\xbb\xbf", "\ufeff\u00a0\n".encode("utf-16")])
def test_empty(data):
    with pytest.raises(EmptyDocument, match=r"choose one that"):
        read(data, "x.txt")


def test_a_mark_does_not_make_binary_data_text():
    with pytest.raises((UnsupportedDocument, UndecodableText)):
        read(b"\xff\xfe" + bytes(range(256)) * 8, "x.txt")
