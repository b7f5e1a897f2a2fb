"""Tokens end, and are renewed on the socket that they opened."""

from __future__ import annotations

import time

import jwt
import pytest

from streams.auth.keys import FixedKeys, secret_key
from streams.auth.tokens import TokenRules, Verifier
from streams.gateway import guest
from tests.auth.issued import AUDIENCE, ISSUER, SECRET
from tests.gateway.house import SHORT, House, is_in, of, proven, proves, taken_away
from tests.gateway.house import house as house

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
