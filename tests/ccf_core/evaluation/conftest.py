"""A subject on a tiny random model, and rows for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ccf_core import CCF
from ccf_core.base.load import Base
from ccf_core.evaluation.rows import Row
from ccf_core.evaluation.subject import Subject
from ccf_core.model.decoder import Decoder
from tests.tiny_models import WORDS


@pytest.fixture(scope="session")
def make_subject(make_base: Callable[..., Base], make_adapter: Callable) -> Callable[..., Subject]:
    def make(**config: object) -> Subject:
        base = make_base()
        adapter = make_adapter(base.model, **config)
        return Subject(CCF(base, adapter), Decoder(make_base().copy().model, adapter.config))

    return make


@pytest.fixture(scope="session")
def subject(make_subject: Callable[..., Subject]) -> Subject:
    return make_subject()


@pytest.fixture(scope="session")
def text_rows() -> list[Row]:
    return [
        {"source": f"s{i % 2}", "title": f"t{i}", "text": " ".join(WORDS[(i * j) % 14] for j in range(20 + 30 * i))}
        for i in range(6)
    ]


@pytest.fixture(scope="session")
def long_rows() -> list[Row]:
    """Four texts of 700 sentences' words, with sentence ends."""
    return [
        {
            "source": f"s{i % 2}",
            "title": f"long {i}",
            "text": " ".join(WORDS[(i + j * j) % 14] + "." * (j % 9 == 8) for j in range(700)),
        }
        for i in range(4)
    ]


@pytest.fixture(scope="session")
def qa_rows(text_rows: list[Row]) -> list[Row]:
    answers = (["seven ships"], ["Oslo", "in Oslo"], ["word " * 40], [])
    return [
        {"source": row["source"], "context": row["text"], "question": f"Who hid {i}?", "answers": answers[i % 4]}
        for row in text_rows
        for i in range(4)
    ]
