"""The real command in a real shell's place: its pipes, its terminal, its server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from streams.changes import EventSent
from tests.cli.typed import Said, Typed
from tests.conftest import Backend
from tests.store.heard import listening


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal: what a person types into, and what a program reads from."""
    ours, theirs = os.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


async def test_an_event_that_was_sent_is_heard_by_who_watches(todo: Typed, jetstream: Backend):
    async with listening(jetstream.store, jetstream.feed) as heard:
        said = await todo.run("send", "todo", "inbox", "typing", '{"by": "ann"}', "--id", "1")

        assert said.line == "typing is sent to todo/inbox/1"
        assert await heard.next() == EventSent("1", b'{"type":"typing","data":{"by":"ann"}}')


async def test_an_item_goes_from_one_command_through_a_pipe_to_the_next(todo: Typed):
    await todo.run("set", "todo", "inbox", "日本", '{"text": "牛乳"}')

    item = await todo.run("get", "todo", "inbox", "日本")
    copied = await todo.run("set", "todo", "copies", "日本", "-", stdin=item.out.encode())

    assert copied.line == "todo/copies/日本 is set, revision 3"
    assert (await todo.run("ls", "todo", "copies", "--json")).document == [{"id": "日本", "text": "牛乳"}]


async def answered(todo: Typed, terminal: tuple[int, int], answer: bytes) -> Said:
    """What is said when somebody asks to delete a group, and answers so when asked back."""
    await todo.run("set", "todo", "inbox", "1", "{}")
    os.write(terminal[0], answer)
    return await todo.run("delete", "todo", "inbox", "--json", stdin=terminal[1])


async def test_on_a_terminal_a_group_is_deleted_when_it_is_confirmed(todo: Typed, terminal: tuple[int, int]):
    said = await answered(todo, terminal, b"y\n")

    assert (said.code, said.out) == (0, '{"stream":"todo","group":"inbox","deleted":1}\n')
    assert said.err.startswith("Delete every item of todo/inbox? [y/N] ")


async def test_on_a_terminal_a_group_stays_when_it_is_not_confirmed(todo: Typed, terminal: tuple[int, int]):
    said = await answered(todo, terminal, b"\n")

    assert (said.code, said.out) == (1, "")
    assert said.err.rstrip().endswith("nothing was deleted")
    assert (await todo.run("ls", "todo", "inbox", "--json")).document == [{"id": "1"}]


async def test_a_server_that_is_away_is_named_with_a_way_out():
    nowhere = Typed("nats://127.0.0.1:1", "streams")

    several = await asyncio.gather(
        nowhere.run("get", "todo", "inbox", "1"), nowhere.run("ls", "--json"), nowhere.run("provision")
    )

    for said in several:
        assert said.refusal.startswith("NATS at nats://127.0.0.1:1 does not answer")
        assert said.refusal.endswith("with --nats (`streams dev` prints the address of its own)")
