"""Follows one room of a gateway: its state, then every change, over lost connections."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Callable

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from streams.errors import StreamsError
from streams.messages import Room

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""Longest frame taken: a `sync` holds a whole group."""


class NotAGateway(StreamsError):
    """The address answers, but does not open WebSockets."""


class TokenRefused(StreamsError):
    """The gateway does not let us in with this token, or without one."""


async def frames(
    url: str, room: Room, *, away: Callable[[Exception], None], token: str | None = None
) -> AsyncGenerator[bytes, None]:
    """Every frame of a room as JSON text, byte for byte as it came.

    After a lost connection the room is joined again, and a `sync` says what
    it holds now. `away` is called with the reason whenever the gateway cannot
    be reached; attempts go on with growing pauses.

    Raises:
        NotAGateway: Something else answers at `url`.
        TokenRefused: The token is not good (any more).
    """
    subscription = str(uuid.uuid4())
    data = {"streamName": room.stream, "groupId": room.group, "subscriptionId": subscription}
    if room.id is not None:
        data["id"] = room.id
    join = orjson.dumps({"type": "join", "data": data}).decode()

    def seen(error: Exception) -> Exception | None:
        if isinstance(error, InvalidStatus):
            if error.response.status_code == 401:
                return TokenRefused(
                    f"{url} does not accept the token; `streams token` makes one for `streams dev`"
                )
            if error.response.status_code == 503:
                away(error)
                return None
            return NotAGateway(f"{url} answers with HTTP {error.response.status_code}; is it a gateway?")
        away(error)
        return None

    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async for socket in connect(
        url, max_size=MAX_FRAME_BYTES, process_exception=seen, additional_headers=headers
    ):
        try:
            await socket.send(join)
            async for frame in socket:
                yield frame.encode() if isinstance(frame, str) else frame
        except ConnectionClosed as error:
            away(error)
            continue
        away(ConnectionError("the gateway closed the connection"))
