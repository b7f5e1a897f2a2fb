"""Items that grow while everybody watches, on both stores."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel, Field

from streams import EventRefused, ItemRefused, OpRefused, PreconditionFailed, Stream, bound_to, ops
from streams.changes import Change, EventSent, ItemSet
from streams.store import Feed, Store
from tests.browser import SECONDS
from tests.store.heard import listening


class Answer(BaseModel):
    text: str = Field(max_length=50)
    tags: list[str] = []
    state: str = "writing"


answers = Stream("todo", Answer)
NEVER = 3600.0
"""A checkpoint that does not come while a test runs."""


def draft(change: object) -> Any:
    assert isinstance(change, EventSent)
    assert change.id == "1"
    event = json.loads(change.event)
    assert event["type"] == "$draft"
    return event["data"]


def stored(change: object) -> Any:
    assert isinstance(change, ItemSet)
    return json.loads(change.value)


def replayed(changes: Sequence[Change]) -> str:
    """The text as one sees it who follows the rules of `streams.writer`."""
    text, revision = "", 0
    for change in changes:
        if isinstance(change, ItemSet):
            text, revision = stored(change)["text"], change.revision
        elif (found := draft(change)).get("path") == ["text"] and found["rev"] >= revision:
            held = len(text.encode("utf-16-le")) // 2
            if found["at"] == held:
                text += found["text"]
    return text


async def test_what_is_written_is_there_at_the_beginning_and_at_the_end(store: Store):
    with bound_to(store):
        async with answers.writer("inbox", "1", Answer(text="")) as writer:
            assert await answers.get("inbox", "1") == Answer(text="")
            for token in ("Hello", ", ", "world"):
                await writer.append("text", token)

        assert await answers.get("inbox", "1") == Answer(text="Hello, world")


async def test_fragments_are_shown_at_once_and_stored_at_the_end(store: Store, feed: Feed):
    async with listening(store, feed) as heard:
        with bound_to(store):
            async with answers.writer("inbox", "1", Answer(text="A"), checkpoint=NEVER) as writer:
                await writer.append("text", "é𝄞")
                await writer.append("text", "b")
                first, *drafts = [await heard.next() for _ in range(3)]

                assert stored(first)["text"] == "A"
                assert [draft(change) for change in drafts] == [
                    {"rev": first.revision, "path": ["text"], "at": 1, "text": "é𝄞"},
                    {"rev": first.revision, "path": ["text"], "at": 4, "text": "b"},
                ]
        last = await heard.next()

    assert stored(last)["text"] == "Aé𝄞b"
    assert replayed([first, *drafts]) == replayed([first, *drafts, last]) == "Aé𝄞b"


async def test_a_checkpoint_comes_by_itself_and_carries_all_fragments_at_once(store: Store, feed: Feed):
    async with listening(store, feed) as heard:
        with bound_to(store):
            async with answers.writer("inbox", "1", Answer(text=""), checkpoint=0.05) as writer:
                for _ in range(10):
                    await writer.append("text", "x")
                came = [await heard.next() for _ in range(11)]
                checkpoint = await heard.next()

                assert stored(checkpoint)["text"] == "x" * 10
                assert isinstance(came[0], ItemSet)
                assert [draft(change)["at"] for change in came[1:]] == list(range(10))
                assert writer.revision == checkpoint.revision

                await writer.append("text", "y")
                assert draft(await heard.next())["rev"] == checkpoint.revision


async def test_at_most_one_write_is_stored_per_checkpoint(store: Store, feed: Feed):
    with bound_to(store):
        before = await feed.end("todo")
        async with answers.writer("inbox", "1", Answer(text=""), checkpoint=NEVER) as writer:
            for _ in range(40):
                await writer.append("text", "x")
            await writer.commit()
            await writer.commit()
            await writer.append("text", "y")

        assert (await feed.end("todo")).revision - before.revision == 3
        assert await answers.get("inbox", "1") == Answer(text="x" * 40 + "y")


async def test_a_checkpoint_is_made_before_the_deadline(store: Store, feed: Feed):
    async with listening(store, feed) as heard:
        with bound_to(store):
            async with answers.writer(
                "inbox", "1", Answer(text=""), checkpoint=NEVER, deadline=0.4
            ) as writer:
                await writer.append("text", "before")
                came = [await heard.next() for _ in range(3)]

                assert stored(came[2])["text"] == "before"


@pytest.mark.parametrize("how", ["raises", "is cancelled"])
async def test_a_block_that_ends_halfway_leaves_the_last_checkpoint_and_says_so(
    store: Store, feed: Feed, how: str
):
    shown = asyncio.Event()

    async def write() -> None:
        async with answers.writer("inbox", "1", Answer(text=""), checkpoint=NEVER) as writer:
            await writer.append("text", "kept")
            await writer.commit()
            await writer.append("text", " lost")
            shown.set()
            if how == "raises":
                raise ZeroDivisionError
            await asyncio.Event().wait()

    async with listening(store, feed) as heard:
        with bound_to(store):
            writing = asyncio.create_task(write())
            await asyncio.wait_for(shown.wait(), SECONDS)
            writing.cancel() if how == "is cancelled" else None
            with pytest.raises((ZeroDivisionError, asyncio.CancelledError)):
                await writing

            assert await answers.get("inbox", "1") == Answer(text="kept")
        came = await heard.all()
    assert draft(came[-1]) == {"rev": came[2].revision, "end": True}


async def test_elements_of_an_array_are_shown_and_stored_like_text(store: Store, feed: Feed):
    async with listening(store, feed) as heard:
        with bound_to(store):
            async with answers.writer("inbox", "1", Answer(text=""), checkpoint=NEVER) as writer:
                await writer.append("tags", "a")
                await writer.append(["tags"], "b")
                await writer.set("state", "done")
                await heard.next()
                drafts = [draft(await heard.next()) for _ in range(2)]

            assert [(d["path"], d["at"], d["value"]) for d in drafts] == [
                (["tags"], 0, "a"),
                (["tags"], 1, "b"),
            ]
            assert await answers.get("inbox", "1") == Answer(text="", tags=["a", "b"], state="done")


async def test_what_others_change_meanwhile_stays(store: Store):
    with bound_to(store):
        async with answers.writer("inbox", "1", Answer(text=""), checkpoint=NEVER) as writer:
            await writer.append("text", "mine")
            await answers.update("inbox", "1", [ops.append("tags", "theirs")])
            await writer.commit()
            await writer.append("text", "!")

        assert await answers.get("inbox", "1") == Answer(text="mine!", tags=["theirs"])


async def test_setting_replaces_what_was_appended(store: Store):
    with bound_to(store):
        async with answers.writer("inbox", "1", Answer(text=""), checkpoint=NEVER) as writer:
            await writer.append("text", "first")
            await writer.set("text", "second")
            await writer.append("text", "!")

        assert await answers.get("inbox", "1") == Answer(text="second!")


async def test_an_item_that_is_deleted_meanwhile_stays_deleted(store: Store):
    async def write() -> None:
        async with answers.writer("inbox", "1", Answer(text=""), checkpoint=NEVER) as writer:
            await writer.append("text", "x")
            await answers.delete("inbox", "1")

    with bound_to(store):
        with pytest.raises(PreconditionFailed, match="was deleted while it was being written"):
            await write()

        assert await answers.get("inbox", "1") is None


async def test_a_checkpoint_that_fails_for_good_is_raised_by_the_next_append(store: Store):
    async def write_on() -> None:
        async with (
            asyncio.timeout(SECONDS),
            answers.writer("inbox", "1", Answer(text=""), checkpoint=0.01) as writer,
        ):
            await answers.delete("inbox", "1")
            while True:
                await writer.append("text", "")
                await asyncio.sleep(0.005)

    with bound_to(store), pytest.raises(PreconditionFailed):
        await write_on()


async def test_an_item_that_no_longer_fits_is_refused_and_the_last_checkpoint_stays(store: Store):
    async def write() -> None:
        async with answers.writer("inbox", "1", Answer(text=""), checkpoint=NEVER) as writer:
            await writer.append("text", "x" * 50)
            await writer.commit()
            await writer.append("text", "one too many")

    with bound_to(store):
        with pytest.raises(ItemRefused, match="text"):
            await write()

        assert await answers.get("inbox", "1") == Answer(text="x" * 50)


async def test_an_append_that_does_not_fit_changes_nothing(store: Store):
    with bound_to(store):
        async with answers.writer("inbox", "1", Answer(text="a"), checkpoint=NEVER) as writer:
            with pytest.raises(OpRefused, match=r"append\.type_mismatch"):
                await writer.append("text", 3)
            with pytest.raises(ItemRefused, match="cannot become JSON"):
                await writer.append("text", "\ud800")
            with pytest.raises(ItemRefused, match="cannot become JSON"):
                await writer.set("state", object())
            await writer.append("text", "b")

        assert await answers.get("inbox", "1") == Answer(text="ab")


async def test_a_fragment_that_is_too_long_for_an_event_is_stored_at_once(store: Store):
    long = Stream("todo", dict)
    with bound_to(store):
        async with long.writer("inbox", "1", {"text": ""}, checkpoint=NEVER) as writer:
            await writer.append("text", "x" * 100_000)

            assert len((await long.get("inbox", "1"))["text"]) == 100_000


async def test_nobody_else_can_send_what_looks_like_a_draft(store: Store):
    with bound_to(store), pytest.raises(EventRefused, match="reserved"):
        await answers.send("inbox", {"type": "$draft", "data": {}})


async def test_a_writer_replaces_what_was_there_and_keeps_its_time_to_live(store: Store):
    with bound_to(store):
        await answers.set("inbox", "1", Answer(text="old"))
        async with answers.writer("inbox", "1", Answer(text=""), ttl=60) as writer:
            begun = await answers.entry("inbox", "1")
            await writer.append("text", "new")
        ended = await answers.entry("inbox", "1")

    assert begun is not None
    assert ended is not None
    assert (ended.value.text, ended.expires_at) == ("new", begun.expires_at)
    assert begun.expires_at is not None


async def test_many_writers_at_once_end_with_exact_texts(store: Store, feed: Feed):
    plain = Stream("todo", dict)

    async def write(number: int) -> None:
        async with plain.writer("inbox", str(number), {"text": ""}, checkpoint=0.02) as writer:
            for token in range(50):
                await writer.append("text", f"{number}.{token} ")
                await asyncio.sleep(0)

    with bound_to(store):
        await asyncio.gather(*(write(number) for number in range(20)))
        items = await plain.get_group("inbox")

    assert {item["id"]: item["text"] for item in items} == {
        str(number): "".join(f"{number}.{token} " for token in range(50)) for number in range(20)
    }


async def test_who_follows_the_drafts_sees_the_text_grow_without_a_jump(store: Store, feed: Feed):
    plain = Stream("todo", dict)
    tokens = [f"tøken𝄞{number} " for number in range(60)]

    async with listening(store, feed) as heard:
        with bound_to(store):
            async with plain.writer("inbox", "1", {"text": ""}, checkpoint=0.01) as writer:
                for token in tokens:
                    await writer.append("text", token)
                    await asyncio.sleep(0.001)
        came = await heard.all()

    whole = "".join(tokens)
    seen = [replayed(came[: count + 1]) for count in range(len(came))]
    assert all(whole.startswith(text) for text in seen)
    assert [len(text) for text in seen] == sorted(len(text) for text in seen)
    assert seen[-1] == whole
    assert sum(isinstance(change, ItemSet) for change in came) < len(tokens)
