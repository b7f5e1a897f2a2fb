"""What the services of commands have in common: whether they run, whom they serve, and how they end."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from streams.cli.running import CommandRefused
from streams.faas.asgi import HEALTHZ, READYZ


def behind(app: ASGIApp, proxies: Iterable[str]) -> ASGIApp:
    """The app behind these proxies: of a request from one of them, `X-Forwarded-For` and `-Proto` count."""
    trusted = list(proxies)
    # uvicorn's and starlette's types of an ASGI app differ in name only.
    return ProxyHeadersMiddleware(app, trusted) if trusted else app  # type: ignore[arg-type,return-value]


def healthy(app: ASGIApp, not_ready: Callable[[], Awaitable[list[str]]]) -> ASGIApp:
    """The app, and beside it whether this process runs and whether it can serve.

    `not_ready` says why it cannot, in words that everybody may read.
    """

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else None
        if path == HEALTHZ:
            response = PlainTextResponse("ok\n")
        elif path == READYZ:
            reasons = await not_ready()
            response = PlainTextResponse(f"{'; '.join(reasons)}\n" if reasons else "ready\n")
            response.status_code = 503 if reasons else 200
        else:
            await app(scope, receive, send)
            return
        await response(scope, receive, send)

    return served


def checked_proxies(given: Iterable[str]) -> tuple[str, ...]:
    """Addresses and networks of proxies, as they were given.

    Raises:
        CommandRefused: One of them is neither of these, nor a `*` that stands alone.
    """
    proxies = tuple(given)
    # Beside others, uvicorn takes it for a name that no peer ever has.
    if "*" in proxies and len(proxies) > 1:
        raise CommandRefused(
            "--trust-proxy * is whoever connects, and is given alone; leave it out to trust only the "
            "proxies that are named, or leave those out"
        )
    for each in proxies:
        try:
            if each != "*":
                # As uvicorn takes it: anything else would be a name that no peer ever has.
                ipaddress.ip_network(each)
        except ValueError as error:
            raise CommandRefused(
                f"--trust-proxy {each!r} is not the address of a proxy ({error}); "
                "expected one such as 10.0.0.7, a network such as 10.0.0.0/8, or * for whoever connects"
            ) from error
    return proxies
