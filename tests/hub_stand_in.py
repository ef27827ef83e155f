"""A model hub on 127.0.0.1: the few routes of its HTTP interface that huggingface_hub uses to fetch and to publish.

Repositories are lists of commits in memory, and every request is on record.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

Files = dict[str, bytes]


@dataclass
class Hub:
    """repos : the commits of each repository, (hash, its files), oldest first.
    gated, closed : repositories whose files are not given out; that nobody may write to.
    """

    repos: dict[str, list[tuple[str, Files]]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    url: str = ""

    def commit(self, repo: str, files: Files, message: str = "") -> str:
        """Add a commit whose files are exactly these; return its hash."""
        commits = self.repos.setdefault(repo, [])
        sha = hashlib.sha1(f"{repo}{len(commits)}{message}".encode()).hexdigest()
        commits.append((sha, files))
        return sha

    def add(self, repo: str, folder: Path) -> str:
        """Add a commit with the files of a folder; return its hash."""
        return self.commit(repo, {path.name: path.read_bytes() for path in folder.iterdir()})

    def at(self, repo: str, revision: str = "main") -> tuple[str, Files]:
        commits = self.repos[repo]
        return commits[-1] if revision == "main" else dict((sha, (sha, files)) for sha, files in commits)[revision]

    def downloaded(self, repo: str) -> set[str]:
        """Names of the files whose content was asked for."""
        gets = (re.fullmatch(rf"GET /{repo}/resolve/[^/]+/(.+)", line) for line in self.requests)
        return {match[1] for match in gets if match}


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def reply(self, content: Any = None, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        self.reply({"error": code}, status, X_Error_Code=code)

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for method, pattern, reply in ROUTES:
            if (match := re.fullmatch(pattern, path)) and method in (self.command, "GET" * (self.command == "HEAD")):
                return reply(self, *match.groups())
        self.refuse(404, "RepoNotFound")

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def found(self, repo: str, revision: str | None) -> tuple[str, Files] | None:
        if repo not in self.hub.repos:
            return self.refuse(401, "RepoNotFound")
        try:
            return self.hub.at(repo, revision or "main")
        except KeyError:
            return self.refuse(404, "RevisionNotFound")

    def info(self, repo: str, revision: str | None) -> None:
        if commit := self.found(repo, revision):
            self.reply({"id": repo, "sha": commit[0], "siblings": [{"rfilename": name} for name in commit[1]]})

    def tree(self, repo: str, revision: str) -> None:
        if commit := self.found(repo, revision):
            facts = [{"type": "file", "path": n, "size": len(c), "oid": _oid(c)} for n, c in commit[1].items()]
            self.reply(facts)

    def resolve(self, repo: str, revision: str, name: str) -> None:
        commit = self.found(repo, revision)
        if commit and repo in self.hub.gated:
            self.refuse(403, "GatedRepo")
        elif commit and name not in commit[1]:
            self.refuse(404, "EntryNotFound")
        elif commit:
            self.reply(commit[1][name], ETag=f'"{_oid(commit[1][name])}"', X_Repo_Commit=commit[0])

    def create(self) -> None:
        asked = json.loads(self.body)
        repo = f"{asked['organization']}/{asked['name']}"
        url = f"{self.hub.url}/{repo}"
        if repo in self.hub.closed:
            return self.reply({"error": "no"}, 403)
        if repo in self.hub.repos:
            return self.reply({"error": "You already created this model repo", "url": url}, 409)
        self.hub.commit(repo, {".gitattributes": b""})
        if asked.get("private") or asked.get("visibility") == "private":
            self.hub.private.add(repo)
        self.reply({"url": url})

    def validate(self) -> None:
        self.reply({"errors": [], "warnings": []})

    def preupload(self, repo: str, revision: str) -> None:
        """Shards go as large files, the rest within the commit."""
        names = [file["path"] for file in json.loads(self.body)["files"]]
        modes = {name: "lfs" if name.endswith(".safetensors") else "regular" for name in names}
        self.reply({"files": [{"path": n, "uploadMode": mode, "shouldIgnore": False} for n, mode in modes.items()]})

    def batch(self, repo: str) -> None:
        objects = json.loads(self.body)["objects"]
        for one in objects:
            one["actions"] = {"upload": {"href": f"{self.hub.url}/blobs/{one['oid']}"}}
        self.reply({"transfer": "basic", "objects": objects})

    def blob(self, oid: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.hub.blobs[oid] = self.body
        self.reply({})

    def change(self, repo: str, revision: str) -> None:
        files = dict(self.hub.at(repo)[1])
        lines = [json.loads(line) for line in self.body.splitlines()]
        for value, kind in ((line["value"], line["key"]) for line in lines):
            if kind == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif kind == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif kind == "deletedFile":
                del files[value["path"]]
        sha = self.hub.commit(repo, files, lines[0]["value"]["summary"])
        self.reply({"commitUrl": f"{self.hub.url}/{repo}/commit/{sha}", "commitOid": sha})


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


REPO = r"([\w.-]+/[\w.-]+)"
ROUTES = (
    ("GET", rf"/api/models/{REPO}(?:/revision/(.+))?", Handler.info),
    ("GET", rf"/api/models/{REPO}/tree/([^/]+)/?", Handler.tree),
    ("GET", rf"/{REPO}/resolve/([^/]+)/(.+)", Handler.resolve),
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", r"/api/validate-yaml", Handler.validate),
    ("POST", rf"/api/models/{REPO}/preupload/(.+)", Handler.preupload),
    ("POST", rf"/{REPO}\.git/info/lfs/objects/batch", Handler.batch),
    ("PUT", r"/blobs/(\w+)", Handler.blob),
    ("POST", rf"/api/models/{REPO}/commit/(.+)", Handler.change),
)


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Serve an empty hub for the block."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("HubHandler", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reach(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what HF_ENDPOINT does, which huggingface_hub reads once."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub for one test, with an empty cache of its own; no connection may leave this machine."""
    look_up = socket.getaddrinfo

    def only_here(host: Any, *rest: Any, **options: Any) -> Any:
        assert host in ("127.0.0.1", b"127.0.0.1"), host
        return look_up(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", only_here)
    for name in ("HF_TOKEN", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with running_hub() as hub:
        reach(hub.url, monkeypatch)
        for name, value in (
            ("HF_HUB_CACHE", str(tmp_path / "hub")),
            ("HF_TOKEN_PATH", str(tmp_path / "token")),
            ("HF_HUB_OFFLINE", False),
            ("HF_HUB_DISABLE_TELEMETRY", True),
            # Its protocol is not HTTP alone.
            ("HF_HUB_DISABLE_XET", True),
        ):
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        yield hub
