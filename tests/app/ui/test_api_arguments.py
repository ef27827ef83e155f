"""Whatever JSON comes to an endpoint, it gives JSON back, or a sentence that says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import Settings
from app.ui.page import build
from app.workbench import Workbench

STORED = "a document that is stored"
#: Lone surrogates come in as escapes, and no other text can hold them.
TEXT = st.text(st.characters(codec=None), max_size=40) | st.sampled_from(
    ["", "\0", "\ud800", "\u202eevil", "<script>alert(1)</script>", "../../etc/passwd", "' OR 1=1 --", "<|im_end|>"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
NUMBER = st.integers(-2, 40) | st.sampled_from([10**12, 2**63, 10**40, -(2**63) - 1])
DOCUMENT = st.sampled_from([STORED, "0" * 64]) | TEXT
DOCUMENTS = st.lists(DOCUMENT, max_size=3)
RATIO = st.sampled_from([4, 8, 16, 32]) | NUMBER
PARTS = st.sampled_from(["", "0", "0-1", "8, 32", "1-999999", "999999999999", "3-1", "-", "all"]) | TEXT
QUESTION = st.sampled_from(["What did the fog hide?", "word " * 3_000]) | TEXT
READER = st.sampled_from(["memory", "focus", "full", "truncated", "none", "random"]) | TEXT
BUDGET = st.sampled_from(["", "4096", "1", "200MB", "9" * 400, "0"]) | TEXT
SETTINGS = st.lists(st.sampled_from(["full", "4x", "focus", "none"]) | TEXT, max_size=3)
FILE = st.fixed_dictionaries({"path": TEXT | st.sampled_from(["", "/", "/etc/passwd", "a" * 9_000])})

ARGUMENTS: dict[str, tuple[st.SearchStrategy, ...]] = {
    "documents": (),
    "ingest": (FILE,),
    "ingest_text": (TEXT, TEXT),
    "search": (TEXT, NUMBER),
    "left_out": (DOCUMENT,),
    "rename": (DOCUMENT, TEXT),
    "delete": (TEXT,),
    "ask": (QUESTION, DOCUMENTS, RATIO, READER, NUMBER, BUDGET),
    "compare": (QUESTION, DOCUMENTS, SETTINGS),
    "reconstruct": (DOCUMENT, NUMBER, RATIO),
    "attention": (DOCUMENT, NUMBER, RATIO),
    "summary": (DOCUMENT, NUMBER, RATIO),
    "surgery": (DOCUMENT, NUMBER, RATIO, PARTS, PARTS, PARTS, PARTS, QUESTION, TEXT),
    "savings": (DOCUMENT,),
}


@pytest.fixture(scope="module")
def endpoints(
    tiny_model_folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Callable[..., Any]]]:
    base, adapter = tiny_model_folders
    data = tmp_path_factory.mktemp("arguments")
    with Workbench(Settings(data, adapter=adapter, base=str(base), device="cpu", dtype="float32")) as workbench:
        page = build(workbench)
        yield {fn.api_name: fn.fn for fn in page.fns.values() if fn.api_visibility == "public"}


@pytest.fixture(scope="module")
def sha256(endpoints: dict[str, Callable[..., Any]]) -> str:
    words = "The fog hid seven ships while a harbour master counted them again in rain and evening light. "
    return endpoints["ingest_text"](words * 3, "Log")["document"]["sha256"]


def call(endpoint: Callable[..., Any], arguments: list[Any], sha256: str) -> Any:
    """What an endpoint returns, or its error, for arguments in which STORED stands for a document."""
    try:
        return endpoint(*_with(arguments, sha256))
    except gr.Error as error:
        return error


def assert_json_or_a_sentence(given: Any) -> None:
    if not isinstance(given, gr.Error):
        assert json.dumps(given).encode() != b"null"
        return
    assert given.message.strip().endswith(".")
    assert given.message[0].isupper() or not given.message[0].isalpha()
    assert not given.print_exception


def _with(value: Any, sha256: str) -> Any:
    if isinstance(value, list):
        return [_with(one, sha256) for one in value]
    return sha256 if value == STORED else value


def test_every_endpoint_is_tried(endpoints: dict[str, Callable[..., Any]]) -> None:
    assert set(endpoints) == set(ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
@given(data=st.data())
def test_arguments_of_the_right_type(endpoints, sha256: str, name: str, data: st.DataObject) -> None:
    arguments = [data.draw(strategy) for strategy in ARGUMENTS[name]]
    assert_json_or_a_sentence(call(endpoints[name], arguments, sha256))


@pytest.mark.parametrize("name", [name for name, strategies in ARGUMENTS.items() if strategies])
@given(data=st.data())
def test_arguments_of_any_type(endpoints, sha256: str, name: str, data: st.DataObject) -> None:
    arguments = [data.draw(JSON | strategy) for strategy in ARGUMENTS[name]]
    assert_json_or_a_sentence(call(endpoints[name], arguments, sha256))


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("search", ["ships", "many"], "argument limit"),
        ("reconstruct", [STORED, None], "argument segment"),
        ("ask", ["Who?", STORED], "argument documents"),
        ("ask", ["Who?", [STORED, 7]], "argument documents"),
        ("rename", [STORED, "\ud800"], "half a character"),
        ("ingest", ["/etc/passwd"], "argument file"),
        ("ingest", [{"path": "a\0b"}], "Upload the file first"),
    ],
)
def test_what_is_wrong_is_named(endpoints, sha256: str, name: str, arguments: list[Any], said: str) -> None:
    error = call(endpoints[name], arguments, sha256)
    assert isinstance(error, gr.Error)
    assert_json_or_a_sentence(error)
    assert said in error.message
