"""Answer a message over MCP that is too large with a sentence: a bare 413 would end the caller's session."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Bytes of one message that the server for MCP takes.
MAX_MESSAGE = 4 * 1024 * 1024
#: Bytes of a message that is too large that are read before the connection is given up: who sends reads no answer.
MAX_READ = 25 * MAX_MESSAGE
#: Bytes at both ends of such a message in which its number and its method are looked for.
END = 4096
PATH = re.compile(r"/gradio_api/mcp(/http)?/?")
#: A quote within a string would stand behind a backslash, so a document's text cannot look like this.
_ID = re.compile(rb'(?<!\\)"id"\s*:\s*(-?\d{1,18}|"[^"\\]{0,200}")')
_CALL = re.compile(rb'(?<!\\)"method"\s*:\s*"tools/call"')


class MCPLimit:
    """Pass on to ``app`` what it takes, and answer longer messages over MCP here."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", "")).removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or scope["method"] != "POST" or not PATH.fullmatch(path):
            await self.app(scope, receive, send)
            return
        messages: list[Message] = []
        size, head, tail = 0, b"", b""
        while True:
            message = await receive()
            body = message.get("body", b"")
            size += len(body)
            head, tail = (head + body[:END])[:END], (tail + body[-END:])[-END:]
            messages.append(message)
            if size > MAX_MESSAGE:
                messages.clear()
            if message["type"] != "http.request" or not message.get("more_body", False) or size > MAX_READ:
                break
        if size <= MAX_MESSAGE:
            await self.app(scope, _replayed(messages, receive), send)
        elif message["type"] == "http.request":
            await _refusal(size, head, tail)(scope, receive, send)


def _refusal(size: int, head: bytes, tail: bytes) -> JSONResponse:
    sentence = (
        f"The message has {size / 1e6:,.1f} MB and {MAX_MESSAGE / 1e6:,.1f} MB are taken over MCP; "
        "split the text into parts, or add it as a file on the page."
    )
    numbers = [*_ID.findall(tail)[-1:], *_ID.findall(head)[:1]]
    if not numbers:
        error: dict[str, Any] = {"code": -32600, "message": sentence}
        return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 413)
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": json.loads(numbers[0])}
    if _CALL.search(head) or _CALL.search(tail):
        answer["result"] = {"content": [{"type": "text", "text": sentence}], "isError": True}
    else:
        answer["error"] = {"code": -32600, "message": sentence}
    return JSONResponse(answer)


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    kept: Iterator[Message] = iter(messages)

    async def receive_again() -> Message:
        return next(kept, None) or await receive()

    return receive_again
