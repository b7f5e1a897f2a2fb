"""The listener: HTTP and WebSocket on one port, for as long as a block lasts."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import uvicorn

from streams.auth.origins import Origins
from streams.gateway.guard import GuardedHttp
from streams.gateway.hub import Hub
from streams.gateway.leaving import see_off
from streams.gateway.socket import Socket, limit_unsent

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

DRAIN_SECONDS = 2
"""How long requests and sockets may take to end when the listener closes."""

KEEP_ALIVE_SECONDS = 75
"""How long a connection without a request is kept. Load balancers keep theirs for 60 seconds; whoever
closes first must not be us, or a request may be on its way."""


@asynccontextmanager
async def listening(
    hub: Hub,
    sock: socket.socket,
    app: App | None = None,
    *,
    origins: Origins | None = None,
    drain_seconds: int = DRAIN_SECONDS,
) -> AsyncIterator[None]:
    """Serve the hub's sockets on `sock`, any path, and `app` for plain HTTP.

    Sockets are opened to pages of `origins`, of this machine where there
    are none. Entered when connections are taken; on leaving, no more are, and
    clients are told to come back (1012), one after the other. What is under
    way then may take about `drain_seconds`, that included.
    """
    origins = origins or Origins()
    config = uvicorn.Config(
        _with_hub(hub, origins, app or health(hub, origins)),
        http=GuardedHttp,
        ws=Socket,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Who a caller is, no header may say: whoever is behind a proxy takes care of that in `app`.
        proxy_headers=False,
        timeout_graceful_shutdown=drain_seconds,
    )
    limit_unsent(sock)
    async with serving(config, [sock]) as server:
        yield
        for listener in server.servers:
            listener.close()
        began = time.monotonic()
        await see_off(hub.guests)
        config.timeout_graceful_shutdown = max(1, math.ceil(drain_seconds - (time.monotonic() - began)))


def http_config(app: App, *, drain_seconds: int) -> uvicorn.Config:
    """A server of HTTP alone. On leaving, requests under way have so many seconds to end."""
    return uvicorn.Config(
        app,
        http=GuardedHttp,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # As above.
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=drain_seconds,
    )


@asynccontextmanager
async def serving(
    config: uvicorn.Config, sockets: list[socket.socket] | None = None
) -> AsyncIterator[uvicorn.Server]:
    """Run a uvicorn server for the length of the block, and leave the process's signals alone.

    Entered when connections are taken.
    """
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=sockets), name="uvicorn")
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the server ended before it was ready")
            await asyncio.sleep(0.002)
        yield server
    finally:
        server.should_exit = True
        await task


def stop_requested() -> asyncio.Event:
    """Set by Ctrl-C and SIGTERM, which from now on end nothing by themselves."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def health(hub: Hub, origins: Origins) -> App:
    """`GET /healthz` says that this process runs, `GET /readyz` whether it can let clients in.

    Browsers that ask whether a page of these origins may send a token with
    what is to become an event stream are told so.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        status, said = 404, b"nothing here: this is a WebSocket gateway\n"
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        if scope["method"] == "OPTIONS" and scope["path"].startswith("/streams") and origins.allows(origin):
            across = [(b"access-control-allow-origin", origin.encode("latin-1")), *_PREFLIGHT]
            await answer(send, 204, b"", headers=across)
            return
        if scope["path"] == "/healthz":
            status, said = 200, b"ok\n"
        elif scope["path"] == "/readyz":
            reasons = hub.not_ready()
            status, said = (503, f"{'; '.join(reasons)}\n".encode()) if reasons else (200, b"ready\n")
        await answer(send, status, said)

    return app


_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET"),
    (b"access-control-allow-headers", b"authorization, last-event-id"),
    (b"access-control-max-age", b"600"),
    (b"vary", b"origin"),
]


async def answer(
    send: Send,
    status: int,
    body: bytes,
    content_type: str = "text/plain; charset=utf-8",
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Answer a request that needs nothing of itself, with all of the body at once."""
    own = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": body})


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Ctrl-C and SIGTERM belong to whoever runs this block.
        yield


def _with_hub(hub: Hub, origins: Origins, app: App) -> App:
    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        await receive()
        # uvicorn hands this dictionary to every protocol instance: so a
        # socket finds its hub without a global.
        scope["state"].update(hub=hub, origins=origins)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    return served
