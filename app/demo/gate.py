"""Guard a demo: an ASGI middleware that lets visitors reach their own data and nothing else.

Gradio itself tells visitors apart by a session hash that the browser chooses, keeps uploads under the SHA-256 of their
bytes, and serves them to whoever names it. Here a request needs the login, if there is one, and a token; a session
belongs to the visitor who began it; uploads lie in a folder of the visitor's, and paths to anywhere else are refused;
files are not served at all.
"""

from __future__ import annotations

import json
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from gradio_client.utils import strip_invalid_filename_characters
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.demo.visitor_page import HEADER
from app.demo.visitors import Visitors
from app.errors import DemoFull, UnknownVisitor
from store import StoreError

VISITOR = "/visitor"
API = "/gradio_api/"
#: Paths under API that tell nothing of anybody: open to all.
PUBLIC = re.compile(
    r"(info|openapi\.json|startup-events|theme\.css|app_id|user|login_check|token|queue/status)/?|(mcp|heartbeat)/.*"
)
#: Paths under API that work on a session: open to its owner.
SESSION = re.compile(r"(queue/join|queue/data|cancel|reset|component_server)/?|(call|run|api)/.+")
#: Open to nobody.
CLOSED = re.compile(r"/monitoring.*")
#: Header of a refusal: tells a page that its token is the reason, and not its login.
UNKNOWN = {HEADER: "unknown"}
MAX_SESSIONS = 10_000
MAX_FILES = 20
#: Bytes of a request that is no upload; pasted texts are the longest.
MAX_BODY = 25_000_000
#: Owner of the one session of gradio's own client, through which all calls over MCP go; it keeps nothing.
SHARED = "mcp"


class Gate:
    """Pass a request on to ``app``, answer it here, or refuse it; uploads are at most ``max_upload`` bytes."""

    def __init__(self, app: ASGIApp, visitors: Visitors, max_upload: int) -> None:
        self.app = app
        self.visitors = visitors
        self.max_upload = max_upload
        self._sessions: OrderedDict[str, str] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError("A demo serves HTTP alone.")
        request = Request(scope, receive)
        try:
            answer: Response | None = await self._answer(request)
        except ClientDisconnect:
            return  # nobody is there any more
        except HTTPException as error:
            answer = JSONResponse({"detail": error.detail}, error.status_code, error.headers)
        if answer is not None:
            await answer(scope, receive, send)
        elif request.method == "POST" and SESSION.fullmatch(_path(scope).removeprefix(API)):
            # The body was read here; the app reads it, too.
            await self.app(scope, _replayed(await request.body(), receive), send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        """Answer the request, or return None to let it pass. Raises HTTPException to refuse it."""
        path, token = _path(request.scope), request.headers.get(HEADER, "")
        if CLOSED.fullmatch(path):
            raise HTTPException(404, "There is nothing here.")
        if path != VISITOR and (not path.startswith(API) or PUBLIC.fullmatch(path.removeprefix(API))):
            return None
        if not _logged_in(request):
            raise HTTPException(401, "Log in first: reload the page.")
        if path == VISITOR:
            return await run_sync(self._visitor, request.method, token)
        wanted = path.removeprefix(API).rstrip("/")
        try:
            visitor = self.visitors.name(token)
        except UnknownVisitor as error:
            if not (request.headers.get("x-gradio-user") == SHARED and wanted == "queue/data"):
                raise HTTPException(401, str(error), UNKNOWN) from error
            visitor = SHARED
        if wanted == "upload" and request.method == "POST":
            return JSONResponse(await self._upload(request, visitor))
        if wanted == "upload_progress":
            return PlainTextResponse('data: {"msg": "done"}\n\n', media_type="text/event-stream")
        if not SESSION.fullmatch(wanted):
            raise HTTPException(404, "There is nothing here.")
        await self._check(request, visitor)
        return None

    def _visitor(self, method: str, token: str) -> Response:
        """Issue a token (POST; a known one comes back), replace it (PUT), or delete it with all data (DELETE)."""
        try:
            if method == "POST":
                return JSONResponse({"token": token if self.visitors.knows(token) else self.visitors.issue()})
            if method == "PUT":
                return JSONResponse({"token": self.visitors.rotate(token)})
            if method == "DELETE":
                self.visitors.forget(token)
                return JSONResponse({"token": None})
        except UnknownVisitor as error:
            return JSONResponse({"detail": str(error)}, 401, UNKNOWN)
        except (DemoFull, StoreError) as error:
            return JSONResponse({"detail": str(error)}, 503)
        return JSONResponse({"detail": "Use POST, PUT or DELETE."}, 405)

    async def _check(self, request: Request, visitor: str) -> None:
        """Refuse a request that names a session or a file of somebody else."""
        named = {request.query_params.get("session_hash")}
        if request.method == "POST":
            if _length(request) > MAX_BODY:
                raise HTTPException(413, f"Send at most {MAX_BODY // 1_000_000} MB at once.")
            try:
                body = json.loads(await request.body() or b"null")
            except ValueError as error:
                raise HTTPException(400, "Send JSON.") from error
            if isinstance(body, dict):
                named.add(body.get("session_hash"))
            home = self.visitors.uploads / visitor
            if not all(isinstance(path, str) and _within(path, home) for path in _paths(body)):
                raise HTTPException(403, "Upload the file first: only files that you uploaded are taken.")
        owner = SHARED if request.headers.get("x-gradio-user") == SHARED else visitor
        for session in named - {None}:
            if self._owner(str(session), owner) not in (owner, visitor, SHARED):
                raise HTTPException(403, "This session is not yours: reload the page.")

    def _owner(self, session: str, claimant: str) -> str:
        """Find the owner of a session: whoever named it first."""
        owner = self._sessions.setdefault(session, claimant)
        self._sessions.move_to_end(session)
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return owner

    async def _upload(self, request: Request, visitor: str) -> list[str]:
        """Save the files of a request, each in a folder of its own within the visitor's; return their paths."""
        home = self.visitors.uploads / visitor
        length, waiting = _length(request), sum(file.stat().st_size for file in home.glob("*/*"))
        if length > self.max_upload:
            raise HTTPException(413, f"Upload at most {self.max_upload // 1_000_000} MB at once.")
        if length + waiting > 2 * self.max_upload:
            raise HTTPException(429, "You uploaded much: upload more in half an hour.")
        paths = []
        async with request.form(max_files=MAX_FILES, max_fields=MAX_FILES) as form:
            for file in form.getlist("files"):
                if isinstance(file, UploadFile):
                    paths.append(await run_sync(_keep, file, home))
        return paths


def _logged_in(request: Request) -> bool:
    """Tell whether gradio knows the request's login; true where there is no login."""
    gradio = request.app
    kept = (request.cookies.get(f"access-token{kind}-{gradio.cookie_id}") for kind in ("", "-unsecure"))
    return gradio.auth is None or any(token in gradio.tokens for token in kept)


def _keep(file: UploadFile, home: Path) -> str:
    folder = home / secrets.token_hex(16)
    folder.mkdir(parents=True)
    path = folder / (strip_invalid_filename_characters(Path(file.filename or "").name) or "file")
    with path.open("xb") as kept:
        while piece := file.file.read(1 << 20):
            kept.write(piece)
    return str(path)


def _within(path: str, home: Path) -> bool:
    try:
        return Path(path).resolve().is_relative_to(home)
    except (OSError, ValueError):  # not a path at all
        return False


def _paths(value: Any) -> Iterator[Any]:
    """Find all that gradio could take for a file: what stands under "path", at any depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if one.get("path") is not None or "gradio.FileData" in str(one.get("meta")):
                yield one.get("path")
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _path(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _length(request: Request) -> int:
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise HTTPException(411, "Say how long the request is.")
    return int(length)


def _replayed(body: bytes, receive: Receive) -> Receive:
    replayed = False

    async def receive_again() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
