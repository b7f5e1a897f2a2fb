"""Who is let in: every handshake of the table over a real socket, on one gateway."""

from __future__ import annotations

import logging

import pytest

from tests.gateway.door import PING, PONG, Door
from tests.gateway.door import door as door
from tests.gateway.door import opened_door as opened_door
from tests.gateway.handshake_rows import ANN, Handshake, bearer, offers, request, secrets
from tests.gateway.handshakes import HANDSHAKES
from tests.gateway.waiting import until

# One gateway for all of them: whatever somebody sends, it is there for the next.
pytestmark = pytest.mark.asyncio(loop_scope="module")


def gateway_log(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the gateway's sockets have said."""
    said = [each.getMessage() for each in caplog.records if each.name == "streams.gateway.admission"]
    return [each for each in said if not each.startswith("no request to open a socket: status=4")]


def found_in(text: str, asked: bytes) -> set[str]:
    """What of the tokens in a request is in a text."""
    return {secret for secret in secrets(asked) if secret in text}


@pytest.mark.parametrize("row", HANDSHAKES, ids=str)
async def test_every_handshake_has_its_documented_answer(
    door: Door, caplog: pytest.LogCaptureFixture, row: Handshake
):
    async with door.visitor() as visitor:
        await visitor.says(row.request)
        answer = await visitor.answer()

        assert (answer.status, answer.code) == (row.status, row.code)
        assert answer.header("WWW-Authenticate") == (["Bearer"] if row.status == 401 else [])
        assert bool(answer.header("Retry-After")) == (row.status == 503)
        assert answer.header("Sec-WebSocket-Protocol") == ([row.subprotocol] if row.subprotocol else [])
        assert not found_in(answer.everything.decode("latin-1"), row.request)
        assert not found_in(caplog.text, row.request)
        logged = gateway_log(caplog)
        if row.reason is None:
            assert logged == []
        else:
            (line,) = logged
            assert row.reason in line
            assert f"code={row.code}" in line
        assert (len(door.hub.guests), door.hub.watched_groups) == (row.status == 101, 0)
        if row.status == 101:
            ((told, claims),) = door.application.told
            assert (claims and claims.sub) == row.sub
            assert row.sub is None or not found_in(repr(told), row.request)


@pytest.mark.parametrize(
    "asked",
    [
        request(offers("Authorization", ANN)),
        request(bearer(ANN)),
        request(target=f"/?authToken={ANN}"),
        request(bearer(f"{ANN}x")),
    ],
    ids=["as a subprotocol", "as a bearer", "in the address", "refused"],
)
async def test_no_token_is_logged_even_where_websockets_is_told_to_log_everything(
    door: Door, caplog: pytest.LogCaptureFixture, asked: bytes
):
    # As `dictConfig` does to it when it is given a level for `websockets`.
    caplog.set_level(logging.DEBUG, logger="websockets.server")

    async with door.visitor() as visitor:
        await visitor.says(asked)
        await visitor.answer()

    assert secrets(asked)
    assert not found_in(caplog.text, asked)


@pytest.mark.parametrize("how", ["close", "abort", "write_eof"])
@pytest.mark.parametrize("target", ["/waits", "/waits-and-refuses"])
async def test_nothing_is_left_of_a_client_that_goes_away_while_it_is_asked_who_it_is(
    door: Door, caplog: pytest.LogCaptureFixture, target: str, how: str
):
    async with door.visitor() as visitor:
        await visitor.says(request(bearer(ANN), target=target))
        await door.is_asked()

        getattr(visitor.line.transport, how)()
        door.application.may_answer.set()
        await door.has_answered()

        await until(lambda: door.is_empty)
        assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_what_is_said_while_it_is_asked_who_says_it_is_heard_after_the_answer(door: Door):
    async with door.visitor() as visitor:
        await visitor.says(request(bearer(ANN), target="/waits"))
        await door.is_asked()
        await visitor.says(PING)

        door.application.may_answer.set()
        answer = await visitor.answer_and(PONG)

        assert answer.status == 101
        assert answer.body == PONG


@pytest.mark.parametrize("behind", [PING, request(), request(bearer(ANN))], ids=["ping", "request", "good"])
async def test_what_is_said_behind_a_request_that_is_refused_is_never_heard(door: Door, behind: bytes):
    async with door.visitor() as visitor:
        await visitor.says(request(bearer(ANN), target="/waits-and-refuses", behind=behind))
        await door.is_asked()
        await visitor.says(behind)

        door.application.may_answer.set()
        answer = await visitor.answer()

        assert answer.status == 401
        assert answer.body.count(b"HTTP/1.1") == 0
        assert door.is_empty
        assert len(door.application.told) == 1


async def test_a_socket_works_whatever_came_in_one_piece_with_its_request(door: Door):
    async with door.visitor() as visitor:
        await visitor.says(request(bearer(ANN), behind=PING))
        answer = await visitor.answer()

        assert answer.status == 101
        assert await visitor.pong() == PONG


@pytest.mark.parametrize("cut_after", [1, 40, -1])
async def test_a_handshake_may_come_in_pieces(door: Door, cut_after: int):
    whole = request(bearer(ANN))
    async with door.visitor() as visitor:
        await visitor.says(whole[:cut_after])
        await visitor.says(whole[cut_after:])

        assert (await visitor.answer()).status == 101
