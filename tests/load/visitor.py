"""One visitor as a browser would be: a page that looks once a second, one hand that uses the model, one that does not.

Everything goes the way of the page: a request to join the queue, and the stream of what comes of it; what a page does
not queue, one request.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from app.ui.stamps import STAMP
from tests.load.server import HEADER, PATIENCE_S

WORDS = [
    *("fog", "harbour", "master", "ship", "seven", "counted", "again", "rain", "evening", "light", "crew", "letter"),
    *("lamp", "pier", "rope", "captain", "island", "winter", "morning", "bread", "coal", "engine", "signal", "storm"),
]
#: Parts of the page that come first among what a look gives, and of which it is sent the stamps last.
PARTS = 4
#: Documents of its own that a hand keeps before it deletes the oldest.
KEPT = 4
USES_MODEL = ("ingest", "ask", "reconstruct", "attention")
QUESTIONS = ("How many ships were counted?", "Who wrote the letter?", "What is this about?")


@dataclass(frozen=True)
class Action:
    """``outcome`` is done, busy (refused with that sentence), or error; ``began`` is on ``time.monotonic``'s clock."""

    kind: str
    visitor: int
    began: float
    seconds: float
    outcome: str
    said: str = ""


@dataclass(frozen=True)
class Page:
    """Numbers of the handlers that a visitor uses; ``sent``, by number, what a page sends them that was just opened;
    ``queued``, those that go through the queue; ``call``, where in the values of a poll the page is told to look."""

    by_name: dict[str, int]
    add_files: int
    open_text: int
    poll: int
    call: int
    look: int
    every_s: float
    sent: dict[int, list[Any]]
    queued: frozenset[int]

    @classmethod
    def of(cls, config: dict[str, Any]) -> Page:
        ids = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
        events = config["dependencies"]

        def on(event: str, *elements: Any) -> dict[str, Any]:
            return next(e for e in events if any(t[1] == event and t[0] in elements for t in e["targets"]))

        # Others begin with something that they follow.
        timers = [part for part in config["components"] if part["type"] == "timer" and part["props"]["active"]]
        by_name = {e["api_name"]: e["id"] for e in events if e["api_name"]}
        add_files, open_text = on("upload", ids["upload"]), on("place", ids["hits"])
        poll = on("tick", *(timer["id"] for timer in timers))
        look = on("change", *poll["outputs"])
        call = poll["outputs"].index(look["targets"][0][0])
        # The server alone knows what a state holds.
        values = {c["id"]: None if c["type"] == "state" else c["props"].get("value") for c in config["components"]}
        sent = {e["id"]: [values[id] for id in e["inputs"]] for e in events}
        queued = frozenset(e["id"] for e in events if e["queue"] is not False)
        numbers = add_files["id"], open_text["id"], poll["id"], call, look["id"]
        return cls(by_name, *numbers, timers[0]["props"]["value"], sent, queued)


class Refused(Exception):
    """What the server said instead of a result."""


@dataclass
class Visitor:
    """``kept``: titles of documents that the server said it has, each with a word that is in no other."""

    number: int
    client: httpx.AsyncClient
    page: Page
    actions: list[Action]
    token: str = ""
    kept: dict[str, str] = field(default_factory=dict)
    written: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.number)
        self._session = f"load-{self.number}"
        self._coming: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._stream: asyncio.Task[None] | None = None

    async def live(self, ended: asyncio.Event, with_page: bool, after_s: float) -> None:
        """Arrive and act until ``ended``; what is under way then is left alone and counts as nothing."""
        await asyncio.sleep(after_s)
        self.token = await self._timed("arrive", self._arrive)
        hands = [self._use_model, self._use_library, *([self._watch] if with_page else [])]
        tasks = [asyncio.create_task(hand()) for hand in hands]
        ending = asyncio.create_task(ended.wait())
        await asyncio.wait([ending, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, ending):
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    # Its hands

    async def _arrive(self) -> str:
        answer = await self.client.post("/visitor")
        if answer.status_code != 200:
            raise Refused(answer.text)
        return str(answer.json()["token"])

    async def _use_model(self) -> None:
        mine: list[tuple[str, str]] = []
        while True:
            await asyncio.sleep(self.chance.uniform(1, 3))
            kind = self.chance.choices(USES_MODEL, (2, 6, 1, 1))[0] if mine else "ingest"
            if kind == "ingest":
                if len(mine) >= KEPT:
                    title, sha256 = mine.pop(0)
                    await self._delete("delete", title, sha256)
                if (uploaded := await self._upload()) is None:
                    continue
                title, word, path = uploaded
                done = await self._do("ingest", self.page.by_name["ingest"], [_file(path)])
                if done:
                    self.kept[title] = word
                    mine.append((title, done[0]["document"]["sha256"]))
                continue
            sha256 = self.chance.choice(mine)[1]
            values = [self.chance.choice(QUESTIONS), [sha256], 4, "memory", 0, ""] if kind == "ask" else [sha256, 0, 4]
            await self._do(kind, self.page.by_name[kind], values)

    async def _use_library(self) -> None:
        listed: list[dict[str, Any]] = []
        mine: list[str] = []
        while True:
            await asyncio.sleep(self.chance.uniform(2, 6))
            kind = self.chance.choices(("documents", "search", "open", "upload"), (4, 3, 4, 1))[0]
            if kind == "documents":
                listed = (await self._do("list", self.page.by_name["documents"], []) or [listed])[0]
            elif kind == "search":
                await self._do("search", self.page.by_name["search"], [self.chance.choice(WORDS), 20])
            elif kind == "open" and listed:
                # What the other hand deletes meanwhile is not there to be opened.
                stays = [one["sha256"] for one in listed if not one["title"].startswith("visitor")]
                place = {"of": self.chance.choice(stays), "start": 0, "end": 40}
                await self._do("open", self.page.open_text, self.page.sent[self.page.open_text], event_data=place)
            elif kind == "upload":
                ready = {one["title"]: one["sha256"] for one in listed if one["state"] == "ready"}
                if len(mine) >= KEPT:
                    if (old := mine[0]) in ready:
                        mine.pop(0)
                        await self._delete("delete", old, ready[old])
                    continue
                if (uploaded := await self._upload()) is None:
                    continue
                title, word, path = uploaded
                others = self.page.sent[self.page.add_files][1:]
                if await self._do("queue a file", self.page.add_files, [[_file(path)], *others]) is not None:
                    self.kept[title] = word
                    mine.append(title)

    async def _watch(self) -> None:
        shown: list[Any] = self.page.sent[self.page.poll][-PARTS:]
        while True:
            await asyncio.sleep(self.page.every_s)
            told = await self._look(self.page.poll, shown)
            # Every call is a new value, and anything else tells that there is none.
            if told and not isinstance(told[self.page.call], dict):
                await self._look(self.page.look, shown)

    async def _look(self, number: int, shown: list[Any]) -> list[Any] | None:
        """A look of a page that shows these parts, and those that it shows now."""
        told = await self._do("look", number, [*self.page.sent[number][:-PARTS], *shown])
        if told:
            shown[:] = [was if isinstance(new, dict) else new[:STAMP] for was, new in zip(shown, told, strict=False)]
        return told

    # What they do

    async def _upload(self) -> tuple[str, str, str] | None:
        """(title, word, path on the server) of a new small document, None if it was not taken."""
        self.written += 1
        title, word = f"visitor {self.number} text {self.written}", f"xq{self.number}x{self.written}q"
        text = f"{word}. " + " ".join(self.chance.choices(WORDS, k=self.chance.randint(40, 120))) + "."
        try:
            (path,) = await self._timed("upload", lambda: self._post(title, text))
        except Refused:
            return None
        return title, word, path

    async def _post(self, title: str, text: str) -> list[str]:
        answer = await self.client.post(
            "/gradio_api/upload", files={"files": (f"{title}.txt", text.encode())}, headers={HEADER: self.token}
        )
        if answer.status_code != 200:
            raise Refused(answer.text)
        return answer.json()

    async def _delete(self, kind: str, title: str, sha256: str) -> None:
        self.kept.pop(title, None)
        await self._do(kind, self.page.by_name["delete"], [sha256])

    async def _do(self, kind: str, number: int, values: list[Any], event_data: Any = None) -> list[Any] | None:
        """Values of an event, None if it was refused or failed."""
        try:
            return await self._timed(kind, lambda: self.event(number, values, event_data))
        except Refused:
            return None

    async def _timed(self, kind: str, act: Callable[[], Awaitable[Any]]) -> Any:
        began, outcome, said = time.monotonic(), "done", ""
        try:
            return await act()
        except (Refused, httpx.HTTPError) as error:
            said = f"{type(error).__name__}: {error}"
            outcome = "busy" if "busy, " in said and " ahead of you" in said else "error"
            raise Refused(said) from error
        finally:
            if outcome != "done" or not _cancelled():
                self.actions.append(Action(kind, self.number, began, time.monotonic() - began, outcome, said))

    async def event(self, number: int, values: list[Any], event_data: Any = None) -> list[Any]:
        """Values of an event of the page. Raises Refused, httpx.HTTPError."""
        body = {"data": values, "fn_index": number, "session_hash": self._session, "event_data": event_data}
        if number not in self.page.queued:
            answer = await self.client.post("/gradio_api/run/predict", json=body, headers={HEADER: self.token})
            if answer.status_code != 200:
                raise Refused(answer.text)
            return list(answer.json()["data"])
        joined = await self.client.post("/gradio_api/queue/join", json=body, headers={HEADER: self.token})
        if joined.status_code != 200:
            raise Refused(joined.text)
        coming = self._awaited(joined.json()["event_id"])
        if self._stream is None or self._stream.done():
            self._stream = asyncio.create_task(self._listen())
        message = await asyncio.wait_for(coming, PATIENCE_S)
        del self._coming[joined.json()["event_id"]]
        if not message["success"]:
            raise Refused(str(message["output"].get("error")))
        return list(message["output"]["data"])

    async def _listen(self) -> None:
        """The one stream of a page, open as long as something is to come."""
        try:
            await self._read()
        except httpx.HTTPError as error:
            for coming in self._coming.values():
                if not coming.done():
                    coming.set_exception(error)

    async def _read(self) -> None:
        while any(not coming.done() for coming in self._coming.values()):
            stream = self.client.stream(
                "GET", "/gradio_api/queue/data", params={"session_hash": self._session},
                headers={HEADER: self.token}, timeout=PATIENCE_S,
            )  # fmt: skip
            async with stream as lines:
                async for line in lines.aiter_lines():
                    message = json.loads(line[6:]) if line.startswith("data: ") else {}
                    if message.get("msg") == "process_completed":
                        coming = self._awaited(message["event_id"])
                        if not coming.done():
                            coming.set_result(message)

    def _awaited(self, event: str) -> asyncio.Future[dict[str, Any]]:
        """What comes of an event; it may come before the answer that names the event."""
        return self._coming.setdefault(event, asyncio.get_running_loop().create_future())


def _file(path: str) -> dict[str, Any]:
    return {"path": path, "orig_name": path.rsplit("/", 1)[-1], "meta": {"_type": "gradio.FileData"}}


def _cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
