"""Sockets over time: tokens end and are renewed, and rules are asked again."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio

from streams import Stream, bound_to
from streams.access import AuthRequest, Claims, StreamAuth, Subscription
from streams.auth.keys import FixedKeys, secret_key
from streams.auth.rules import OwnRules
from streams.auth.tokens import TokenRules, Verifier
from streams.errors import BucketNotUsable
from streams.gateway import guest
from streams.gateway.access import Access, KnownRevoked
from streams.gateway.hub import Hub
from streams.gateway.server import listening
from streams.memory import MemoryStore
from tests.browser import Browser, Tab
from tests.everybody import NothingRevoked
from tests.gateway.waiting import until
from tests.tokens import AUDIENCE, ISSUER, SECRET, VERIFIER, token

SHORT = 0.4
"""How long a token lasts that is to end soon, in seconds."""


class House:
    """An application and a gateway for it: who may see what, and how long it takes to say so."""

    def __init__(self) -> None:
        self.todo = Stream("todo", dict, can_access=self._may_see, can_send=self._may_send)
        self.store = MemoryStore(["todo"])
        self.closed: set[str] = set()
        """Groups that nobody may see at present."""
        self.is_quiet = False
        """Whether nobody may send."""
        self.fails = False
        self.held: dict[str, asyncio.Event] = {}
        """What a question about who says `v` waits for, by that."""
        self.seen: list[tuple[str, str | None]] = []
        """What was asked: the group, and the `v` of who asked."""
        self.arrived: defaultdict[str | None, int] = defaultdict(int)
        """How many came, by their `v`."""
        self.hub: Hub
        self.browser: Browser

    @asynccontextmanager
    async def open(
        self,
        *,
        recheck_seconds: float | None = None,
        verifier: Verifier = VERIFIER,
        revoked: KnownRevoked | None = None,
    ) -> AsyncIterator[House]:
        sock, store = socket.create_server(("127.0.0.1", 0)), self.store
        auth = StreamAuth(self._authenticate, None, Path("stream_auth.py"))
        async with (
            OwnRules.running([self.todo], auth) as rules,
            Hub.running(
                store,
                Access(verifier, rules, revoked or NothingRevoked(), store),
                store,
                recheck_seconds=recheck_seconds,
            ) as self.hub,
            listening(self.hub, sock),
            AsyncExitStack() as tabs,
        ):
            self.browser = Browser(f"ws://127.0.0.1:{sock.getsockname()[1]}/", tabs)
            yield self

    async def enters(self, proof: str | None, *groups: str, is_extended: bool = True) -> Tab:
        """Somebody who is in, and has these groups."""
        offered = [*(["streams.v2"] if is_extended else []), *(["Authorization", proof] if proof else [])]
        tab = await self.browser.open(subprotocols=offered or None)
        if is_extended:
            assert (await tab.next())["type"] == "hello"
        for group in groups:
            await tab.join("todo", group)
            assert (await tab.next_event())["type"] == "sync"
        return tab

    async def write(self, *groups: str) -> None:
        with bound_to(self.store):
            for group in groups:
                await self.todo.set(group, "a", {"v": 1})

    def hold(self, v: str) -> Callable[[], None]:
        """Let what is asked about who says `v` wait. What lets it go on."""
        self.held[v] = asyncio.Event()
        return self.held[v].set

    async def _authenticate(self, request: AuthRequest, claims: Claims | None) -> Claims | None:
        v = None if claims is None else claims.get("v")
        self.arrived[v] += 1
        await self._wait(f"who is {v}")
        return claims

    async def _may_see(self, subscription: Subscription, context: Claims | None) -> bool:
        groups, v = ("lobby", None) if context is None else (context["groups"], context.get("v"))
        self.seen.append((subscription.group, v))
        if self.fails:
            raise RuntimeError("the rule has a bug")
        await self._wait(f"what may {v} see")
        return subscription.group in groups.split() and subscription.group not in self.closed

    async def _may_send(self, subscription: Subscription, context: Claims | None) -> bool:
        return not self.is_quiet

    async def _wait(self, what: str) -> None:
        if what in self.held:
            await self.held[what].wait()


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    async with House().open() as house:
        yield house


@pytest_asyncio.fixture
async def strict_house() -> AsyncIterator[House]:
    """Asks its rules again and again."""
    async with House().open(recheck_seconds=0.1) as house:
        yield house


def of(sub: str = "ann", *, groups: str = "inbox other", **said: Any) -> str:
    return token(sub, groups=groups, **said)


async def proves(tab: Tab, proof: object) -> None:
    await tab.say({"type": "auth", "token": proof})


async def proven(tab: Tab, proof: str) -> dict[str, Any]:
    await proves(tab, proof)
    answer = await tab.next()
    assert answer["type"] == "auth"
    return answer


async def is_in(tab: Tab) -> bool:
    """Whether a socket is as it was."""
    return await tab.nothing_came()


def taken_away(frame: dict[str, Any], group: str, item_id: str | None = None) -> bool:
    event = frame["event"]
    return (frame["streamName"], frame["groupId"], frame["id"], event["type"], event["code"]) == (
        "todo",
        group,
        item_id,
        "unauthorized",
        "STREAM_ACCESS_DENIED",
    )


# A token ends.


@pytest.mark.parametrize("is_extended", [True, False], ids=["extended", "plain"])
async def test_a_socket_is_closed_when_its_token_ends_and_not_before(house: House, is_extended: bool):
    made = time.time()
    tab = await house.enters(of(made=made, lasts=SHORT), "inbox", is_extended=is_extended)
    others = [await house.enters(None), await house.enters(of(), "inbox")]

    assert await tab.closed() == (4401, "the token has ended; come back with a new one")

    assert made + SHORT <= time.time() < made + SHORT + 1
    for other in others:
        assert await is_in(other)


async def test_a_token_lasts_as_much_longer_as_clocks_may_differ():
    patient = Verifier(FixedKeys([secret_key(SECRET)]), TokenRules(ISSUER, AUDIENCE, leeway_seconds=0.5))
    async with House().open(verifier=patient) as house:
        made = time.time()
        tab = await house.enters(of(made=made, lasts=0.1), "inbox")

        assert (await tab.closed())[0] == 4401

        assert time.time() >= made + 0.1 + 0.5


async def test_nothing_is_heard_after_the_end_of_a_token(house: House):
    tab, other = await house.enters(of(lasts=SHORT), "inbox"), await house.enters(of(), "inbox")
    assert (await tab.closed())[0] == 4401
    heard = len(tab.frames)

    await house.write("inbox")

    assert (await other.next_event())["type"] == "create"
    assert len(tab.frames) == heard
    assert len(house.hub.guests) == 1


# And is renewed.


async def test_a_fresh_token_keeps_the_socket_and_all_its_rooms(house: House):
    old, new = of(lasts=SHORT), of()
    kept, lost = await house.enters(old, "inbox", "other"), await house.enters(old)

    answer = await proven(kept, new)

    expires = jwt.decode(new, options={"verify_signature": False})["exp"]
    assert answer == {"type": "auth", "sub": "ann", "expires": expires}
    assert (await lost.closed())[0] == 4401
    await house.write("inbox", "other")
    assert [(await kept.next())["groupId"] for _ in range(2)] == ["inbox", "other"]
    assert await is_in(kept)


async def test_the_newest_token_counts_also_where_it_ends_sooner(house: House):
    tab = await house.enters(of())

    await proven(tab, of(lasts=SHORT))

    assert (await tab.closed())[0] == 4401


async def test_the_same_token_may_come_twice(house: House):
    proof = of()
    tab = await house.enters(proof, "inbox")

    for _ in range(3):
        await proven(tab, proof)

    assert await is_in(tab)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "no token",
        "a.b.c",
        of(iss="https://evil.example"),
        of(aud="another"),
        of(made=1000.0),
        of()[:-4] + "AAAA",
        jwt.encode({"sub": "ann"}, "", "none"),
        "x" * 9000,
    ],
    ids=["empty", "no-token", "dots", "issuer", "audience", "ended", "signature", "none", "long"],
)
async def test_a_bad_token_is_refused_and_the_old_one_lasts_to_its_end(house: House, bad: str):
    made = time.time()
    tab = await house.enters(of(made=made, lasts=SHORT), "inbox")

    await proves(tab, bad)

    answer = await tab.next()
    assert (answer["type"], answer["code"]) == ("error", "TOKEN_REFUSED")
    await house.write("inbox")
    assert (await tab.next_event())["type"] == "create"
    assert (await tab.closed())[0] == 4401
    assert time.time() >= made + SHORT


@pytest.mark.parametrize("bad", [None, 7, True, ["t"], {}])
async def test_what_is_no_token_is_no_message(house: House, bad: object):
    for tab in (await house.enters(None), await house.enters(of())):
        await proves(tab, bad)

        assert (await tab.next())["code"] == "BAD_MESSAGE"
        assert await is_in(tab)


async def test_the_token_of_another_user_ends_the_socket(house: House):
    tab, bob = await house.enters(of("ann"), "inbox"), await house.enters(of("bob"), "inbox")
    heard = len(tab.frames)

    await proves(tab, of("bob"))
    await tab.join("todo", "other")

    assert await tab.closed() == (4401, "this token is another user's; open a socket of its own")
    assert len(tab.frames) == heard
    assert await is_in(bob)


@pytest.mark.parametrize("sub", ["Ann", "ann ", "an", "annn", "ａnn"])
async def test_a_user_is_another_one_where_a_single_character_is(house: House, sub: str):
    tab = await house.enters(of("ann"))

    await proves(tab, of(sub))

    assert (await tab.closed())[0] == 4401


async def test_who_came_as_nobody_becomes_somebody(house: House):
    tab = await house.enters(None)
    await tab.join("todo", "inbox")
    assert taken_away(await tab.next(), "inbox")

    assert (await proven(tab, of()))["sub"] == "ann"
    await tab.join("todo", "inbox")

    assert (await tab.next_event())["type"] == "sync"
    await proves(tab, of("bob"))
    assert (await tab.closed())[0] == 4401


async def test_who_came_as_nobody_and_ended_as_somebody_does_not_stay_as_nobody(house: House):
    tab = await house.enters(None)

    await proven(tab, of(lasts=SHORT))

    assert (await tab.closed())[0] == 4401


@pytest.mark.parametrize("bad", ["no token", of(made=1000.0)], ids=["no-token", "ended"])
async def test_who_means_to_be_somebody_is_not_served_as_nobody(house: House, bad: str):
    tab = await house.enters(None, "lobby")
    heard = len(tab.frames)

    await proves(tab, bad)
    await tab.join("todo", "lobby")

    assert (await tab.closed())[0] == 4401
    assert len(tab.frames) == heard


async def test_the_plain_dialect_cannot_renew_a_token(house: House):
    tab = await house.enters(of(lasts=SHORT), "inbox", is_extended=False)

    await proves(tab, of())

    assert (await tab.next())["code"] == "BAD_MESSAGE"
    assert (await tab.closed())[0] == 4401


async def test_tokens_that_come_too_fast_are_dropped_and_end_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(guest, "SENDS", (0.0, 2))
    tab = await house.enters(of())

    for _ in range(3):
        await proves(tab, of())

    assert [(await tab.next()).get("code", "taken") for _ in range(3)] == ["taken", "taken", "TOO_FAST"]
    assert await is_in(tab)


# Rules are asked again.


async def test_a_fresh_token_takes_away_what_it_does_not_open_and_nothing_else(house: House):
    tab = await house.enters(of(groups="inbox other"), "inbox", "other")
    await tab.join("todo", "inbox", "a")
    await tab.next()

    await proven(tab, of(groups="other"))

    group, item = sorted([await tab.next(), await tab.next()], key=lambda frame: frame["id"] or "")
    assert taken_away(group, "inbox")
    assert taken_away(item, "inbox", "a")
    await house.write("inbox", "other")
    assert (await tab.next())["groupId"] == "other"
    assert await is_in(tab)


async def test_a_fresh_token_opens_what_the_old_one_did_not(house: House):
    tab = await house.enters(of(groups="inbox"), "inbox")
    await tab.join("todo", "other")
    assert taken_away(await tab.next(), "other")

    await proven(tab, of(groups="inbox other"))
    await tab.join("todo", "other")

    assert (await tab.next_event())["type"] == "sync"
    assert await is_in(tab)


async def test_what_was_open_to_nobody_is_asked_about_when_it_is_somebody(house: House):
    tab = await house.enters(None, "lobby")

    await proven(tab, of(groups="inbox"))

    assert taken_away(await tab.next(), "lobby")


async def test_a_token_that_is_refused_takes_nothing_away(house: House):
    tab = await house.enters(of(groups="inbox"), "inbox")
    asked = list(house.seen)

    await proves(tab, of(groups="", aud="another"))

    assert (await tab.next())["code"] == "TOKEN_REFUSED"
    assert await is_in(tab)
    assert house.seen == asked


async def test_a_room_is_taken_away_when_the_rule_says_no_later(strict_house: House):
    tabs = [
        await strict_house.enters(of("ann"), "other", "inbox"),
        await strict_house.enters(of("bob"), "inbox"),
    ]

    strict_house.closed.add("inbox")

    for tab in tabs:
        assert taken_away(await tab.next(), "inbox")
    await strict_house.write("inbox", "other")
    assert (await tabs[0].next())["groupId"] == "other"
    for tab in tabs:
        assert await is_in(tab)


async def test_a_room_that_was_taken_away_may_be_had_again(strict_house: House):
    tab = await strict_house.enters(of(), "inbox")
    strict_house.closed.add("inbox")
    assert taken_away(await tab.next(), "inbox")

    strict_house.closed.clear()
    await tab.join("todo", "inbox")

    assert (await tab.next_event())["type"] == "sync"
    assert await is_in(tab)


async def test_who_came_as_nobody_is_asked_about_too(strict_house: House):
    tab = await strict_house.enters(None, "lobby")

    strict_house.closed.add("lobby")

    assert taken_away(await tab.next(), "lobby")


async def test_the_plain_dialect_is_told_in_the_two_forms_that_its_clients_know(strict_house: House):
    tab = await strict_house.enters(of(), "inbox", is_extended=False)

    strict_house.closed.add("inbox")

    assert (await tab.next_event())["event"]["data"]["code"] == "STREAM_ACCESS_DENIED"
    assert taken_away(await tab.next(), "inbox")
    assert await is_in(tab)


async def test_a_rule_that_fails_later_takes_the_room_away(strict_house: House):
    tab = await strict_house.enters(of(), "inbox")

    strict_house.fails = True

    assert taken_away(await tab.next(), "inbox")


async def test_what_may_be_sent_is_asked_again_too(strict_house: House):
    tab = await strict_house.enters(of(), "inbox")
    assert (await _sent(tab))["type"] == "ack"

    strict_house.is_quiet = True
    asked = len(strict_house.seen)
    # One look at everybody may be under way.
    await until(lambda: len(strict_house.seen) >= asked + 2)

    assert (await _sent(tab))["code"] == "SEND_DENIED"


async def test_what_may_be_sent_is_asked_again_after_a_fresh_token(house: House):
    tab = await house.enters(of(), "inbox")
    assert (await _sent(tab))["type"] == "ack"
    house.is_quiet = True
    assert (await _sent(tab))["type"] == "ack"

    await proven(tab, of())

    assert (await _sent(tab))["code"] == "SEND_DENIED"


async def test_who_had_a_room_taken_away_sends_as_its_own_rule_says_and_hears_nothing(strict_house: House):
    tab, other = await strict_house.enters(of(), "inbox"), await strict_house.enters(of("bob"))
    strict_house.closed.add("inbox")
    assert taken_away(await tab.next(), "inbox")

    assert (await _sent(other))["type"] == "ack"
    assert (await _sent(tab))["type"] == "ack"
    assert await is_in(tab)


# What is said behind a token waits for it.


async def test_a_join_behind_a_token_waits_for_it_and_is_asked_about_as_who_it_is_then(house: House):
    let_in = house.hold("who is new")
    tab = await house.enters(None)

    await proves(tab, of(v="new"))
    await tab.join("todo", "inbox")
    await until(lambda: house.arrived["new"] == 1)
    let_in()

    assert (await tab.next())["type"] == "auth"
    assert (await tab.next_event())["type"] == "sync"
    assert house.seen == [("inbox", "new")]


async def test_what_is_said_behind_a_token_is_heard_in_its_order(house: House):
    let_in = house.hold("who is new")
    tab = await house.enters(of(), "inbox")
    heard = len(tab.frames)

    await proves(tab, of(v="new"))
    await until(lambda: house.arrived["new"] == 1)
    for number in range(5):
        await tab.say({"type": "ping"})
        await tab.say({"type": "nothing", "number": number})
    await proves(tab, of("ann", v="newest"))
    await tab.say({"type": "ping"})
    assert len(tab.frames) == heard
    let_in()

    said = [(await tab.next())["type"] for _ in range(13)]
    assert said == ["auth", *["pong", "error"] * 5, "auth", "pong"]


async def test_a_room_is_heard_of_while_a_token_is_under_way(house: House):
    let_in = house.hold("who is new")
    tab = await house.enters(of(), "inbox")
    await proves(tab, of(v="new"))
    await until(lambda: house.arrived["new"] == 1)

    await house.write("inbox")

    assert (await tab.next_event())["type"] == "create"
    let_in()
    assert (await tab.next())["type"] == "auth"


async def test_a_leave_behind_a_token_counts_after_it(house: House):
    let_in = house.hold("who is new")
    tab = await house.enters(of())
    await tab.join("todo", "inbox", subscription="s")
    await tab.next()
    await proves(tab, of(v="new", groups="other"))
    await tab.leave("s")
    await until(lambda: house.arrived["new"] == 1)
    let_in()

    assert (await tab.next())["type"] == "auth"
    await tab.join("todo", "other")
    while (frame := await tab.next())["groupId"] != "other":
        assert taken_away(frame, "inbox")
    await house.write("inbox")
    assert await is_in(tab)


async def test_a_join_that_the_old_token_was_asked_about_does_not_outlive_it(house: House):
    let_see = house.hold("what may old see")
    tab = await house.enters(of(v="old"))
    await tab.join("todo", "inbox")
    await until(lambda: house.seen == [("inbox", "old")])

    await proven(tab, of(v="new", groups="other"))
    assert taken_away(await tab.next(), "inbox")
    let_see()
    await until(lambda: not _under_way("gateway: join"))
    await house.write("inbox")

    assert await is_in(tab)


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_socket_that_goes_away_while_its_token_is_under_way_leaves_nothing(house: House, how: str):
    let_in = house.hold("who is new")
    tab = await house.enters(of(), "inbox")
    await proves(tab, of(v="new"))
    await tab.join("todo", "other")
    await until(lambda: house.arrived["new"] == 1)

    await _go_away(tab, how)
    let_in()

    await until(lambda: not len(house.hub.guests))
    await until(lambda: not _under_way("gateway: take", "gateway: join"))
    await _nothing_is_left(house)


async def test_a_token_that_ends_while_the_next_one_is_under_way_leaves_nothing(house: House):
    let_in = house.hold("who is new")
    tab = await house.enters(of(lasts=SHORT), "inbox")
    await proves(tab, of(v="new"))
    await tab.join("todo", "other")
    await until(lambda: house.arrived["new"] == 1)

    await until(lambda: not len(house.hub.guests))
    let_in()

    assert (await tab.closed())[0] == 4401
    await until(lambda: not _under_way("gateway: take", "gateway: join"))
    await _nothing_is_left(house)


async def test_a_client_that_goes_away_before_it_is_let_in_leaves_nothing(house: House):
    let_in = house.hold("who is new")
    coming = asyncio.create_task(house.enters(of(v="new")))
    await until(lambda: house.arrived["new"] == 1)

    coming.cancel()
    await asyncio.wait([coming])
    let_in()

    await until(lambda: not _under_way("gateway: admit"))
    await until(lambda: not len(house.hub.guests))
    await _nothing_is_left(house)


async def test_a_gateway_outlives_that_nobody_can_say_what_was_revoked():
    async with House().open(revoked=Unknowable()) as house:
        other = await house.enters(of())
        for tab in (await house.enters(of()), await house.enters(None)):
            await proves(tab, of())

            assert (await tab.closed())[0] == 1011

        assert await is_in(other)


class Unknowable(NothingRevoked):
    """Where the bucket of revocations is gone."""

    async def current(self) -> None:
        raise BucketNotUsable("revocations have no bucket in this namespace yet")


async def _sent(tab: Tab) -> dict[str, Any]:
    room = {"streamName": "todo", "groupId": "inbox"}
    await tab.say({"type": "send", "ref": 1, "data": {**room, "event": {"type": "typing"}}})
    return await tab.next()


async def _go_away(tab: Tab, how: str) -> None:
    goodbye: Callable[[], Awaitable[None]] = tab.close
    if how == "abort":
        tab.socket.transport.abort()
        goodbye = tab.socket.wait_closed
    await goodbye()


def _under_way(*names: str) -> bool:
    return any(task.get_name().startswith(names) for task in asyncio.all_tasks())


async def _nothing_is_left(house: House) -> None:
    assert not house.hub.guests._by_sub
    assert not any(audience.watchers() for audience in house.hub._audiences.values())
    assert await is_in(await house.enters(None))
