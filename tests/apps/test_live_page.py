"""The page that `streams dev` serves, in a real browser: two screens, one stream."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shlex
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, WebSocketRoute, async_playwright, expect
from starlette.types import Receive, Scope, Send

from streams.dev.nats_server import NatsServer
from streams.discovery import discover
from streams.faas.asgi import functions_app
from streams.gateway.hub import Hub
from streams.gateway.server import App, listening
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.store import Store

# One Chromium for all: it takes longer to start than any test takes to run.
pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]
fixture = partial(pytest_asyncio.fixture, loop_scope="module")

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
PAGE = FUNCTIONS / "todo" / "web" / "index.html"
PICTURE = os.environ.get("STREAMS_SCREENSHOT")
"""Where to save the picture for the README. The page is then served on port 3000, which the picture shows."""

SECONDS = 10.0
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@fixture()
async def dev_url(nats: NatsServer, namespace: Namespace) -> AsyncIterator[str]:
    """What `streams dev` serves on one port: the page, the sockets, the steps and their documentation."""
    async with AsyncExitStack() as opened:
        connection = await opened.enter_async_context(connected_to(nats.url))
        await provision(connection, namespace, "todo")
        sock = socket.create_server(("127.0.0.1", 3000 if PICTURE else 0))
        hub = await opened.enter_async_context(Hub.running(JetStreamFeed(connection, namespace)))
        await opened.enter_async_context(listening(hub, sock, page_and_steps(KvStore(connection, namespace))))
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"


def page_and_steps(store: Store) -> App:
    steps = functions_app(discover(FUNCTIONS), store)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/":
            await steps(scope, receive, send)
            return
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE.read_bytes()})

    return app


@fixture()
async def http(dev_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=dev_url, trust_env=False) as client:
        yield client


@fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    expect.set_options(timeout=SECONDS * 1000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        await browser.close()


@dataclass
class Screen:
    """One person's browser with the page open."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """What the browser's console said at level error. A test that expects some takes them out."""
    asked: list[str] = field(default_factory=list)
    """Every address that the page loaded something from."""

    @property
    def texts(self) -> Locator:
        return self.page.locator("#todos .text")

    @property
    def status(self) -> Locator:
        return self.page.get_by_role("status")

    @property
    def problem(self) -> Locator:
        return self.page.get_by_role("alert")

    @property
    def field(self) -> Locator:
        return self.page.get_by_label("What is to be done")

    def box(self, text: str) -> Locator:
        return self.page.get_by_role("checkbox", name=f"Done: {text}")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    async def add(self, text: str) -> None:
        await self.field.fill(text)
        await self.field.press("Enter")

    async def shows(self, *texts: str) -> None:
        await expect(self.texts).to_have_text(list(texts))


@fixture()
async def people(chromium: Browser, dev_url: str) -> AsyncIterator[People]:
    """Opens screens. At the end none of them may have complained, while the server is there still."""
    async with AsyncExitStack() as opened:
        people = People(chromium, dev_url, opened)
        yield people
        assert [screen.complaints for screen in people.screens if screen.complaints] == []


class People:
    """Opens screens, each in a browser context of its own."""

    def __init__(self, browser: Browser, url: str, opened: AsyncExitStack) -> None:
        self.browser, self._url, self._opened = browser, url, opened
        self.screens: list[Screen] = []

    async def screen(self, **options: Any) -> Screen:
        """A screen that shows nothing yet."""
        context = await self._opened.enter_async_context(await self.browser.new_context(**options))
        screen = Screen(await context.new_page())
        self.screens.append(screen)
        screen.page.on(
            "console", lambda said: screen.complaints.append(said.text) if said.type == "error" else None
        )
        screen.page.on("pageerror", lambda error: screen.complaints.append(str(error)))
        screen.page.on("request", lambda request: screen.asked.append(request.url))
        return screen

    async def open(self, **options: Any) -> Screen:
        """A screen that is live."""
        screen = await self.screen(**options)
        await screen.page.goto(self._url)
        await expect(screen.status).to_have_text("Live")
        return screen


@fixture()
async def ann(people: People) -> Screen:
    return await people.open()


@fixture()
async def bob(people: People) -> Screen:
    return await people.open()


class TestTwoScreens:
    async def test_what_one_adds_shows_on_both_in_the_order_of_creation(
        self, ann: Screen, bob: Screen
    ) -> None:
        await ann.add("Call mum")
        await bob.shows("Call mum")
        await bob.add("Buy milk")

        await ann.shows("Call mum", "Buy milk")
        await bob.shows("Call mum", "Buy milk")

    async def test_who_comes_later_sees_what_is_there(self, ann: Screen, people: People) -> None:
        await ann.add("Call mum")
        await ann.shows("Call mum")

        carl = await people.open()

        await carl.shows("Call mum")

    async def test_what_one_completes_is_done_for_the_other_and_can_be_opened_again(
        self, ann: Screen, bob: Screen
    ) -> None:
        await ann.add("Call mum")

        await ann.box("Call mum").click()
        await expect(bob.box("Call mum")).to_be_checked()
        await expect(ann.box("Call mum")).to_be_checked()

        await bob.box("Call mum").press("Space")
        await expect(ann.box("Call mum")).not_to_be_checked()
        await expect(bob.box("Call mum")).not_to_be_checked()

    async def test_a_text_is_edited_by_double_click_and_shows_on_both(self, ann: Screen, bob: Screen) -> None:
        await ann.add("Call mum")

        await ann.texts.dblclick()
        await ann.page.keyboard.type("Call dad")
        await ann.page.keyboard.press("Enter")

        await bob.shows("Call dad")
        await ann.shows("Call dad")

    async def test_escape_leaves_the_text_as_it_was_and_the_focus_where_it_was(
        self, ann: Screen, bob: Screen
    ) -> None:
        await ann.add("Call mum")

        await ann.button("Edit: Call mum").click()
        await ann.page.keyboard.type("Call nobody")
        await ann.page.keyboard.press("Escape")
        await expect(ann.button("Edit: Call mum")).to_be_focused()
        await ann.add("Buy milk")

        await bob.shows("Call mum", "Buy milk")

    async def test_a_field_that_was_not_touched_does_not_undo_what_another_wrote(
        self, ann: Screen, bob: Screen
    ) -> None:
        await ann.add("Call mum")
        await ann.button("Edit: Call mum").click()

        await bob.texts.dblclick()
        await bob.page.keyboard.type("Call dad")
        await bob.page.keyboard.press("Enter")
        await expect(ann.texts).to_have_text("Call dad")
        await ann.page.keyboard.press("Enter")
        await ann.add("Buy milk")

        await bob.shows("Call dad", "Buy milk")

    async def test_what_one_deletes_goes_from_both_and_the_keyboard_stays_in_the_list(
        self, ann: Screen, bob: Screen
    ) -> None:
        await ann.add("Call mum")
        await ann.shows("Call mum")
        await ann.add("Buy milk")
        await ann.shows("Call mum", "Buy milk")

        await ann.button("Delete: Call mum").press("Enter")

        await ann.shows("Buy milk")
        await bob.shows("Buy milk")
        await expect(ann.box("Buy milk")).to_be_focused()

    async def test_what_an_http_call_deletes_goes_from_both(
        self, ann: Screen, bob: Screen, http: httpx.AsyncClient
    ) -> None:
        created = (await http.post("/todo", json={"description": "Call mum"})).json()["new_value"]
        await ann.shows("Call mum")
        await bob.shows("Call mum")

        await http.delete(f"/todo/{created['id']}")

        await expect(ann.page.get_by_text("Nothing here yet.")).to_be_visible()
        await expect(bob.page.get_by_text("Nothing here yet.")).to_be_visible()
        await ann.shows()
        await bob.shows()

    async def test_the_picture_of_the_readme(self, people: People) -> None:
        size: Any = {"width": 540, "height": 600}
        light = await people.open(viewport=size, device_scale_factor=2, color_scheme="light")
        dark = await people.open(viewport=size, device_scale_factor=2, color_scheme="dark")
        for person, text in (
            (light, "Book the train to Lisbon"),
            (dark, "Buy milk"),
            (light, "Water the plants"),
            (dark, "Call mum"),
        ):
            await person.add(text)
            await expect(person.texts.last).to_have_text(text)
        await dark.box("Buy milk").click()

        for screen in (light, dark):
            await screen.shows("Book the train to Lisbon", "Buy milk", "Water the plants", "Call mum")
            await expect(screen.box("Buy milk")).to_be_checked()
        if PICTURE:
            await save_side_by_side([light, dark], people, Path(PICTURE))


class TestWhatIsShown:
    async def test_markup_is_shown_as_the_text_that_it_is(self, ann: Screen, bob: Screen) -> None:
        dialogs: list[str] = []
        for screen in (ann, bob):
            screen.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        markup = "<img src=x onerror=alert(1)>"

        await ann.add(markup)

        await ann.shows(markup)
        await bob.shows(markup)
        assert await bob.page.locator("#todos img").count() == 0
        assert dialogs == []

    async def test_a_todo_without_a_text_is_answered_with_the_sentence_of_the_api(self, ann: Screen) -> None:
        await ann.add(" ")

        await expect(ann.problem).to_have_text("Description is required")
        assert [said for said in ann.complaints if "400" not in said] == []
        ann.complaints.clear()  # the browser notes a 400 by itself

        await ann.add("Call mum")
        await ann.shows("Call mum")
        await expect(ann.problem).to_be_empty()
        await expect(ann.field).to_have_value("")

    async def test_what_is_refused_stays_in_its_field(self, ann: Screen) -> None:
        await ann.page.route(
            "**/todo",
            lambda route: route.fulfill(
                status=503, json={"error": "the store cannot be reached; try again in a moment"}
            ),
        )
        await ann.add("Call mum")

        await expect(ann.problem).to_have_text("the store cannot be reached; try again in a moment")
        await expect(ann.field).to_have_value("Call mum")
        await ann.shows()
        ann.complaints.clear()

    async def test_a_box_is_ticked_by_what_was_stored_and_not_by_the_click(self, ann: Screen) -> None:
        await ann.add("Call mum")
        await ann.page.route("**/todo/*", lambda route: route.fulfill(json={}))  # says yes and does nothing

        async with ann.page.expect_response("**/todo/*"):
            await ann.box("Call mum").click()

        await expect(ann.page.get_by_role("listitem")).not_to_have_attribute("aria-busy", "true")
        await expect(ann.box("Call mum")).not_to_be_checked()

    async def test_who_does_not_see_the_list_is_told_what_happens(self, ann: Screen, bob: Screen) -> None:
        news = bob.page.locator("[aria-live=polite]#news")

        await ann.add("Call mum")
        await expect(news).to_have_text("Added: Call mum")
        await ann.box("Call mum").click()
        await expect(news).to_have_text("Done: Call mum")
        await ann.button("Delete: Call mum").click()
        await expect(news).to_have_text("Deleted: Call mum")

    async def test_the_terminal_line_is_copied_as_it_stands_and_adds_a_todo(
        self, people: People, dev_url: str, http: httpx.AsyncClient
    ) -> None:
        ann = await people.open(permissions=["clipboard-read", "clipboard-write"])

        await ann.button("Copy").click()
        await expect(ann.button("Copied")).to_be_visible()
        line = await ann.page.evaluate("navigator.clipboard.readText()")
        await expect(ann.page.locator("#curl")).to_have_text(line)

        *options, body = shlex.split(line)
        json_type = "content-type: application/json"
        assert options == ["curl", "-X", "POST", f"{dev_url}/todo", "-H", json_type, "-d"]
        await http.post("/todo", content=body, headers={"content-type": "application/json"})
        await ann.shows("call mum")

    async def test_the_page_asks_nobody_but_its_own_server(self, ann: Screen, dev_url: str) -> None:
        assert [url for url in ann.asked if not url.startswith((f"{dev_url}/", "data:"))] == []
        await expect(ann.page.get_by_role("link", name="API documentation")).to_have_attribute(
            "href", "/docs"
        )


class Wire:
    """The gateway, played by the test: it sends what no healthy one would."""

    def __init__(self) -> None:
        self._sockets: asyncio.Queue[WebSocketRoute] = asyncio.Queue()
        self._heard: asyncio.Queue[Any] = asyncio.Queue()

    @property
    def is_called(self) -> bool:
        return not self._sockets.empty()

    def take(self, socket: WebSocketRoute) -> None:
        socket.on_message(lambda message: self._heard.put_nowait(json.loads(message)))
        self._sockets.put_nowait(socket)

    async def socket(self) -> WebSocketRoute:
        """The next socket that the page opens."""
        async with asyncio.timeout(SECONDS):
            return await self._sockets.get()

    async def heard(self) -> Any:
        """The next message that the page sends, on whichever socket."""
        async with asyncio.timeout(SECONDS):
            return await self._heard.get()

    async def joined(self) -> WebSocketRoute:
        """The next socket, with its join."""
        socket = await self.socket()
        data = {"streamName": "todo", "groupId": "inbox", "subscriptionId": "inbox"}
        assert await self.heard() == {"type": "join", "data": data}
        return socket


def frame(event: dict[str, Any], **fields: Any) -> str:
    message = {"type": "stream", "timestamp": 1, "streamName": "todo", "groupId": "inbox", "id": None}
    return json.dumps({**message, **fields, "event": event})


def sync(position: int, *ids: str) -> str:
    return frame({"type": "sync", "data": [todo(item_id) for item_id in ids]}, at=f"e.{position}")


def changed(kind: str, revision: int, item_id: str, text: str | None = None) -> str:
    return frame({"type": kind, "data": todo(item_id, text)}, id=item_id, rev=revision)


def todo(item_id: str, text: str | None = None) -> dict[str, Any]:
    return {"id": item_id, "description": text or item_id, "completed_at": None}


@pytest.fixture
def wire() -> Wire:
    return Wire()


@fixture()
async def eve(people: People, wire: Wire, dev_url: str) -> Screen:
    """A screen that talks to `wire`, whose clock stands still, and whose dice show the highest number."""
    screen = await people.screen()
    await screen.page.add_init_script("Math.random = () => 1")
    await screen.page.clock.install(time=0)
    await screen.page.clock.pause_at(1)
    await screen.page.route_web_socket(re.compile("^ws:"), wire.take)
    await screen.page.goto(dev_url)
    return screen


class TestMessages:
    async def test_an_item_never_goes_back_to_an_older_revision(self, eve: Screen, wire: Wire) -> None:
        socket = await wire.joined()
        socket.send(sync(5, "a", "b"))

        socket.send(changed("update", 5, "b", "in the sync already"))
        socket.send(changed("update", 8, "a", "newest"))
        socket.send(changed("update", 7, "a", "older"))
        socket.send(changed("create", 6, "a", "older still"))
        socket.send(changed("delete", 4, "a"))
        socket.send(changed("create", 9, "c"))

        await eve.shows("newest", "b", "c")

    async def test_a_create_of_what_is_there_and_an_update_of_what_is_not_end_in_the_same_list(
        self, eve: Screen, wire: Wire
    ) -> None:
        socket = await wire.joined()
        socket.send(sync(5, "a"))

        socket.send(changed("create", 6, "a", "A"))
        socket.send(changed("update", 7, "b", "B"))
        socket.send(changed("delete", 8, "c"))

        await eve.shows("A", "B")

    async def test_a_sync_replaces_everything(self, eve: Screen, wire: Wire) -> None:
        socket = await wire.joined()
        socket.send(sync(50, "a", "b", "c"))
        await eve.shows("a", "b", "c")

        socket.send(sync(2, "c", "a"))
        socket.send(changed("update", 3, "a", "A"))

        await eve.shows("c", "A")

    async def test_a_room_that_is_refused_says_why(self, eve: Screen, wire: Wire) -> None:
        socket = await wire.joined()

        socket.send(frame({"type": "event", "event": {"type": "error", "data": {"code": "C"}}}))
        socket.send(frame({"type": "unauthorized", "code": "C", "message": "there is no stream 'todo'"}))

        await expect(eve.status).to_have_text("Refused")
        await expect(eve.problem).to_have_text("there is no stream 'todo'")


class TestTheLine:
    async def test_a_page_that_lost_its_line_says_so_and_comes_back_with_the_new_state(
        self, eve: Screen, wire: Wire
    ) -> None:
        await expect(eve.status).to_have_text("Connecting")
        socket = await wire.joined()
        socket.send(sync(1, "a"))
        await expect(eve.status).to_have_text("Live")

        await socket.close(code=1012, reason="service restart")
        await expect(eve.status).to_have_text("Reconnecting")
        await expect(eve.page.get_by_role("list")).to_have_css("opacity", "0.65")
        await eve.shows("a")

        await eve.page.clock.run_for(500)
        (await wire.joined()).send(sync(9, "a", "b"))
        await expect(eve.status).to_have_text("Live")
        await expect(eve.page.get_by_role("list")).to_have_css("opacity", "1")
        await eve.shows("a", "b")

    async def test_every_try_waits_up_to_twice_as_long_but_never_over_thirty_seconds(
        self, eve: Screen, wire: Wire
    ) -> None:
        for milliseconds in (500, 1000, 2000, 4000, 8000, 16000, 30000, 30000):
            await (await wire.socket()).close()
            await expect(eve.status).to_have_text("Reconnecting")
            await eve.page.clock.run_for(milliseconds - 1)
            assert not wire.is_called
            await eve.page.clock.run_for(1)

    async def test_a_line_that_was_good_starts_the_waiting_anew(self, eve: Screen, wire: Wire) -> None:
        for _ in range(3):
            socket = await wire.joined()
            socket.send(sync(1))
            await expect(eve.status).to_have_text("Live")
            await socket.close()
            await expect(eve.status).to_have_text("Reconnecting")
            await eve.page.clock.run_for(500)

    async def test_a_page_whose_network_is_back_does_not_wait(self, eve: Screen, wire: Wire) -> None:
        await (await wire.joined()).close()
        await expect(eve.status).to_have_text("Reconnecting")

        await eve.page.evaluate("dispatchEvent(new Event('online'))")

        (await wire.joined()).send(sync(1, "a"))
        await eve.shows("a")

    async def test_a_line_that_answers_is_kept(self, eve: Screen, wire: Wire) -> None:
        socket = await wire.joined()
        socket.send(sync(1))
        await expect(eve.status).to_have_text("Live")

        for revision in (2, 3, 4):
            await eve.page.clock.run_for(20_000)
            assert await wire.heard() == {"type": "ping"}
            socket.send('{"type":"pong"}')
            # What was sent after the pong is shown after the pong was read.
            socket.send(changed("update", revision, "a", f"{revision}"))
            await eve.shows(f"{revision}")

        await expect(eve.status).to_have_text("Live")
        assert not wire.is_called

    async def test_a_dead_line_is_noticed_and_left(self, eve: Screen, wire: Wire) -> None:
        (await wire.joined()).send(sync(1, "a"))
        await expect(eve.status).to_have_text("Live")

        await eve.page.clock.run_for(20_000)
        assert await wire.heard() == {"type": "ping"}
        await eve.page.clock.run_for(10_000)
        await expect(eve.status).to_have_text("Reconnecting")

        await eve.page.clock.run_for(500)
        (await wire.joined()).send(sync(2, "a", "b"))
        await eve.shows("a", "b")

    async def test_a_socket_that_opens_and_says_nothing_is_left(self, eve: Screen, wire: Wire) -> None:
        await wire.joined()

        await eve.page.clock.run_for(10_000)

        await expect(eve.status).to_have_text("Reconnecting")


async def save_side_by_side(screens: list[Screen], people: People, path: Path) -> None:
    """One picture of several screens, 1400 pixels wide, on nothing: it suits a light page and a dark one."""
    pictures = []
    for screen in screens:
        await screen.page.evaluate(
            "document.activeElement.blur(), Promise.all(document.getAnimations().map((a) => a.finished))"
        )
        png = await screen.page.screenshot(full_page=True)
        pictures.append(f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}">')
    table = await people.screen(viewport={"width": 1400, "height": 900})
    await table.page.set_content(
        "<!doctype html><style>body{margin:0}div{display:flex;align-items:flex-start;gap:24px;padding:8px}"
        "img{flex:1;min-width:0;border-radius:14px;box-shadow:0 0 0 1px #8886}</style>"
        f"<div>{''.join(pictures)}</div>"
    )
    await table.page.locator("div").screenshot(path=path, omit_background=True)
