"""Parse web pages that a browser saved with all they show (mhtml): the page itself."""

import email
from dataclasses import replace

from app.parsers.containers import damage_said
from app.parsers.encoding import decode
from app.parsers.errors import DamagedDocument
from app.parsers.html import reader as html
from app.parsers.mail import message as mail
from app.parsers.types import Draft, Limits


def read(data: bytes, limits: Limits) -> Draft:
    """Read the first part that is a page. Raises DamagedDocument, DocumentTooLarge."""
    with damage_said("saved web page"):
        message = email.message_from_bytes(data)
        pages = (part for part in mail.leaves(message) if not isinstance(part, str))
        page = next((part for part in pages if part.get_content_type() in ("text/html", "application/xhtml+xml")), None)
        payload = page.get_payload(decode=True) if page is not None else None
    if page is None or not isinstance(payload, bytes):
        raise DamagedDocument("The saved web page holds no page; save it again, as a PDF or HTML file, and retry.")
    charset = str(page.get_content_charset() or "")
    # Marked as UTF-8, whatever the page says of itself: its header is nearer to the truth.
    text, notes = decode(payload, charset) if charset else ("", ())
    draft = html.read(b"\xef\xbb\xbf" + text.encode() if text else payload, limits)
    titles = (*draft.titles, mail.decoded_header(message, "Subject"))
    return replace(draft, titles=titles, notes=(*notes, *draft.notes))
