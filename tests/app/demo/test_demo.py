"""A public demo over HTTP, on a tiny random model: no visitor reaches what is another's, whatever is tried."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from app.demo.serve import serve_demo
from app.demo.visitor_page import HEADER
from app.demo.visitors import Visitors
from app.limits import Caps, Demo
from app.settings import Settings
from app.workbench import Workbench

SECRET = "The vault opens on Thursday."
#: Of a busy machine.
PATIENCE_S = 120.0
CAPS = Caps(documents=4, nbytes=20_000)


@dataclass
class Guest:
    """One visitor, by program."""

    token: str
    client: Client
    http: httpx.Client

    def call(self, name: str, *values: Any) -> Any:
        return self.client.predict(*values, api_name=name)

    def titles(self) -> set[str]:
        return {view["title"] for view in self.call("/documents")}


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def visitors(
    tiny_model_folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory, uploads: Path
) -> Iterator[Visitors]:
    base, adapter = tiny_model_folders
    home = tmp_path_factory.mktemp("demo")
    settings = Settings(home / "data", adapter=adapter, base=str(base), device="cpu", dtype="float32")
    with Workbench(settings) as template:
        template.intake.ingest_text("An example about seven ships in the fog. " * 4, "Example")
        (home / "data" / "examples-taken-in").write_text(
            "\n".join(path.name for path in (Path(__file__).parents[3] / "assets" / "examples").iterdir())
        )
        with Visitors(template, Demo(CAPS), uploads / "visitors") as visitors:
            yield visitors


@pytest.fixture(scope="module")
def address(visitors: Visitors, uploads: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(uploads))
        app, address, _ = serve_demo(visitors, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
        yield address
        app.get_blocks().close(verbose=False)


@pytest.fixture
def guest(address: str, tmp_path: Path) -> Iterator[Callable[[], Guest]]:
    """``guest()``: a new visitor of the demo."""
    made: list[Guest] = []

    def arrive() -> Guest:
        token = httpx.post(f"{address}visitor", timeout=PATIENCE_S).json()["token"]
        headers = {HEADER: token}
        client = Client(address, verbose=False, analytics_enabled=False, headers=headers, download_files=tmp_path)
        made.append(Guest(token, client, httpx.Client(base_url=address, headers=headers, timeout=PATIENCE_S)))
        return made[-1]

    yield arrive
    for one in made:
        # Closing waits a second for the client's heartbeat, which nobody else has to wait for.
        Thread(target=one.client.close, daemon=True).start()
        one.http.close()


@pytest.fixture
def two(guest: Callable[[], Guest]) -> tuple[Guest, Guest, str]:
    """Alice, Bob, and the SHA-256 of a document of Alice's, in which ``SECRET`` stands."""
    alice, bob = guest(), guest()
    taken = alice.call("/ingest_text", f"{SECRET} The fog hid seven ships again. " * 6, "Alice's diary")
    return alice, bob, taken["document"]["sha256"]


def test_every_visitor_begins_with_the_examples_and_sees_nothing_of_another(two: tuple[Guest, Guest, str]) -> None:
    alice, bob, _ = two
    assert alice.titles() == {"Example", "Alice's diary"}
    assert bob.titles() == {"Example"}
    assert len(alice.call("/search", "vault")) == 1
    assert bob.call("/search", "vault") == []


CALLS: dict[str, tuple[Any, ...]] = {
    "/rename": ("{sha}", "Bob's now"),
    "/delete": ("{sha}",),
    "/ask": ("When does the vault open?", ["{sha}"], 4),
    "/compare": ("When does the vault open?", ["{sha}"], ["full", "4x"]),
    "/reconstruct": ("{sha}", 0, 4),
    "/attention": ("{sha}", 0, 4),
    "/summary": ("{sha}", 0, 4),
    "/surgery": ("{sha}", 0, 4, "", "0"),
    "/savings": ("{sha}",),
    "/left_out": ("{sha}",),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_id_of_anothers_document_is_nobodys(two: tuple[Guest, Guest, str], name: str) -> None:
    alice, bob, sha = two
    values = json.loads(json.dumps(CALLS[name]).replace("{sha}", sha))
    try:
        said = json.dumps(bob.call(name, *values))
    except Exception as error:
        said = str(error)
    unknown = json.loads(json.dumps(CALLS[name]).replace("{sha}", "0" * 64))
    try:
        nobody = json.dumps(bob.call(name, *unknown))
    except Exception as error:
        nobody = str(error)
    assert "There is no document" in said
    assert said.replace(sha[:12], "") == nobody.replace("0" * 12, "")
    assert "Thursday" not in said
    assert "Alice's diary" in alice.titles()


def test_every_endpoint_was_tried(two: tuple[Guest, Guest, str]) -> None:
    described = two[1].client.view_api(print_info=False, return_format="dict")
    assert set(described["named_endpoints"]) == {*CALLS, "/documents", "/search", "/ingest", "/ingest_text"}
    assert not described["unnamed_endpoints"]


def test_the_same_text_is_compressed_for_each_visitor_anew(two: tuple[Guest, Guest, str]) -> None:
    alice, bob, sha = two
    text = f"{SECRET} The fog hid seven ships again. " * 6
    first = bob.call("/ingest_text", text, "Mine")
    assert (first["document"]["sha256"], first["from_cache"]) == (sha, False)
    assert alice.call("/ingest_text", text, "Mine")["from_cache"]
    assert bob.call("/delete", sha)
    assert "Alice's diary" in alice.titles()


def test_without_a_token_there_is_nothing(two: tuple[Guest, Guest, str], address: str) -> None:
    for token in ("", "guessed", two[0].token[:-1]):
        headers = {HEADER: token, "x-gradio-user": "mcp"}
        for path in ("queue/join", "call/documents", "run/documents", "api/documents", "upload", "reset", "cancel"):
            answer = httpx.post(
                f"{address}gradio_api/{path}",
                headers=headers,
                json={"data": [], "session_hash": "s"},
                timeout=PATIENCE_S,
            )
            assert answer.status_code == 401
            assert "reload the page" in answer.json()["detail"]
            assert answer.headers[HEADER] == "unknown"
        assert (
            httpx.get(f"{address}gradio_api/call/documents/x", headers=headers, timeout=PATIENCE_S).status_code == 401
        )


def test_a_login_comes_before_a_token(visitors: Visitors, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(visitors.template.settings, login=(("ann", "secret"),))
    monkeypatch.setattr(visitors.template, "settings", settings)
    app, address, _ = serve_demo(visitors, server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    file = {"files": ("note.txt", b"A note.")}
    try:
        with httpx.Client(base_url=address, timeout=PATIENCE_S) as http:
            http.headers[HEADER] = visitors.issue()
            for method, path in (("POST", "visitor"), ("DELETE", "visitor"), ("POST", "gradio_api/upload")):
                answer = http.request(method, path, files=file)
                assert answer.status_code == 401
                # The token is as good as before.
                assert HEADER not in answer.headers
            assert http.post("login", data={"username": "ann", "password": "wrong"}).status_code == 400
            assert http.post("visitor").status_code == 401
            assert http.post("login", data={"username": "ann", "password": "secret"}).status_code == 200
            assert http.post("visitor").json() == {"token": http.headers[HEADER]}
            assert len(http.post("gradio_api/upload", files=file).json()) == 1
    finally:
        app.get_blocks().close(verbose=False)


def test_files_are_served_to_nobody_and_taken_from_their_owner_alone(
    two: tuple[Guest, Guest, str], tmp_path: Path
) -> None:
    alice, bob, _ = two
    path = tmp_path / "plan.txt"
    path.write_text(f"A plan. {SECRET} " * 5)
    (uploaded,) = alice.http.post("gradio_api/upload", files={"files": path.open("rb")}).json()
    by_hash = Path(uploaded).parents[3] / hashlib.sha256(path.read_bytes()).hexdigest() / "plan.txt"
    for named in (uploaded, str(by_hash), str(path), "/etc/hostname", f"{Path(uploaded).parent}/../../x"):
        file = {"path": named, "orig_name": "plan.txt", "meta": {"_type": "gradio.FileData"}}
        for route in ("call/ingest", "run/ingest", "queue/join"):
            answer = bob.http.post(f"gradio_api/{route}", json={"data": [file], "session_hash": "b", "fn_index": 1})
            assert (answer.status_code, "Upload the file first" in answer.text) == (403, True)
        for guest in (alice, bob):
            assert guest.http.get(f"gradio_api/file={named}").status_code == 404
    assert bob.http.get("gradio_api/file=http://127.0.0.1:9/").status_code == 404
    assert bob.http.get("gradio_api/deep_link?session_hash=a").status_code == 404
    assert bob.titles() == {"Example"}
    assert alice.call("/ingest", handle_file(path))["document"]["title"] == "plan"
    assert alice.http.delete("visitor").status_code == 200
    assert not Path(uploaded).exists()


def test_uploads_have_an_end(guest: Callable[[], Guest], tmp_path: Path) -> None:
    alice, path = guest(), tmp_path / "large.txt"
    path.write_bytes(b"0" * 30_000_000)
    codes = [alice.http.post("gradio_api/upload", files={"files": path.open("rb")}).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    path.write_bytes(b"0" * 50_000_001)
    refused = alice.http.post("gradio_api/upload", files={"files": path.open("rb")})
    assert (refused.status_code, "at most 50 MB" in refused.text) == (413, True)


def test_a_session_belongs_to_who_began_it(two: tuple[Guest, Guest, str]) -> None:
    alice, bob, _ = two
    session = alice.client.session_hash
    joined = {"data": [], "fn_index": 0, "session_hash": session}
    assert bob.http.post("gradio_api/queue/join", json=joined).status_code == 403
    assert bob.http.post("gradio_api/cancel", json={**joined, "event_id": "x"}).status_code == 403
    assert bob.http.get(f"gradio_api/queue/data?session_hash={session}").status_code == 403
    pretended = {"x-gradio-user": "mcp"}
    assert bob.http.post("gradio_api/queue/join", json=joined, headers=pretended).status_code == 403


def test_page_handlers_know_their_visitor(two: tuple[Guest, Guest, str], visitors: Visitors) -> None:
    """The handlers of the page have no names; all of them are called with what is Alice's."""
    alice, bob, sha = two
    page = alice.client.config["dependencies"]
    assert len(page) > 60
    said = []
    for number, handler in enumerate(page):
        answer = bob.http.post(
            "gradio_api/run/predict",
            json={"data": [sha] * len(handler["inputs"]), "fn_index": handler["id"], "session_hash": f"bob-{number}"},
            timeout=PATIENCE_S,
        )
        said.append(answer.text)
    assert not [text for text in said if "Thursday" in text or "Alice" in text]
    assert alice.titles() == {"Example", "Alice's diary"}
    # Nor does anything get into what new visitors begin with.
    assert [view.title for view in visitors.template.library.documents()] == ["Example"]
    assert not visitors.template.conversations.list()
    assert not visitors.template.queue.list()


def test_a_token_is_kept_hashed_and_rotated_on_request(guest: Callable[[], Guest], visitors: Visitors) -> None:
    alice = guest()
    alice.call("/ingest_text", f"{SECRET} The fog hid seven ships again. " * 3, "Kept")
    assert alice.http.post("visitor").json()["token"] == alice.token
    new = alice.http.put("visitor").json()["token"]
    assert not visitors.knows(alice.token)
    assert (
        httpx.put(alice.http.base_url.join("visitor"), headers={HEADER: alice.token}, timeout=PATIENCE_S).status_code
        == 401
    )
    folder = visitors.template.settings.data_dir / "visitors" / visitors.name(new)
    assert (folder / "owner").read_text() == hashlib.sha256(new.encode()).hexdigest()
    stored = b"".join(file.read_bytes() for file in folder.parent.rglob("*") if file.is_file())
    assert new.encode() not in stored
    assert {view.title for view in visitors.workbench(new).library.documents()} == {"Example", "Kept"}


def test_who_asks_to_be_forgotten_leaves_nothing(two: tuple[Guest, Guest, str], visitors: Visitors) -> None:
    alice, bob, _ = two
    folder = visitors.template.settings.data_dir / "visitors" / visitors.name(alice.token)
    assert alice.http.delete("visitor").json() == {"token": None}
    assert not folder.exists()
    assert alice.http.post("gradio_api/call/documents", json={"data": []}).status_code == 401
    assert bob.titles() == {"Example"}


def test_caps_are_each_visitors_own(guest: Callable[[], Guest], prose: Callable[..., str]) -> None:
    alice, bob = guest(), guest()
    for seed in range(CAPS.documents - 1):
        alice.call("/ingest_text", prose(40, seed))
    with pytest.raises(Exception, match="keeps 4 documents"):
        alice.call("/ingest_text", prose(40, 9))
    assert alice.call("/ingest_text", prose(40, 0))["from_cache"]
    with pytest.raises(Exception, match=r"keeps 0\.02 MB"):
        bob.call("/ingest_text", prose(5000))
    assert bob.titles() == {"Example"}
    assert bob.call("/ingest_text", prose(40, 9))["segments"]


def test_tools_over_mcp_have_the_same_door(two: tuple[Guest, Guest, str], address: str) -> None:
    alice, bob, sha = two

    def call(token: str, name: str, **arguments: Any) -> tuple[bool, str]:
        async def session() -> Any:
            client = httpx.AsyncClient(headers={HEADER: token}, timeout=PATIENCE_S)
            connection = streamable_http_client(f"{address}gradio_api/mcp/", http_client=client)
            async with connection as (read, write, _), ClientSession(read, write) as opened:
                await opened.initialize()
                return await opened.call_tool(name, arguments)

        result = asyncio.run(session())
        return result.isError, result.content[0].text

    assert "Alice's diary" in call(alice.token, "documents")[1]
    assert "Alice" not in call(bob.token, "documents")[1]
    assert call(bob.token, "savings", document=sha)[0]
    assert call("guessed", "documents")[0]


def test_what_reaches_everybody_is_off(visitors: Visitors) -> None:
    workbench = visitors.workbench(visitors.issue())
    with pytest.raises(Exception, match="one adapter for all"):
        workbench.model.use(workbench.settings.adapter)
    with pytest.raises(Exception, match="Evaluations are off"):
        next(workbench.evaluation_runs.run("qa", 1, [4], ["memory"]))
    assert workbench.settings == replace(
        visitors.template.settings, data_dir=workbench.settings.data_dir, caps=visitors.demo.caps
    )
