"""A message over MCP that is too large is answered in a sentence, and the session goes on."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from app.settings import Settings
from app.ui.mcp_limit import MAX_MESSAGE
from app.ui.page import build
from app.ui.server import serve
from app.workbench import Workbench


@pytest.fixture(scope="module")
def endpoint(tiny_model_folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    base, adapter = tiny_model_folders
    folder = tmp_path_factory.mktemp("mcp")
    settings = Settings(folder / "data", adapter=adapter, base=str(base), device="cpu", dtype="float32")
    with pytest.MonkeyPatch.context() as patch, Workbench(settings) as workbench:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
        page = build(workbench)
        _, address, _ = serve(page, settings, prevent_thread_lock=True, server_name="127.0.0.1", quiet=True)
        yield f"{address}gradio_api/mcp/"
        page.close(verbose=False)


@pytest.mark.parametrize("size", [MAX_MESSAGE, 30_000_000])
def test_a_text_that_is_too_large_is_refused_and_the_session_goes_on(endpoint: str, size: int) -> None:
    async def session() -> tuple[Any, Any]:
        connection = streamable_http_client(endpoint)
        async with connection as (read, write, _), ClientSession(read, write) as opened:
            await opened.initialize()
            text = '"id": 7, "method": "ping" ' * (size // 26 + 1)
            refused = await opened.call_tool("ingest_text", {"text": text})
            return refused, await opened.call_tool("ingest_text", {"text": "The fog hid seven ships.", "title": "Log"})

    refused, taken = asyncio.run(session())
    assert refused.isError
    assert "4.2 MB are taken over MCP; split the text into parts" in refused.content[0].text
    assert not taken.isError
    assert ast.literal_eval(taken.content[0].text)["document"]["title"] == "Log"


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ({"jsonrpc": "2.0", "id": "seven", "method": "resources/read", "params": {"uri": "x" * MAX_MESSAGE}}, "seven"),
        ({"id": 3, "jsonrpc": "2.0", "method": "ping", "params": ["\\" * MAX_MESSAGE + '"id": 9']}, 3),
        (["x" * MAX_MESSAGE], None),
    ],
)
def test_any_other_message_that_is_too_large_is_an_error_with_its_number(
    endpoint: str, message: Any, answer: Any
) -> None:
    headers = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    content = json.dumps(message).encode()
    parts = (content[i : i + 65_536] for i in range(0, len(content), 65_536))  # without a length that is known before
    for body in (content, parts):
        said = httpx.post(endpoint, content=body, headers=headers, timeout=60)
        assert said.status_code == (413 if answer is None else 200)
        assert said.json()["id"] == answer
        assert "taken over MCP" in said.json()["error"]["message"]
