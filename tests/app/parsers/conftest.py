"""Builders of small real files, written here so that each test shows what its file holds."""

import io
import zipfile
from collections.abc import Callable

import docx
import pytest
from docx.document import Document

from tests import papers


def build_docx(fill: Callable[[Document], object]) -> bytes:
    document = docx.Document()
    fill(document)
    return _bytes(document.save)


def build_zip(entries: dict[str, bytes]) -> bytes:
    def write(stream: io.BytesIO) -> None:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as container:
            for name, content in entries.items():
                container.writestr(name, content)

    return _bytes(write)


def _bytes(write: Callable[[io.BytesIO], object]) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


@pytest.fixture(name="build_pdf")
def _build_pdf() -> Callable[..., bytes]:
    return papers.pdf


@pytest.fixture(name="build_docx")
def _build_docx() -> Callable[[Callable[[Document], object]], bytes]:
    return build_docx


@pytest.fixture(name="build_zip")
def _build_zip() -> Callable[[dict[str, bytes]], bytes]:
    return build_zip
