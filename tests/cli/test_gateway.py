"""`streams gateway` as it is deployed: processes, tokens, a folder or none."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.auth.issued import AUDIENCE, ISSUER, SECRET
from tests.browser import Browser, Tab
from tests.cli.typed import Typed
from tests.core.written_app import App
from tests.dev.commands import Command, free_port, running
from tests.tokens import token

Start = Callable[..., AbstractAsyncContextManager["Deployed"]]
WHOSE = ("--issuer", ISSUER, "--audience", AUDIENCE)


@dataclass
class Deployed:
    """A gateway of its own process."""

    command: Command
    url: str
    browser: Browser

    async def joined(self, stream: str, group: str, **options: object) -> Tab:
        """A socket that has asked for a group; what it is told is next."""
        tab = await self.browser.open(**options)
        await tab.join(stream, group)
        return tab


@pytest.fixture
def tenants(app: App) -> App:
    """An application with an open stream, and one in which everybody sees a group of their own."""
    app.write("news_stream.py", 'from streams import Stream\n\nnews = Stream("news", dict, public=True)\n')
    app.write(
        "mail_stream.py",
        """
        from streams import Stream

        def is_own(subscription, user):
            return user is not None and subscription.group == user["name"]

        mail = Stream("mail", dict, can_access=is_own)
        """,
    )
    app.write(
        "stream_auth.py",
        """
        async def authenticate(request, claims):
            return None if claims is None else {"name": claims.sub.upper()}
        """,
    )
    return app


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMS_JWT_SECRET", SECRET)


@pytest.fixture
def start(streams: Typed, tenants: App, opened: AsyncExitStack, monkeypatch: pytest.MonkeyPatch) -> Start:
    assert streams("provision", tenants.folder).code == 0
    for name, value in streams.env.items():
        monkeypatch.setenv(name, value)

    @asynccontextmanager
    async def started(*options: str) -> AsyncIterator[Deployed]:
        port = free_port()
        async with running(
            "gateway", *options, "--port", str(port), "--metrics-port", "0", cwd=tenants.folder.parent
        ) as command:
            await command.says(f"gateway at ws://127.0.0.1:{port}")
            url = f"ws://127.0.0.1:{port}/"
            yield Deployed(command, url, Browser(url, opened))

    return started


def offering(sub: str) -> dict[str, object]:
    return {"subprotocols": ["Authorization", token(sub)]}


@pytest.mark.usefixtures("keys")
async def test_a_gateway_with_the_folder_asks_the_rules_of_the_application(start: Start, tenants: App):
    async with start(tenants.folder.name, *WHOSE) as gateway:
        own = await gateway.joined("mail", "ANN", **offering("ann"))
        foreign = await gateway.joined("mail", "BOB", **offering("ann"))
        anonymous = await gateway.joined("mail", "ANN")
        news = await gateway.joined("news", "today")

        assert (await own.next_event())["type"] == "sync"
        assert (await foreign.next_event())["event"]["data"]["code"] == "STREAM_ACCESS_DENIED"
        assert (await anonymous.next_event())["event"]["data"]["code"] == "STREAM_ACCESS_DENIED"
        assert (await news.next_event())["type"] == "sync"


@pytest.mark.usefixtures("keys")
async def test_a_gateway_without_the_folder_serves_open_streams_and_no_others(start: Start):
    async with start(*WHOSE) as gateway:
        guarded = await gateway.joined("mail", "ANN", **offering("ann"))
        news = await gateway.joined("news", "today")

        assert (await guarded.next_event())["event"]["data"]["code"] == "STREAM_ACCESS_DENIED"
        assert (await news.next_event())["type"] == "sync"
        assert "start it with the application's folder" in await gateway.command.says("a join was refused")


async def test_a_gateway_without_keys_refuses_tokens_and_serves_the_anonymous(start: Start):
    async with start() as gateway:
        with pytest.raises(InvalidStatus) as refused:
            await gateway.browser.open(**offering("ann"))
        news = await gateway.joined("news", "today")

        assert refused.value.response.status_code == 401
        assert (await news.next_event())["type"] == "sync"
        assert "no keys are configured" in await gateway.command.says("a socket was refused")


@pytest.mark.usefixtures("keys")
async def test_who_is_revoked_from_a_shell_is_out(start: Start, streams: Typed, tenants: App):
    async with start(tenants.folder.name, *WHOSE) as gateway:
        own = await gateway.joined("mail", "ANN", **offering("ann"))
        await own.next()

        assert (await streams.inside("revoke", "--sub", "ann")).code == 0

        assert (await own.closed())[0] == 4401
        with pytest.raises(InvalidStatus) as refused:
            await gateway.browser.open(**offering("ann"))
        assert b"TOKEN_REVOKED" in refused.value.response.body


@pytest.mark.usefixtures("keys")
async def test_who_watches_what_is_not_for_it_is_told_so_in_one_sentence(
    start: Start, streams: Typed, tenants: App
):
    async with start(tenants.folder.name, *WHOSE) as gateway:
        at = ("--url", gateway.url)

        refused = await streams.run("watch", "mail", "ANN", *at)
        bad = await streams.run("watch", "mail", "ANN", *at, "--token", "x")

        assert refused.refusal == "mail/ANN: you may not see this"
        assert "does not accept the token" in bad.refusal


async def test_pages_of_this_machine_are_let_in_by_name_only(start: Start):
    async with start("--origin", "http://localhost:5173") as gateway:
        await gateway.browser.open(origin="http://localhost:5173")

        with pytest.raises(InvalidStatus) as refused:
            await gateway.browser.open(origin="http://localhost:3000")

        assert refused.value.response.status_code == 403


async def test_clients_are_told_to_come_back_when_it_ends_in_order(start: Start):
    async with start() as gateway:
        news = await gateway.joined("news", "today")
        await news.next()
        gateway.command.process.send_signal(signal.SIGTERM)

        assert (await news.closed())[0] == 1012
        assert await gateway.command.ends() == 0


async def test_it_says_that_it_runs_and_that_it_is_ready(start: Start):
    async with start() as gateway, httpx.AsyncClient(trust_env=False) as http:
        at = gateway.url.replace("ws", "http")

        assert (await http.get(f"{at}healthz")).text == "ok\n"
        assert (await http.get(f"{at}readyz")).text == "ready\n"


@pytest.mark.parametrize(
    ("options", "secret", "sentence"),
    [
        ((), SECRET, "nobody says who makes the tokens"),
        (("--issuer", ISSUER), SECRET, "--no-audience"),
        (WHOSE, "too short", "32"),
        ((*WHOSE, "--no-audience"), SECRET, "cannot both be"),
        ((*WHOSE, "--origin", "app.example.com"), SECRET, "is not the origin of a page"),
    ],
    ids=["issuer", "audience", "secret", "both", "origin"],
)
def test_it_does_not_start_with_settings_that_would_let_the_wrong_people_in(
    streams: Typed,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    secret: str,
    sentence: str,
):
    monkeypatch.setenv("STREAMS_JWT_SECRET", secret)

    assert sentence in streams("gateway", *options).refusal


def test_it_does_not_start_where_nothing_is_provisioned(streams: Typed):
    said = streams("gateway", "--port", "0", "--metrics-port", "0")

    assert (said.code, "streams provision" in said.err) == (1, True)
