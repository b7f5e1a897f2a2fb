"""Two tenants on one gateway: nothing of one is seen by the other, whatever it tries."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.access import AuthRequest, Caller, Claims
from streams.gateway.guest import Guest
from streams.gateway.hub import Hub
from streams.memory import MemoryStore
from tests.browser import SECONDS
from tests.core.names import names
from tests.gateway.two_tenants import FOREIGN, LOOKALIKES, MARK, OURS, THEIRS, busy_with
from tests.gateway.walled import Walled, walled_hub

ids = st.one_of(st.none(), st.sampled_from(["1", "*", ">", "", "="]), names)
groups = st.one_of(
    st.sampled_from([*FOREIGN, *(name for pair in LOOKALIKES for name in pair)]),
    names,
    names.map(lambda name: f"ac:{name}"[:80]),
)
rooms = st.fixed_dictionaries(
    {"streamName": st.sampled_from(["todo", "todo", "todo", "revoked", "todos", ""]), "groupId": groups},
    optional={"id": ids},
)
subscriptions = st.sampled_from(["s1", "s2"])
joins = st.builds(lambda room, name: {**room, "subscriptionId": name}, rooms, subscriptions)
leaves = st.builds(lambda name: {"subscriptionId": name}, subscriptions)
sends = st.builds(lambda room: {**room, "event": {"type": "said"}}, rooms)
tries = st.one_of(
    st.builds(lambda data: {"type": "join", "data": data}, joins),
    st.builds(lambda data: {"type": "leave", "data": data}, leaves),
    st.builds(
        lambda data, ref: {"type": "send", "ref": ref, "data": data}, sends, st.none() | st.integers(0, 9)
    ),
)
happenings = st.sampled_from([theirs for theirs, _ in LOOKALIKES])


class Ear:
    """A line to a client, which keeps what goes over it."""

    is_behind, unread_bytes = False, 0

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def write(self, frames: bytes) -> None:
        self.heard.append(frames)

    def close(self, code: int, reason: str) -> None:
        raise AssertionError(f"closed: {code} {reason}")

    cut = close

    def hold(self) -> None: ...

    def go_on(self) -> None: ...


def a_guest(hub: Hub, ear: Ear, tenant: str) -> Guest:
    claims = Claims({"sub": f"of {tenant}", "iat": 0.0, "exp": 9e9, "tenant": tenant})
    guest = Guest(hub, ear, Caller(claims, claims), AuthRequest("websocket", "/"), is_extended=True)
    guest.welcome(25.0)
    return guest


@settings(deadline=None)
@given(st.lists(st.one_of(tries, happenings), max_size=20), st.booleans())
def test_whatever_rooms_one_tenant_tries_it_hears_nothing_of_the_other(
    steps: list[dict[str, Any] | str], they_watch: bool
):
    asyncio.run(_goes_through(steps, they_watch=they_watch))


async def _goes_through(steps: list[dict[str, Any] | str], *, they_watch: bool) -> None:
    walled = Walled(MemoryStore(["todo"]))
    async with walled_hub(walled) as hub, asyncio.timeout(SECONDS):
        theirs, ours = Ear(), Ear()
        if they_watch:
            them = a_guest(hub, theirs, THEIRS)
            for number, (group, _) in enumerate(LOOKALIKES):
                room = {"streamName": "todo", "groupId": group, "subscriptionId": str(number)}
                them.hear(orjson.dumps({"type": "join", "data": room}))
            await _all_is_done()
        else:
            walled.forbids = lambda group: group is not None and not group.startswith("ac:")
        us = a_guest(hub, ours, OURS)
        for step in steps:
            if isinstance(step, str):
                await busy_with(walled.memory, step)
            else:
                us.hear(orjson.dumps(step))
        await _all_is_done()

    assert walled.touched == []
    assert not [frames for frames in ours.heard if MARK.encode() in frames]
    if they_watch and any(isinstance(step, str) for step in steps):
        assert [frames for frames in theirs.heard if MARK.encode() in frames]


async def _all_is_done() -> None:
    """Every join and event of before was answered, and what waited was flushed."""
    while any(task.get_name().startswith(("gateway: join", "gateway: send")) for task in asyncio.all_tasks()):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
