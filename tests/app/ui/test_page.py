"""The endpoints for programs, over HTTP, on a tiny random model."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from app.settings import Settings
from app.ui.page import build
from app.workbench import Workbench
from ccf_core import Adapter
from tools import api_docs


@pytest.fixture(scope="module")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the app at ``address``."""
    return tmp_path_factory.mktemp("ui") / "data"


@pytest.fixture(scope="module")
def address(tiny_model_folders: tuple[Path, Path], tiny_data: Path) -> Iterator[str]:
    base, adapter = tiny_model_folders
    settings = Settings(tiny_data, adapter=adapter, base=str(base), device="cpu", dtype="float32")
    with pytest.MonkeyPatch.context() as patch, Workbench(settings) as workbench:
        patch.setenv("GRADIO_TEMP_DIR", str(tiny_data.parent / "uploads"))
        page = build(workbench)
        _, address, _ = page.queue().launch(
            server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, mcp_server=True
        )
        yield address
        page.close(verbose=False)


@pytest.fixture(scope="module")
def client(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client(
        address, verbose=False, download_files=tmp_path_factory.mktemp("downloads"), analytics_enabled=False
    )
    yield client
    client.close()


@pytest.fixture
def tools(address: str) -> Callable[..., Any]:
    """``tools(use)``: what ``use(session)`` gives in a session over the Model Context Protocol."""

    def run(use: Callable[[ClientSession], Awaitable[Any]]) -> Any:
        async def session() -> Any:
            connection = streamable_http_client(f"{address}gradio_api/mcp/")
            async with connection as (read, write, _), ClientSession(read, write) as opened:
                await opened.initialize()
                return await use(opened)

        return asyncio.run(session())

    return run


@pytest.fixture
def stored(client: Client, prose: Callable[..., str], tmp_path: Path) -> Iterator[str]:
    """SHA-256 of a document in the library for the time of one test."""
    path = tmp_path / "log.txt"
    path.write_text(prose(120), encoding="utf-8")
    sha = client.predict(handle_file(path), api_name="/ingest")["document"]["sha256"]
    yield sha
    if sha in [view["sha256"] for view in client.predict(api_name="/documents")]:
        client.predict(sha, api_name="/delete")


def test_exactly_the_promised_endpoints_have_names(client: Client) -> None:
    described = client.view_api(print_info=False, return_format="dict")
    assert set(described["named_endpoints"]) == {
        "/documents", "/ingest", "/ingest_text", "/search", "/left_out", "/rename", "/delete", "/ask", "/compare",
        "/reconstruct", "/attention", "/summary", "/surgery", "/savings",
    }  # fmt: skip
    assert not described["unnamed_endpoints"]


def test_the_page_of_endpoints_is_what_the_app_tells(tmp_path: Path) -> None:
    with Workbench(Settings(tmp_path)) as workbench:
        told = api_docs.markdown(build(workbench))
    assert (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8") == told


def test_every_endpoint_is_a_tool_whose_arguments_are_explained(client: Client, tools: Callable[..., Any]) -> None:
    described = client.view_api(print_info=False, return_format="dict")
    listed = {tool.name: tool for tool in tools(lambda session: session.list_tools()).tools}
    assert {f"/{name}" for name in listed} == set(described["named_endpoints"])
    for tool in listed.values():
        assert tool.description
        assert all(argument["description"] for argument in tool.inputSchema["properties"].values())


def test_a_text_is_taken_in_and_found_by_tools(tools: Callable[..., Any], prose: Callable[..., str]) -> None:
    def call(name: str, **arguments: Any) -> Any:
        result = tools(lambda session: session.call_tool(name, arguments))
        return result.isError, result.content[0].text

    failed, taken = call("ingest_text", text=prose(60, seed=9) + " Zanzibar.", title="Cargo")
    sha = ast.literal_eval(taken)["document"]["sha256"]
    assert not failed
    assert ast.literal_eval(call("rename", document=sha, title="Cargo of the day")[1])["title"] == "Cargo of the day"
    (hit,) = ast.literal_eval(call("search", query="zanzibar")[1])
    assert hit["document"]["sha256"] == sha
    assert call("delete", document=sha) == (False, "True")
    assert ast.literal_eval(call("search", query="zanzibar")[1]) == []
    failed, sentence = call("savings", document=sha)
    assert failed
    assert "There is no document" in sentence


def test_from_a_file_to_an_answer_and_gone_again(client: Client, prose: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "fog.txt"
    path.write_text(prose(150, seed=5), encoding="utf-8")
    ingested = client.predict(handle_file(path), api_name="/ingest")
    sha = ingested["document"]["sha256"]
    assert ingested["segments"] == ingested["encoded_segments"] > 1
    assert set(ingested["slots"]) == {"4", "8", "16", "32"}
    assert [view["sha256"] for view in client.predict(api_name="/documents")] == [sha]

    answer = client.predict("What did the fog hide?", [sha], 4, "memory", api_name="/ask")
    assert answer["documents"] == [sha]
    assert answer["evidence"]
    assert all(piece["text"] for piece in answer["evidence"])
    assert answer["kv_bytes"] > 0

    compared = client.predict("What did the fog hide?", [sha], ["4x", "full"], api_name="/compare")
    assert [one["setting"] for one in compared] == ["full", "4x"]
    assert compared[1]["answer"]["text"] == answer["text"]

    segment = client.predict(sha, 1, 8, api_name="/reconstruct")
    assert (segment["segment"], segment["ratio"]) == (1, 8)
    assert segment["original"] in path.read_text(encoding="utf-8")
    savings = client.predict(sha, api_name="/savings")
    assert [row["ratio"] for row in savings["ratios"]] == [4, 8, 16, 32]
    assert savings["tokens"] == ingested["tokens"]

    assert client.predict(sha, api_name="/delete") is True
    assert client.predict(api_name="/documents") == []


def test_the_same_file_again_comes_from_the_cache(client: Client, stored: str, tmp_path: Path) -> None:
    again = client.predict(handle_file(tmp_path / "log.txt"), api_name="/ingest")
    assert again["from_cache"]
    assert again["encoded_segments"] == 0
    assert again["document"]["sha256"] == stored


@pytest.mark.parametrize(
    ("endpoint", "arguments"),
    [
        ("/ask", ("Who?", ["0" * 64])),
        ("/compare", ("Who?", ["0" * 64])),
        ("/reconstruct", ("0" * 64, 0)),
        ("/attention", ("0" * 64, 0)),
        ("/summary", ("0" * 64, 0)),
        ("/surgery", ("0" * 64, 0)),
        ("/savings", ("0" * 64,)),
        ("/delete", ("0" * 64,)),
    ],
)
def test_a_missing_document_is_a_sentence(client: Client, endpoint: str, arguments: tuple) -> None:
    with pytest.raises(AppError, match="document"):
        client.predict(*arguments, api_name=endpoint)


def test_what_cannot_be_done_is_said_and_changes_nothing(client: Client, stored: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(AppError, match="The file is empty"):
        client.predict(handle_file(empty), api_name="/ingest")
    with pytest.raises(AppError, match="There is no document to ask"):
        client.predict("Who?", [], api_name="/ask")
    with pytest.raises(AppError, match="no segment"):
        client.predict(stored, 10_000, api_name="/reconstruct")
    assert [view["sha256"] for view in client.predict(api_name="/documents")] == [stored]


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_a_file_that_was_not_uploaded_is_refused(
    client: Client, address: str, tmp_path: Path, meta: dict[str, object]
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("The password of the harbour master is seven ships.", encoding="utf-8")
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as http:
        payload = {"data": [{"path": str(secret)} | meta]}
        event = http.post("gradio_api/call/ingest", json=payload).raise_for_status().json()["event_id"]
        said = http.get(f"gradio_api/call/ingest/{event}").text
    assert "event: error" in said
    assert "complete" not in said
    assert client.predict(api_name="/documents") == []


def test_looking_into_a_segment_and_operating_on_it(client: Client, stored: str) -> None:
    looked = client.predict(stored, 1, 8, api_name="/attention")
    assert [slot["level"] for slot in looked["slots"]] == [32, 16, 8, 8]
    assert [len(row) for row in looked["weights"]] == [len(looked["words"])] * 4
    original = client.predict(stored, 1, 8, api_name="/reconstruct")["original"]
    assert "".join(looked["words"]) == original
    said = client.predict(stored, 1, 8, api_name="/summary")
    assert (said["slots"], said["key_sentence"]) == (4, looked["key_sentence"])
    operated = client.predict(stored, 1, 8, "8, 32", "0-1", "", "", "", api_name="/surgery")
    assert (operated["off"], operated["intact"]["slots"], operated["operated"]["slots"]) == (
        "levels 32x, 8x; layers 0-1", 4, 1,
    )  # fmt: skip
    asked = client.predict(stored, 1, 8, "", "", "0", "", "What did the fog hide?", api_name="/surgery")
    assert (asked["question"], asked["off"]) == ("What did the fog hide?", "heads 0 of every layer")
    with pytest.raises(AppError, match="no layer 9: choose from 0 to 1"):
        client.predict(stored, 1, 8, "", "9", "", "", "", api_name="/surgery")
    with pytest.raises(AppError, match="write them like 0-3, 7"):
        client.predict(stored, 1, 8, "all", "", "", "", "", api_name="/surgery")


def test_a_segment_under_two_adapters(client: Client, stored: str, settings: Settings, tiny_data: Path) -> None:
    Adapter.load(settings.adapter).save(tiny_data / "adapters" / "second")
    found = client.predict(stored, 1, 8, "8", "", "", "", "", "second", api_name="/surgery")
    assert found["adapters"][1] == "second"
    assert (found["off"], found["used"]["text"]) == ("levels 8x", found["other"]["text"])
    with pytest.raises(AppError, match="There is no adapter “third”: choose"):
        client.predict(stored, 1, 8, "", "", "", "", "", "third", api_name="/surgery")
