"""Who gets in while an application is developed: `streams dev`, `streams token`, `streams revoke`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
import pytest_asyncio

from tests.browser import Browser
from tests.dev.commands import Dev, developing, running
from tests.dev.guarded_app import answer_to_join, bearer, opened_as, status_of_opening, token, written


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    """`streams dev`, for all of these tests: none of them saves a file."""
    async with developing(written(tmp_path_factory.mktemp("guarded"))) as dev:
        yield dev


async def test_a_guarded_stream_is_for_those_whom_its_rule_lets_and_an_open_one_for_all(
    dev: Dev, opened: AsyncExitStack
):
    browser = Browser(dev.socket_url, opened)
    nobody, ann = await browser.open(), await opened_as(browser, await token(dev.folder, "ann"))

    assert await answer_to_join(nobody, "room", "ann") == "STREAM_ACCESS_DENIED"
    assert await answer_to_join(nobody, "news", "today") == "sync"
    assert await answer_to_join(ann, "room", "bob") == "STREAM_ACCESS_DENIED"
    assert await answer_to_join(ann, "room", "ann") == "sync"


async def test_a_token_that_is_not_good_opens_nothing(dev: Dev, opened: AsyncExitStack):
    async with httpx.AsyncClient(base_url=dev.url) as http:
        good = await token(dev.folder, "ann")
        bad = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")

        assert await status_of_opening(Browser(dev.socket_url, opened), bearer(bad)) == 401
        assert (await http.get("/who", headers=bearer(bad))).status_code == 401
        assert (await http.get("/streams/news/today", headers=bearer(bad))).status_code == 401


async def test_items_over_http_are_for_those_whom_the_rule_lets(dev: Dev):
    async with httpx.AsyncClient(base_url=dev.url) as http:
        ann = bearer(await token(dev.folder, "ann"))

        answers = [
            await http.get("/streams/room/ann", headers=ann),
            await http.get("/streams/room/bob", headers=ann),
            await http.get("/streams/room/ann"),
            await http.get("/streams/news/today"),
        ]

        assert [answer.status_code for answer in answers] == [200, 403, 401, 200]


async def test_a_step_is_told_who_calls(dev: Dev):
    async with httpx.AsyncClient(base_url=dev.url) as http:
        # Typed, as it is meant to be; elsewhere it is called.
        async with running("token", "--sub", "ann", "--claim", "role=admin", cwd=dev.folder) as command:
            ann = (await command.says("ey")).strip()

        assert (await http.get("/who", headers=bearer(ann))).json() == {"name": "ann", "role": "admin"}
        assert (await http.get("/who")).json() is None


async def test_watch_shows_a_guarded_stream_to_who_has_a_token(dev: Dev, monkeypatch: pytest.MonkeyPatch):
    async with httpx.AsyncClient(base_url=dev.url) as http:
        ann, address = await token(dev.folder, "ann"), ("--url", dev.socket_url)

        async with running("watch", "room", "ann", *address, cwd=dev.folder) as watch:
            await watch.says("you may not see this")
            assert await watch.ends() == 1
        async with running("watch", "room", "ann", "--token", ann, *address, cwd=dev.folder) as watch:
            await watch.says("room/ann  0 items")
            await http.post("/room/ann", json={"text": "hello"})
            await watch.says("hello")
        monkeypatch.setenv("STREAMS_TOKEN", ann)
        async with running("watch", "room", "ann", *address, cwd=dev.folder) as watch:
            await watch.says("room/ann  1 item")


async def test_a_revoked_user_loses_its_sockets_and_gets_no_others(dev: Dev, opened: AsyncExitStack):
    async with httpx.AsyncClient(base_url=dev.url) as http:
        browser, token_of_eve = Browser(dev.socket_url, opened), await token(dev.folder, "eve")
        eve = await opened_as(browser, token_of_eve)
        bob = await opened_as(browser, await token(dev.folder, "bob"))
        for tab, name in ((eve, "eve"), (bob, "bob")):
            assert await answer_to_join(tab, "room", name) == "sync"

        nats = ("--nats", nats_of(dev))
        async with running("revoke", "--sub", "eve", *nats, cwd=dev.folder) as revoke:
            assert await revoke.ends() == 0

        assert (await eve.closed())[0] == 4401
        assert await status_of_opening(browser, bearer(token_of_eve)) == 401
        assert (await http.get("/who", headers=bearer(token_of_eve))).status_code == 401
        assert await bob.nothing_came()


def nats_of(dev: Dev) -> str:
    (line,) = (line for line in dev.command.said if re.search(r"\bnats +nats://", line))
    found = re.search(r"nats://\S+", line)
    assert found is not None
    return found[0]
