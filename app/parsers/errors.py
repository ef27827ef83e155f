"""What can be wrong with a file that a user hands in.

Each message is one sentence that says what to do. It never quotes the file's name or content, so it can be
shown anywhere without escaping, and every error survives pickling, so a reader may run in another process.
"""


class ReadError(ValueError):
    """Root of every error that reading a document can raise."""


class EmptyDocument(ReadError):
    """The file has no bytes, or nothing but white space."""


class UnsupportedDocument(ReadError):
    """The content is of a kind that no parser takes, whatever the file's name says."""


class UndecodableText(ReadError):
    """The content looks like text, but too many bytes are none in the encoding that it names."""


class EncryptedDocument(ReadError):
    """The document needs a password."""


class NoTextInDocument(ReadError):
    """The document opens, but holds pictures only."""


class DamagedDocument(ReadError):
    """The document is cut off or broken beyond what its parser can repair."""


class DocumentTooLarge(ReadError):
    """The document exceeds one of the `Limits`."""


class ReadingStopped(ReadError):
    """Reading took more time or memory than the `Limits` give, or broke its process down."""
