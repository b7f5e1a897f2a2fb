"""Who is let in, and how those are answered who are not."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from streams.access import Caller
from streams.answers import Answer, answer_to
from streams.errors import NotLetIn
from streams.gateway.handshake import Opening
from streams.gateway.incoming import parser
from streams.gateway.upgrade import Upgrade, read_upgrade

if TYPE_CHECKING:
    from streams.auth.origins import Origins
    from streams.gateway.hub import Hub

log = logging.getLogger(__name__)

NO_UPGRADE = b"this is no request to open a WebSocket\n"


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody is let in."""

    caller: Caller
    upgrade: Upgrade
    answer: bytes


def judged(wire: ServerProtocol, request: Request, address: str | None) -> Opening | bytes:
    """A request of any form: one to open a socket, or how it is answered that it is none."""
    response = wire.accept(request)
    if response.status_code == 101:
        accept = response.headers["Sec-WebSocket-Accept"]
        return Opening.of(request.path, request.headers.raw_items(), accept)
    # What the library says of a header may have its content in it, and so a token.
    log.info("no request to open a socket: status=%d address=%s", response.status_code, address)
    return _saying(response, "text/plain; charset=utf-8", NO_UPGRADE)


async def admission(hub: Hub, origins: Origins, opening: Opening, address: str | None) -> Admitted | bytes:
    """Who comes in, or how it is answered that it does not. Waits only where somebody must be asked."""
    try:
        upgrade = read_upgrade(opening, address)
        if not origins.allows(upgrade.origin):
            sentence = "this page's origin may not open sockets here"
            answer = Answer(403, "ORIGIN_REFUSED", sentence)
            return _turned_away(hub, answer, f"origin {upgrade.origin!r}"[:200], address)
        caller = await hub.access.caller(upgrade.token, upgrade.request)
    except NotLetIn as error:
        return _turned_away(hub, answer_to(error), error.reason, address)
    except Exception as error:
        log.exception("a client could not be admitted")
        return _turned_away(hub, answer_to(error), type(error).__name__, address)
    return Admitted(caller, upgrade, opening.answer(upgrade.subprotocol))


def _turned_away(hub: Hub, answer: Answer, reason: str, address: str | None) -> bytes:
    """Why is for the log alone."""
    log.info("a socket was refused: %s code=%s address=%s", reason, answer.code, address)
    hub.guests.tally.turned_away[answer.code] += 1
    response = parser(State.CONNECTING).reject(answer.status, "")
    for name, value in answer.headers.items():
        response.headers[name] = value
    return _saying(response, "application/json", orjson.dumps(answer.body))


def _saying(response: Response, content_type: str, body: bytes) -> bytes:
    """A refusal with another body."""
    response.body = body
    for name, value in (("Content-Type", content_type), ("Content-Length", str(len(body)))):
        response.headers.pop(name, None)
        response.headers[name] = value
    return response.serialize()
