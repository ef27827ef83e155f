# ruff: noqa: RUF001
"""Texts that do not say their encoding, or hold bytes that are none in it, are read as is likeliest."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from app.parsers import UnsupportedDocument, read

CASES = Path(__file__).parent / "cases"
GUESSED = "The file does not say its encoding; it was read as {}."
SENTENCES = {
    "cp1252": "Die Fähre fährt um 22:40 Uhr. Preis: 15,50 €.",
    "cp1250": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "cp1251": "Последний паром уходит в двадцать два сорок.",
    "koi8-r": "Последний паром уходит в двадцать два сорок.",
    "cp1253": "Το τελευταίο πλοίο φεύγει στις δέκα.",
    "cp1254": "Son vapur saat yirmi ikide kalkıyor, şimdi çıkın.",
    "cp1255": "המעבורת האחרונה יוצאת בשעה עשר.",
    "cp1256": "آخر عبارة تغادر الساعة العاشرة مساء.",
    "cp1257": "Paskutinis keltas išplaukia dešimtą valandą, ačiū už kantrybę.",
    "cp874": "เรือข้ามฟากเที่ยวสุดท้ายออกเวลาสี่ทุ่ม",
    "cp932": "最終便は二十二時四十分です。",
    "euc-jp": "最終便は二十二時四十分です。",
    "iso-2022-jp": "最終便は二十二時四十分です。",
    "gb18030": "最后一班渡轮在晚上十点四十分离开码头。",
    "big5": "最後一班渡輪在晚上十點四十分離開碼頭。",
    "cp949": "마지막 배는 밤 열 시 사십 분에 떠납니다.",
    "utf-16-le": "The last ferry leaves at 22:40.",
    "utf-16-be": "Последний паром уходит в 22:40.",
    "utf-32-le": "The last ferry leaves at 22:40.",
}


@pytest.mark.parametrize("encoding", SENTENCES)
@pytest.mark.parametrize("times", [1, 200])
def test_the_likeliest_encoding_is_taken_and_said(encoding: str, times: int) -> None:
    text = "\n".join([SENTENCES[encoding]] * times)
    document = read(text.encode(encoding), "x.txt")
    assert document.text == text
    assert len(document.notes) == 1
    assert document.notes[0].startswith("The file does not say its encoding; it was read as ")


@pytest.mark.parametrize(
    ("name", "text", "spoken"),
    [
        ("cp1252.txt", "Die Fähre fährt um 22:40 Uhr. Preis: 15,50 €.", "Windows-1252"),
        ("cp1252-undeclared.html", "Fähre\n\nDie letzte Fähre fährt um 22:40 Uhr, das kostet 15,50 €.", "Windows-1252"),
        ("sjis.txt", "最終便は二十二時四十分です。", "Shift_JIS"),
        ("utf16-nobom.txt", "The last ferry leaves at 22:40 from pier 4.", "UTF-16"),
    ],
)
def test_short_files_without_a_word_about_their_encoding(name: str, text: str, spoken: str) -> None:
    document = read((CASES / name).read_bytes(), name)
    assert document.text == text
    assert document.notes == (GUESSED.format(spoken),)


def test_a_bad_byte_in_a_page_that_says_utf_8() -> None:
    document = read((CASES / "one-bad-byte.html").read_bytes(), "one-bad-byte.html")
    assert document.text == "Ferry times\n\nThe last ferry leaves at 22:40.\n\nCaf\ufffd Sole sells tickets."
    assert document.notes == ("1 byte that is no UTF-8 was replaced by “\ufffd”.",)


def test_bad_bytes_in_a_text_that_is_mostly_utf_8() -> None:
    data = "Ærø ligger her. ".encode() * 3 + b"Caf\xe9 \xff\xfe Sole"
    document = read(data, "x.txt")
    assert document.text == "Ærø ligger her. " * 3 + "Caf\ufffd \ufffd Sole"
    assert document.notes == ("3 bytes that are no UTF-8 were replaced by “\ufffd”.",)


def test_bad_bytes_behind_a_byte_order_mark() -> None:
    document = read("text".encode("utf-16") + b"x", "x.txt")
    assert document.text == "text\ufffd"
    assert document.notes == ("1 byte that is no UTF-16 was replaced by “\ufffd”.",)


def test_a_nul_byte_in_a_log() -> None:
    document = read((CASES / "nul-byte.log").read_bytes(), "nul-byte.log")
    assert document.text.endswith("2024-05-01 10:00:03 disk full on node 7")
    assert "\0" not in document.text


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert read("fog \ud800 and rain".encode("utf-8", "surrogatepass"), "x.txt").text == "fog \ufffd and rain"


@pytest.mark.parametrize("size", [100, 1_000, 100_000])
def test_noise_is_no_text(size: int) -> None:
    generator = random.Random(size)
    for _ in range(20):
        with pytest.raises(UnsupportedDocument, match="binary data"):
            read(generator.randbytes(size), "x.txt")


def test_what_a_page_declares_wins_over_a_guess() -> None:
    page = '<meta charset="windows-1250"><p>Škoda'.encode("cp1250")
    assert read(page, "x.html").text == "Škoda"
    assert read(page, "x.html").notes == ()
    assert read('<meta charset="unicode_escape"><p>caf\u00e9 noir'.encode("cp1252"), "x.html").text == "café noir"
