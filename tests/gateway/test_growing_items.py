"""Items that grow, as clients see them."""

from __future__ import annotations

import orjson

from streams import Stream, bound_to
from tests.browser import Browser, Tab
from tests.conftest import Backend

answers = Stream("todo", dict)
NEVER = 3600.0


async def shown(tab: Tab) -> str:
    """Follow the item to its end, by the rules of `streams.writer`."""
    text, revision = "", 0
    while True:
        frame = await tab.next()
        event = frame["event"]
        if event["type"] in ("create", "update"):
            text, revision = event["data"]["text"], frame["rev"]
            if event["data"].get("state") == "done":
                return text
        elif event["type"] == "event" and event["event"]["type"] == "$draft":
            draft = event["event"]["data"]
            if draft["rev"] >= revision and draft["at"] == len(text.encode("utf-16-le")) // 2:
                text += draft["text"]


async def test_a_text_grows_in_every_client_that_watches_it(jetstream: Backend, browser: Browser):
    group, item = await browser.join("todo", "inbox"), await browser.join("todo", "inbox", "1")
    tokens = [f"tøken𝄞{number} " for number in range(100)]

    with bound_to(jetstream.store):
        async with answers.writer("inbox", "1", {"text": ""}, checkpoint=0.02) as writer:
            for token in tokens:
                await writer.append("text", token)
            await writer.set("state", "done")

    assert await shown(group) == await shown(item) == "".join(tokens)


async def test_one_who_comes_late_has_the_last_checkpoint_and_follows_from_there(
    jetstream: Backend, browser: Browser
):
    with bound_to(jetstream.store):
        async with answers.writer("inbox", "1", {"text": ""}, checkpoint=NEVER) as writer:
            await writer.append("text", "stored")
            await writer.commit()
            tab = await browser.join("todo", "inbox", "1")
            await writer.append("text", ", and more")

            draft = (await tab.next_event())["event"]["data"]

    assert orjson.loads(tab.frames[0])["event"]["data"]["text"] == "stored"
    assert draft == {"rev": position_of(tab), "path": ["text"], "at": 6, "text": ", and more"}


def position_of(tab: Tab) -> int:
    """What the `sync` is complete to: nothing else was written since the checkpoint."""
    return int(orjson.loads(tab.frames[0])["at"].partition(".")[2])
