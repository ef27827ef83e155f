"""Parse mails (eml): the header that people read, the decoded body, and the names of what is attached."""

import email
import re
from collections.abc import Iterator
from email.header import decode_header
from email.message import Message

from app.parsers.containers import damage_said
from app.parsers.encoding import decode
from app.parsers.errors import (
    DocumentTooLarge,
    EncryptedDocument,
    NoTextInDocument,
    UndecodableText,
    UnsupportedDocument,
)
from app.parsers.html.reader import visible_text
from app.parsers.types import Draft, Limits

FIELDS = ("Subject", "From", "To", "Cc", "Date")
_READ_FIELDS = (*map(str.lower, FIELDS), "content-type", "content-disposition")
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_MOST_PARTS = 2_000


def read(data: bytes, limits: Limits) -> Draft:
    """Read a mail with those that are forwarded within it.

    Raises DamagedDocument, DocumentTooLarge, EncryptedDocument, NoTextInDocument.
    """
    with damage_said("mail"):
        message = email.message_from_bytes(data)
        _decode_raw_fields(message)
        if message.get_content_type() in _ENCRYPTED and "signed" not in str(message.get_param("smime-type")):
            raise EncryptedDocument("The mail is encrypted; open it in your mail program, save its text and retry.")
        header, body, attached = header_text(message), [], []
        for part in leaves(message):
            if isinstance(part, str):
                body.append(part)
            elif name := attachment_name(part):
                attached.append(name)
            else:
                body.append(text_of(part))
    text = "\n\n".join(filter(None, (part.strip() for part in body)))
    limits.check_characters(len(text))
    if not text and not header:
        raise NoTextInDocument("The mail holds no text; choose one that does.")
    return draft(header, text, attached, decoded_header(message, "Subject"))


def _decode_raw_fields(message: Message) -> None:
    """Decode bytes in headers that should have been encoded words, all of a mail's together: one alone says little."""
    raw: list[tuple[Message, str, str]] = []
    charsets: list[str] = []
    stack, count = [message], 0
    while stack and count < _MOST_PARTS:
        part, count = stack.pop(), count + 1
        values = {field.lower(): value for field, value in reversed(list(part.raw_items()))}
        raw += [(part, field, values[field]) for field in _READ_FIELDS if not values.get(field, "").isascii()]
        charsets.append(part.get_content_charset() or "")
        payload = part.get_payload()
        stack += [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []
    together = "\n".join(" ".join(value.split()) for _, _, value in raw)
    declared = next((charset for charset in charsets if charset not in ("", "us-ascii", "utf-8")), "")
    decoded = decode_bytes(together.encode("utf-8", "surrogateescape"), declared).split("\n")
    for (part, field, _), value in zip(raw, decoded, strict=False):
        part.replace_header(field, value)


def draft(header: str, body: str, attached: list[str], subject: str) -> Draft:
    """Lay out a mail, whatever it was stored as."""
    names = f"Attachments: {', '.join(attached)}" if attached else ""
    notes = [f"{len(attached)} attachment{'s were' if len(attached) > 1 else ' was'} not read."] if attached else []
    text = "\n\n".join(filter(None, (header, body, names)))
    return Draft(pages=((0, text),), titles=(subject,), notes=tuple(notes))


def leaves(message: Message) -> Iterator[Message | str]:
    """Yield the parts to read, in order; of alternatives the plain one. A forwarded mail has its header before it."""
    stack: list[Message] = [message]
    count = 0
    while stack:
        part = stack.pop()
        count += 1
        if count > _MOST_PARTS:
            raise DocumentTooLarge(f"The mail has more than {_MOST_PARTS:,} parts; save its text alone and try again.")
        payload = part.get_payload()
        inner = [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []
        if not inner:
            yield part
        elif part.get_content_type() == "multipart/alternative":
            stack.append(_readable(inner))
        else:
            if part.get_content_type() == "message/rfc822":
                yield "Forwarded message\n" + header_text(inner[0])
            stack.extend(reversed(inner))


def _readable(alternatives: list[Message]) -> Message:
    """Choose the plain text, unless it only says that there is no more of it."""
    by_type = {part.get_content_type(): part for part in reversed(alternatives)}
    plain, page = by_type.get("text/plain"), by_type.get("text/html")
    if plain is not None and page is not None and len(text_of(plain).strip()) < len(text_of(page).strip()) / 3:
        return page
    return plain or page or alternatives[-1]


def header_text(message: Message) -> str:
    fields = ((field, decoded_header(message, field)) for field in FIELDS)
    return "\n".join(f"{field}: {value}" for field, value in fields if value)


def decoded_header(message: Message, field: str) -> str:
    value = message.get(field)
    return decoded_words(str(value)) if value is not None else ""


def decoded_words(value: str) -> str:
    """Decode what a header writes in encoded words, or in bytes that it should not hold."""
    pieces = []
    for piece, charset in decode_header(value[:20_000]):
        data = piece.encode("utf-8", "surrogateescape") if isinstance(piece, str) else piece
        pieces.append(decode_bytes(data, charset or ""))
    return " ".join("".join(pieces).split())


def attachment_name(part: Message) -> str:
    """Return what an attached part is called, "" for text to be read."""
    name = decoded_words(part.get_filename() or "")
    is_text = part.get_content_maintype() == "text" or part.get_content_type() == "message/delivery-status"
    if part.get_content_disposition() == "attachment" or not is_text:
        return name or f"unnamed ({part.get_content_type()})"
    return name if part.get_content_type() not in ("text/plain", "text/html") else ""


def text_of(part: Message) -> str:
    """Decode a part of text; a page loses its markup."""
    payload = part.get_payload(decode=True)
    text = decode_bytes(payload, str(part.get_content_charset() or "")) if isinstance(payload, bytes) else ""
    return visible_text(text) if part.get_content_type() == "text/html" else re.sub(r"\r\n?", "\n", text)


def decode_bytes(data: bytes, charset: str) -> str:
    """Decode the bytes of a header or a body; what fits nothing costs no more than the letters beyond ASCII."""
    for declared in (charset, ""):
        try:
            return decode(data, declared)[0]
        except (UndecodableText, UnsupportedDocument):  # a few bytes of an encoding that nobody declared
            continue
    return data.decode("ascii", "replace")
