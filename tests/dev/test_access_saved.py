"""Who gets in while the rules of an application are written: what is saved counts for those who are in."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from tests.browser import Browser
from tests.dev.commands import developing, free_port, running
from tests.dev.guarded_app import (
    AUTH,
    OWN_ROOM,
    WHO,
    answer_to_join,
    bearer,
    loses_its_room,
    next_answer,
    opened_as,
    status_of_opening,
    token,
    write,
)
from tests.dev.guarded_app import project as project


async def test_a_rule_that_is_saved_takes_rooms_from_open_sockets_and_leaves_the_others(
    project: Path, opened: AsyncExitStack
):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        browser = Browser(dev.socket_url, opened)
        ann = await opened_as(browser, await token(project, "ann"))
        bob = await opened_as(browser, await token(project, "bob"))
        for tab, name in ((ann, "ann"), (bob, "bob")):
            assert await answer_to_join(tab, "room", name) == "sync"
        assert await answer_to_join(ann, "news", "today") == "sync"

        write(project, "room_stream.py", OWN_ROOM.replace("return ", 'return context["name"] != "ann" and '))

        assert await next_answer(ann) == "STREAM_ACCESS_DENIED"
        await http.post("/room/ann", json={"text": "private"})
        await http.post("/room/bob", json={"text": "private"})
        await http.post("/news/today", json={"text": "public"})
        assert (await bob.next_event())["data"]["text"] == "private"
        assert (await ann.next_event())["data"]["text"] == "public"
        assert await answer_to_join(ann, "room", "ann") == "STREAM_ACCESS_DENIED"


async def test_an_authenticate_that_is_saved_counts_for_open_sockets(project: Path, opened: AsyncExitStack):
    async with developing(project) as dev:
        ann = await opened_as(Browser(dev.socket_url, opened), await token(project, "ann"))
        assert await answer_to_join(ann, "room", "ann") == "sync"

        write(project, "stream_auth.py", AUTH.replace("claims.sub", "claims.sub.upper()"))

        assert await next_answer(ann) == "STREAM_ACCESS_DENIED"
        assert await answer_to_join(ann, "room", "ANN") == "sync"


async def test_a_stream_that_gets_a_rule_is_closed_to_whom_it_does_not_let(
    project: Path, opened: AsyncExitStack
):
    async with developing(project) as dev:
        browser = Browser(dev.socket_url, opened)
        nobody = await browser.open()
        assert await answer_to_join(nobody, "news", "today") == "sync"

        write(project, "news_stream.py", OWN_ROOM.replace("room", "news"))

        assert await loses_its_room(nobody)
        ann = await opened_as(browser, await token(project, "ann"))
        assert await answer_to_join(await browser.open(), "news", "today") == "STREAM_ACCESS_DENIED"
        assert await answer_to_join(ann, "news", "ann") == "sync"


async def test_a_broken_file_keeps_closed_what_was_until_it_is_mended(project: Path, opened: AsyncExitStack):
    async with developing(project) as dev:
        browser, ann = Browser(dev.socket_url, opened), bearer(await token(project, "ann"))
        watching = await browser.open(additional_headers=ann)
        assert await answer_to_join(watching, "room", "ann") == "sync"

        write(project, "who_step.py", "def (:\n")
        await dev.command.says("Save a file to try again")
        assert await answer_to_join(watching, "room", "ann") == "STREAM_ACCESS_DENIED"
        assert await answer_to_join(watching, "news", "today") == "sync"
        assert await status_of_opening(browser, ann) == 503

        write(project, "who_step.py", WHO)
        await dev.command.says("functions started anew")
        assert await answer_to_join(watching, "room", "ann") == "sync"
        assert await answer_to_join(await browser.open(additional_headers=ann), "room", "ann") == "sync"


async def test_what_was_closed_is_closed_where_the_files_were_broken_from_the_start(
    project: Path, opened: AsyncExitStack
):
    (project / "functions/stream_auth.py").unlink()
    async with developing(project):
        pass
    good = (project / "functions/who_step.py").read_text()
    write(project, "who_step.py", "def (:\n")
    port = free_port()

    async with running("dev", "functions", "--port", str(port), cwd=project) as command:
        await command.says("Save a file to try again")
        browser = Browser(f"ws://127.0.0.1:{port}/", opened)
        # Nobody knows yet whether somebody is asked who callers are.
        assert await status_of_opening(browser, {}) == 503
        write(project, "who_step.py", good)
        await command.says("Ctrl-C ends everything")
        assert await answer_to_join(await browser.open(), "room", "ann") == "STREAM_ACCESS_DENIED"
