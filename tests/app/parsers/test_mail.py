"""Mails and saved pages: the header, the decoded body, and the names of what is attached."""

from __future__ import annotations

import struct
from email.message import EmailMessage
from pathlib import Path

import pytest

from app.parsers import DamagedDocument, EncryptedDocument, read
from tests.app.parsers.office_files import outlook_of

CASES = Path(__file__).parent / "cases"


def mail_of(text: str = "See you.", html: str = "") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Klara Høyer <klara@example.org>"
    message["To"] = "crew@example.org"
    message["Subject"] = "Fähre um sieben"
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    return message


def test_base64_and_encoded_words_are_decoded() -> None:
    document = read((CASES / "mail-base64.eml").read_bytes(), "mail-base64.eml")
    assert document.title == "Änderung der Abfahrt"
    assert document.text == (
        "Subject: Änderung der Abfahrt\nFrom: Office <office@example.org>\nTo: crew@example.org\n"
        "Date: Wed, 05 Jun 2024 10:00:00 +0000\n\nHello all,\n\n"
        "the departure is moved from Friday to Sunday, 9 June, 06:15.\nPlease bring lamps.\n\nKari"
    )
    assert document.media_type == "message/rfc822"


def test_attachments_are_named_and_not_read() -> None:
    message = mail_of("Two files.")
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="Plan für Mai.pdf")
    message.add_attachment("a,b\n1,2\n", subtype="csv", filename="list.csv")
    document = read(message.as_bytes(), "x.eml")
    assert document.text.endswith("Two files.\n\nAttachments: Plan für Mai.pdf, list.csv")
    assert document.notes == ("2 attachments were not read.",)


@pytest.mark.parametrize(("encoding", "charset"), [("utf-8", "utf-8"), ("cp1251", "windows-1251"), ("cp1251", "utf-8")])
def test_names_and_subjects_in_raw_bytes(encoding: str, charset: str) -> None:
    head = "From: a@example.org\nSubject: Отчёт за май\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
    body = f"Content-Type: text/plain; charset={charset}\n\nHello.\n--b\nContent-Type: application/zip\n"
    attached = 'Content-Disposition: attachment; filename="отчёт за прибыль и убытках.zip"\n\nx\n--b--\n'
    document = read((head + body + attached).encode(encoding), "x.eml")
    assert document.title == "Отчёт за май"
    assert document.text.endswith("Hello.\n\nAttachments: отчёт за прибыль и убытках.zip")


def test_of_alternatives_the_plain_text_unless_it_is_a_stub() -> None:
    page = (
        "<html><body><p>The <b>ferry</b> leaves at seven, and that is all there is to say about it.</p></body></html>"
    )
    both = read(mail_of("The ferry leaves at seven, as plain text.", page).as_bytes(), "x.eml").text
    stub = read(mail_of("No HTML?", page).as_bytes(), "x.eml").text
    assert both.endswith("as plain text.")
    assert stub.endswith("The ferry leaves at seven, and that is all there is to say about it.")


def test_a_forwarded_mail_is_read_with_its_header() -> None:
    outer, inner = mail_of("Please read:"), mail_of("The inner words.")
    inner.replace_header("Subject", "Inner")
    outer.add_attachment(inner)
    text = read(outer.as_bytes(), "x.eml").text
    assert "Please read:\n\nForwarded message\nSubject: Inner\nFrom: Klara Høyer" in text
    assert text.endswith("The inner words.")


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-7x", ""])
def test_bodies_in_legacy_encodings(charset: str) -> None:
    kind = f"Content-Type: text/plain; charset={charset}\n" if charset else ""
    data = f"From: a@example.org\nSubject: x\n{kind}\nDie Fähre fährt früh, sagt der Fährmann.\n".encode("latin-1")
    assert read(data, "x.eml").text.endswith("Die Fähre fährt früh, sagt der Fährmann.")


def test_an_encrypted_mail_is_refused() -> None:
    with pytest.raises(EncryptedDocument, match="save its text"):
        read(b"From: a@b.c\nSubject: x\nContent-Type: multipart/encrypted; boundary=b\n\n--b\n\nx\n--b--\n", "x.eml")


def test_a_mail_without_a_suffix_is_known_by_its_header() -> None:
    assert read(mail_of().as_bytes(), "mail").media_type == "message/rfc822"
    assert read(b"Note: one\nTodo: two\n\nNo mail at all.", "note").media_type == "text/plain"


def test_a_saved_page_is_its_page() -> None:
    document = read((CASES / "saved.mhtml").read_bytes(), "saved.mhtml")
    assert (document.title, document.text) == ("Bakery", "Bakery\n\nThe bakery was opened in 1911 by Klara Holm.")
    assert document.media_type == "multipart/related"


def test_a_saved_page_in_the_encoding_that_its_part_declares() -> None:
    head = b"MIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\nSubject: =?utf-8?q?F=C3=A4hre?=\n\n--b\n"
    part = b"Content-Type: text/html; charset=shift_jis\n\n<p>" + "最終便".encode("cp932") + b"</p>\n--b--\n"
    document = read(head + part, "x.mht")
    assert (document.title, document.text) == ("Fähre", "最終便")


def test_a_saved_page_without_a_page() -> None:
    with pytest.raises(DamagedDocument, match="holds no page"):
        read(b"Content-Type: multipart/related; boundary=b\n\n--b\nContent-Type: image/png\n\nx\n--b--\n", "x.mhtml")


def outlook_mail(**streams: bytes) -> bytes:
    sent = struct.pack("<IIQ", 0x00390040, 6, 133_620_552_000_000_000)
    named = {f"__substg1.0_{name[1:]}": data for name, data in streams.items()}
    return outlook_of({"__properties_version1.0": bytes(32) + sent} | named)


def test_an_outlook_mail() -> None:
    data = outlook_mail(
        _0037001F="Fähre".encode("utf-16-le"),
        _0C1A001F="Klara".encode("utf-16-le"),
        _5D01001F="klara@example.org".encode("utf-16-le"),
        _0E04001F="Crew".encode("utf-16-le"),
        _1000001F="It leaves\r\nat seven.\r\n".encode("utf-16-le"),
    )
    document = read(data, "x.msg")
    assert document.title == "Fähre"
    assert document.text == (
        "Subject: Fähre\nFrom: Klara <klara@example.org>\nTo: Crew\nDate: 2024-06-05 10:00 UTC\n\nIt leaves\nat seven."
    )
    assert document.media_type == "application/vnd.ms-outlook"


@pytest.mark.parametrize(
    ("page", "encoding", "words"), [(950, "big5", "會議記錄"), (932, "cp932", "議事"), (28595, "cp1251", "Отчёт")]
)
def test_an_outlook_mail_in_the_code_page_that_it_names(page: int, encoding: str, words: str) -> None:
    # Beside a number of four bytes may stand whatever was there before.
    numbers = struct.pack("<IIII", 0x3FDE0003, 6, page, 0xDEADBEEF)
    streams = {"__substg1.0_0037001E": words.encode(encoding) + b"\0", "__substg1.0_1000001E": b"See the list."}
    document = read(outlook_of({"__properties_version1.0": bytes(32) + numbers} | streams), "x.msg")
    assert document.text == f"Subject: {words}\n\nSee the list."


def test_an_outlook_mail_of_a_page_with_an_attachment() -> None:
    streams = {
        "__properties_version1.0": bytes(32),
        "__substg1.0_0037001E": "Fähre".encode("cp1252"),
        "__substg1.0_10130102": b"<html><p>It leaves <b>at seven</b>.</p></html>",
        "__attach_version1.0_#00000000/__substg1.0_3707001F": "plan.pdf".encode("utf-16-le"),
    }
    document = read(outlook_of(streams), "x.msg")
    assert document.text == "Subject: Fähre\n\nIt leaves at seven.\n\nAttachments: plan.pdf"
    assert document.notes == ("1 attachment was not read.",)
