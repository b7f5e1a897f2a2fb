"""A page in a real browser with nothing but `new WebSocket`: who it is, and where it comes from."""

from __future__ import annotations

import base64
import logging
import time
from pathlib import Path

import pytest
from playwright.async_api import Error

from streams import bound_to
from streams.access import AuthRequest, Claims, StreamAuth
from streams.auth.origins import Origins
from streams.auth.revocations import Revocation, revoke
from streams.gateway import event_stream
from tests.apps.conftest import chromium as chromium
from tests.gateway.pages import NEVER_OPENED, SENT_AWAY, Deployed, Pages, Tab, controls, events, todo
from tests.gateway.pages import deployed as deployed
from tests.gateway.pages import pages as pages
from tests.gateway.pages import port as port
from tests.gateway.pages import tab as tab
from tests.gateway.pages import url as url
from tests.store.jetstream.proxy import line_to
from tests.tokens import token

# One Chromium for all: it takes longer to start than any test takes to run.
pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]


async def test_a_token_beside_authorization_opens_a_live_socket(tab: Tab, url: str, deployed: Deployed):
    await tab.connect(url, "Authorization", token("ann"))
    assert await tab.happened(1) == [("open", "Authorization")]
    await tab.join("ann")
    assert events(await tab.happened(2)) == [("sync", [])]

    with bound_to(deployed.store):
        await todo.set("ann", "a", {"v": 1})
        await tab.happened(3)
        await todo.set("ann", "a", {"v": 2})
        await tab.happened(4)
        await todo.delete("ann", "a")

    assert events(await tab.happened(5))[1:] == [
        ("create", {"id": "a", "v": 1}),
        ("update", {"id": "a", "v": 2}),
        ("delete", {"id": "a", "v": 2}),
    ]


async def test_a_page_that_offers_the_extended_dialect_too_is_greeted_in_it(tab: Tab, url: str):
    await tab.connect(url, "streams.v2", "Authorization", token("ann"))
    await tab.happened(2)
    await tab.join("ann")

    happened = await tab.happened(3)

    assert happened[0] == ("open", "streams.v2")
    assert controls(happened[1:2]) == [("hello", "ann")]
    assert events(happened) == [("sync", [])]


async def test_a_page_may_say_its_token_when_its_socket_is_open(tab: Tab, url: str):
    await tab.connect(url, "streams.v2")
    await tab.happened(2)
    await tab.say({"type": "auth", "token": token("ann")})
    await tab.join("ann")

    happened = await tab.happened(4)

    assert happened[0] == ("open", "streams.v2")
    assert controls(happened) == [("hello", None), ("auth", "ann")]
    assert events(happened) == [("sync", [])]


async def test_a_token_in_the_address_opens_a_socket_without_a_subprotocol(tab: Tab, url: str):
    await tab.connect(f"{url}?authToken={token('ann')}")
    await tab.happened(1)
    await tab.join("ann")

    happened = await tab.happened(2)

    assert happened[0] == ("open", "")
    assert events(happened) == [("sync", [])]


async def test_a_page_without_a_token_is_refused_in_the_room(tab: Tab, url: str):
    await tab.connect(url)
    await tab.happened(1)
    await tab.join("ann")

    happened = await tab.happened(3)

    assert happened[0] == ("open", "")
    assert events(happened)[-1] == ("unauthorized", "STREAM_ACCESS_DENIED")


@pytest.mark.parametrize(
    ("query", "protocols"),
    [
        ("", ["Authorization", "{bad}"]),
        ("", ["streams.v2", "Authorization", "{bad}"]),
        ("?authToken={bad}", []),
        ("?authToken={bad}", ["streams.v2"]),
        ("", ["Authorization"]),
        ("?authToken=", []),
    ],
    ids=["beside", "extended", "address", "address and extended", "none beside", "none in the address"],
)
async def test_a_socket_with_a_bad_token_never_opens(tab: Tab, url: str, query: str, protocols: list[str]):
    bad = token("ann", aud="somebody-else")

    await tab.connect(url + query.format(bad=bad), *(each.format(bad=bad) for each in protocols))

    assert await tab.happened(2) == NEVER_OPENED


async def test_two_tokens_that_differ_open_no_socket(tab: Tab, url: str):
    await tab.connect(f"{url}?authToken={token('ann')}", "Authorization", token("bob"))

    assert await tab.happened(2) == NEVER_OPENED


async def test_a_bad_token_that_is_said_when_the_socket_is_open_ends_it(tab: Tab, url: str):
    await tab.connect(url, "streams.v2")
    await tab.happened(2)

    await tab.say({"type": "auth", "token": token("ann", aud="somebody-else")})

    assert (await tab.happened(3))[2:] == [SENT_AWAY]


async def test_a_token_that_no_subprotocol_can_carry_is_said_when_the_socket_is_open(tab: Tab, url: str):
    opaque = base64.b64encode(b"surely no JWT").decode()
    with pytest.raises(Error, match="SyntaxError"):
        await tab.connect(url, "Authorization", opaque)
    await tab.connect(url, "streams.v2")
    await tab.happened(2)

    await tab.say({"type": "auth", "token": opaque})

    assert (await tab.happened(3))[2:] == [SENT_AWAY]


async def test_at_the_end_of_its_token_a_page_is_sent_away_unless_it_has_said_a_fresh_one(
    pages: Pages, url: str
):
    staying, leaving, plain = [await pages.open() for _ in range(3)]
    ending = token("ann", lasts=4)
    for each in (staying, leaving):
        await each.connect(url, "streams.v2", "Authorization", ending)
        await each.happened(2)
    await plain.connect(url, "Authorization", ending)
    await plain.happened(1)
    await staying.say({"type": "auth", "token": token("ann")})
    await staying.happened(3)

    assert (await leaving.happened(3))[2:] == [SENT_AWAY]
    assert (await plain.happened(2))[1:] == [SENT_AWAY]

    await staying.say({"type": "ping"})
    assert controls(await staying.happened(4)) == [("hello", "ann"), ("auth", "ann"), ("pong", None)]


async def test_a_page_of_a_user_who_is_revoked_is_sent_away(tab: Tab, url: str, deployed: Deployed):
    now = time.time()
    secret = token("ann", made=now - 60)
    await tab.connect(url, "Authorization", secret)
    await tab.happened(1)

    await revoke(deployed.store, Revocation("ann", None, None, now))

    assert (await tab.happened(2))[1:] == [SENT_AWAY]
    await tab.connect(url, "Authorization", secret)
    assert (await tab.happened(4))[2:] == NEVER_OPENED


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_pages_of_this_machine_may_open_sockets(pages: Pages, url: str, host: str):
    tab = await pages.open(host)

    await tab.connect(url, "Authorization", token("ann"))

    assert await tab.happened(1) == [("open", "Authorization")]


async def test_a_page_of_another_origin_opens_no_socket_also_with_a_good_token(
    pages: Pages, url: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "streams.gateway.admission")
    tabs = {
        pages.origin("app.localhost"): await pages.open("app.localhost"),
        "null": await pages.open_sandboxed(),
    }

    for origin, each in tabs.items():
        await each.connect(url, "Authorization", token("ann"))
        assert await each.happened(2) == NEVER_OPENED
        await each.connect(url)
        assert (await each.happened(4))[2:] == NEVER_OPENED

        # It was the gateway that refused: Chromium has rules of its own.
        assert caplog.text.count(f"origin {origin!r} code=ORIGIN_REFUSED") == 2


async def test_a_page_of_an_origin_that_was_named_may_open_sockets(pages: Pages, deployed: Deployed):
    url = await deployed.gateway(origins=Origins([pages.origin("app.localhost")]))
    theirs, others = await pages.open("app.localhost"), await pages.open("app2.localhost")

    for each in (theirs, others):
        await each.connect(url, "Authorization", token("ann"))

    assert await theirs.happened(1) == [("open", "Authorization")]
    assert await others.happened(2) == NEVER_OPENED


async def test_cookies_make_nobody_somebody(pages: Pages, deployed: Deployed):
    """They go to every port of a host, whoever's page asks."""
    came: list[str] = []

    def authenticate(request: AuthRequest, claims: Claims | None) -> Claims | None:
        came.append(request.headers["cookie"])
        return claims

    url = await deployed.gateway(StreamAuth(authenticate, None, Path("stream_auth.py")))
    secret, names = token("ann"), ("Authorization", "authToken", "token")
    await pages.context.add_cookies(
        [{"name": name, "value": secret, "url": pages.origin("127.0.0.1")} for name in names]
    )
    tab = await pages.open()

    await tab.connect(url, "streams.v2")
    await tab.happened(2)
    await tab.join("ann")

    happened = await tab.happened(3)
    assert controls(happened) == [("hello", None)]
    assert events(happened) == [("unauthorized", "STREAM_ACCESS_DENIED")]
    assert [cookie.count(secret) for cookie in came] == [len(names)]


async def test_an_event_source_comes_back_by_itself_and_is_told_what_changed(
    tab: Tab, url: str, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(event_stream, "RETRY_MS", 100)
    async with line_to(url) as line:
        address = line.url.replace("nats://", "http://")
        with bound_to(deployed.store):
            await todo.set("ann", "a", {"v": 1})
            await tab.follow(f"{address}/streams/todo/ann?authToken={token('ann')}")
            first = await tab.happened(2)
            await todo.set("ann", "b", {"v": 2})
            await tab.happened(3)

            line.cut()
            await todo.set("ann", "a", {"v": 3})
            happened = await tab.happened(6)

    assert events(first) == [("sync", [{"id": "a", "v": 1}])]
    # It was cut off, greeted again, and told what changed since the state that it had.
    assert [what for what, _ in happened[3:]] == ["error", "message", "message"]
    resumed = happened[5][1]["event"]
    assert (resumed["type"], resumed["update"]) == ("resumed", [{"id": "a", "v": 3}])
    assert resumed["create"] == [{"id": "b", "v": 2}]
    assert happened[5][1]["lastEventId"] == happened[5][1]["at"]
