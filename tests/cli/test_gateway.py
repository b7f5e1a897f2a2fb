"""`streams gateway` as it is deployed: processes, tokens, a folder or none."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from streams import Stream
from streams.jetstream.connection import Connection
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.store import bound_to
from tests.auth.issued import AUDIENCE, ISSUER, SECRET
from tests.cli.deployed import Start
from tests.cli.deployed import start as start
from tests.cli.deployed import tenants as tenants
from tests.cli.typed import Typed
from tests.core.written_app import App
from tests.gateway.stalling import connected
from tests.tokens import token

WHOSE = ("--issuer", ISSUER, "--audience", AUDIENCE)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMS_JWT_SECRET", SECRET)


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


@pytest.mark.parametrize("options", [("--stall", "1"), ("--max-unread", "1")], ids=["stall", "max-unread"])
async def test_clients_that_read_nothing_are_sent_away_by_the_limit_that_is_given(
    start: Start,
    connection: Connection,
    namespace: Namespace,
    opened: AsyncExitStack,
    options: tuple[str, ...],
):
    async with start(*options) as gateway:
        silent = [await connected(gateway.url, opened) for _ in range(8)]
        for client in silent:
            await client.join("today", stream="news")
            client.stop()

        with bound_to(KvStore(connection, namespace)):
            for number in range(4):
                await Stream("news", dict).set("today", str(number), {"text": "x" * 400_000})

        assert (await gateway.counted("clients_stalled_total", 1))["clients_behind"] < 8


async def test_it_keeps_no_more_of_what_is_watched_than_it_is_told(
    start: Start, connection: Connection, namespace: Namespace, opened: AsyncExitStack
):
    async with start("--cache", "1") as gateway:
        client = await connected(gateway.url, opened)
        await client.join("today", stream="news")

        with bound_to(KvStore(connection, namespace)):
            for number in range(8):
                await Stream("news", dict).set("today", str(number), {"text": "x" * 400_000})

        await gateway.counted("values_let_go_total", 1)
        await gateway.told(lambda numbers: numbers["cached_bytes"] < 2**20)
        late = await connected(gateway.url, opened)
        await late.join("today", stream="news")
        assert [len(item["text"]) for item in late.rooms.items("today") or []] == [400_000] * 8


async def test_its_grace_is_the_one_that_is_given(start: Start):
    async with start("--grace", "2.5") as gateway:
        assert (await gateway.readiness())["grace_seconds"] == 2.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stall", "0.5"),
        ("stall", "nan"),
        ("max-unread", "0"),
        ("max-unread", "1.5"),
        ("cache", "0"),
        ("grace", "-1"),
        ("grace", "soon"),
        ("workers", "0"),
    ],
)
def test_what_can_be_no_limit_is_said(streams: Typed, name: str, value: str):
    variable = f"STREAMS_GATEWAY_{name.upper().replace('-', '_')}"

    typed = streams("gateway", f"--{name}", value, COLUMNS="250")
    set = streams("gateway", COLUMNS="250", **{variable: value})

    for said in (typed, set):
        assert (said.code, said.out) == (2, "")
        assert f"Invalid value for '--{name}' (env var: '{variable}'): " in said.err


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
