"""Items that grow, as clients see them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson

from streams import Stream, bound_to
from streams.changes import EventSent
from streams.channels import text_units
from tests.browser import Browser, Tab
from tests.conftest import Backend, Gateway
from tests.gateway.rooms import INBOX

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


# In the extended dialect.


class Reader:
    """A client that follows one text, by the rules of docs/protocol.md."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.text, self.revision = "", 0
        self.drafts: list[dict[str, Any]] = []
        self.gaps = 0
        """Drafts that began behind what it had."""

    async def next(self) -> str:
        frame = await self.tab.next()
        while frame["type"] != "stream":
            frame = await self.tab.next()
        event = frame["event"]
        match event["type"]:
            case "sync":
                for item, revision in zip(event["data"], event["revs"], strict=True):
                    self.text, self.revision = item["text"], revision
            case "create" | "update":
                self.text, self.revision = event["data"]["text"], frame["rev"]
            case "draft" if "text" in event:
                self.drafts.append(event)
                self._grow(event)
        return str(event["type"])

    def _grow(self, draft: dict[str, Any]) -> None:
        held = text_units(self.text)
        if draft["base"] < self.revision:
            return
        self.gaps += draft["offset"] > held
        if draft["offset"] <= held < draft["offset"] + text_units(draft["text"]):
            units = self.text.encode("utf-16-le")[: 2 * draft["offset"]].decode("utf-16-le")
            self.text = units + draft["text"]

    async def shows(self, text: str) -> None:
        while self.text != text:
            await self.next()


async def reader(browser: Browser, item_id: str | None = None) -> Reader:
    tab = await browser.open(subprotocols=["streams.v2"])
    reader = Reader(tab)
    await tab.join("todo", "inbox", item_id)
    while await reader.next() != "sync":
        pass
    return reader


async def test_drafts_are_frames_of_their_own(jetstream: Backend, browser: Browser):
    with bound_to(jetstream.store):
        async with answers.writer("inbox", "1", {"text": "a"}, checkpoint=NEVER) as writer:
            first = await reader(browser)
            await writer.append("text", "tøken")
            await first.shows("atøken")

            assert first.drafts == [
                {"type": "draft", "base": writer.revision, "path": ["text"], "offset": 1, "text": "tøken"}
            ]


async def test_who_joins_late_sees_the_whole_text_at_once(jetstream: Backend, browser: Browser):
    with bound_to(jetstream.store):
        async with answers.writer("inbox", "1", {"text": ""}, checkpoint=NEVER) as writer:
            first = await reader(browser)
            await writer.append("text", "stored")
            await writer.commit()
            for token in (" and", " more", " 𝄞"):
                await writer.append("text", token)
            await first.shows("stored and more 𝄞")

            late = await reader(browser)
            await late.shows("stored and more 𝄞")
            await writer.append("text", "!")
            await late.shows("stored and more 𝄞!")

    # All that had come, in one.
    assert [draft["text"] for draft in late.drafts] == [" and more 𝄞", "!"]
    assert (first.gaps, late.gaps) == (0, 0)


async def test_a_text_that_was_stored_is_not_told_again(jetstream: Backend, browser: Browser):
    with bound_to(jetstream.store):
        async with answers.writer("inbox", "1", {"text": ""}, checkpoint=NEVER) as writer:
            first = await reader(browser)
            await writer.append("text", "one")
            await first.shows("one")
            await writer.commit()
            while await first.next() != "update":
                pass

            late = await reader(browser)
            assert late.text == "one"
            assert await late.tab.nothing_came()


async def test_fragments_of_one_turn_are_told_as_one(browser: Browser, gateway: Gateway, jetstream: Backend):
    first, plain = await reader(browser), await browser.join("todo", "inbox")
    audience = gateway.hub.audiences.get(INBOX)

    # In one turn of the loop, as they come when it is busy.
    for number, text in enumerate(["a", "b", "c"]):
        audience._tell(draft_of(text, number))
    audience._tell(draft_of("x", 7))
    for _ in range(2):
        await first.next()

    assert [(draft["offset"], draft["text"]) for draft in first.drafts] == [(0, "abc"), (7, "x")]
    events = [(await plain.next_event())["event"]["data"] for _ in range(2)]
    assert [(event["at"], event["text"]) for event in events] == [(0, "abc"), (7, "x")]


async def test_of_an_older_version_nothing_is_told(browser: Browser, gateway: Gateway, jetstream: Backend):
    with bound_to(jetstream.store):
        revision = (await answers.set("inbox", "1", {"text": "newer"})).revision
    first = await reader(browser)

    gateway.hub.audiences.get(INBOX)._tell(draft_of("old", 0, revision=revision - 1))

    assert await first.tab.nothing_came()


async def test_what_will_not_be_stored_is_forgotten(jetstream: Backend, browser: Browser):
    with bound_to(jetstream.store):
        first = await reader(browser)
        with suppress(ZeroDivisionError):
            async with answers.writer("inbox", "1", {"text": ""}, checkpoint=NEVER) as writer:
                await writer.append("text", "lost")
                await first.shows("lost")
                raise ZeroDivisionError
        while await first.next() != "draft":
            pass

        late = await reader(browser)
        assert (late.text, late.drafts) == ("", [])
        assert await late.tab.nothing_came()


async def test_elements_of_an_array_are_told_one_by_one_also_to_who_comes_late(
    jetstream: Backend, browser: Browser
):
    with bound_to(jetstream.store):
        async with answers.writer("inbox", "1", {"text": "", "log": []}, checkpoint=NEVER) as writer:
            first = await reader(browser)
            for number in range(2):
                await writer.append("log", {"n": number})
                while await first.next() != "draft":
                    pass
            late = await browser.open(subprotocols=["streams.v2"])
            await late.next()
            await late.join("todo", "inbox", "1")
            told = [(await late.next_event()) for _ in range(3)]

    assert [event["type"] for event in told] == ["sync", "draft", "draft"]
    assert [(event["offset"], event["value"]) for event in told[1:]] == [(0, {"n": 0}), (1, {"n": 1})]


def draft_of(text: str, offset: int, *, revision: int = 10**9) -> EventSent:
    data = {"rev": revision, "path": ["text"], "at": offset, "text": text}
    return EventSent("1", orjson.dumps({"type": "$draft", "data": data}))
