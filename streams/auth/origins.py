"""Which web pages may talk to us, by the `Origin` that their browser sends.

WebSockets are not covered by the same-origin policy: a page of any site can
open one to any server that the browser reaches, a developer's own machine
included (CSWSH). The browser's `Origin` header is the only defence.
"""

from __future__ import annotations

from urllib.parse import urlsplit

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

LOOPBACK_ORIGIN = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
"""The same rule as `is_loopback_origin`, for a CORS middleware."""


def is_loopback_origin(origin: str | None) -> bool:
    """Whether a page of this machine asks, on any port, or a program that is no browser (None)."""
    if origin is None:
        return True
    parts = _split(origin)
    return parts is not None and parts[0] in ("http", "https") and parts[1] in _LOOPBACK


def is_loopback_host(host: str | None) -> bool:
    """Whether a request was meant for this machine by name.

    A page of another site can have its own name point at 127.0.0.1 (DNS
    rebinding); the `Host` header then still carries that name.
    """
    if host is None:
        return False
    parts = _split(f"http://{host}")
    return parts is not None and parts[1] in _LOOPBACK


def _split(url: str) -> tuple[str, str | None] | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for a port that is no number
    except ValueError:
        return None
    if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        return None
    return parts.scheme, parts.hostname
