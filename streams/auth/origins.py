"""Which web pages may talk to us, by the `Origin` that their browser sends.

WebSockets are not covered by the same-origin policy: a page of any site can
open one to any server that the browser reaches, a developer's own machine
included (CSWSH). The browser's `Origin` header is the only defence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from streams.errors import DefinitionRefused

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LOOPBACK_ORIGIN = r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?"
_NOBODY = "(?!)"
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_MAX_BYTES = 300
"""No origin of a browser is longer; what is would only be expensive to look at."""
_LISTED = re.compile(rf"https?://(?:\*\.)?(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::[0-9]+)?")


class Origins:
    """Pages of this machine, on any port, and of the origins that are listed.

    An origin is what a browser sends: `https://app.example.com`, without a
    path. `https://*.example.com` stands for every name below it, however deep.
    Where `is_local` is False, pages of this machine count as listed ones only.

    Raises:
        DefinitionRefused: One of them is no origin.
    """

    def __init__(self, listed: Iterable[str] = (), *, is_local: bool = True) -> None:
        self.is_local = is_local
        """Whether pages of this machine may, just so: then requests had better be meant for this machine."""
        local = [_LOOPBACK_ORIGIN] if is_local else []
        self.pattern = "|".join([*local, *map(_pattern, listed)]) or _NOBODY
        """The same rule as a regular expression, for a CORS middleware."""
        self._allowed = re.compile(self.pattern)

    def allows(self, origin: str | None) -> bool:
        """Whether the page may talk to us; None is a program that is no browser."""
        if origin is None:
            return True
        return len(origin) <= _MAX_BYTES and self._allowed.fullmatch(origin) is not None


def is_loopback_host(host: str | None) -> bool:
    """Whether a request was meant for this machine by name.

    A page of another site can have its own name point at 127.0.0.1 (DNS
    rebinding); the `Host` header then still carries that name.
    """
    if host is None:
        return False
    try:
        parts = urlsplit(f"http://{host}")
        parts.port  # noqa: B018 - raises for a port that is no number
    except ValueError:
        return False
    if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        return False
    return parts.hostname in _LOOPBACK


def _pattern(origin: str) -> str:
    given = origin.strip().lower()
    if _LISTED.fullmatch(given) is None:
        raise DefinitionRefused(
            f"{origin!r} is not the origin of a page; expected one such as https://app.example.com "
            "or https://*.example.com, without a path"
        )
    # Browsers leave out the port that goes without saying.
    given = re.sub(r"^(https:.*):443$|^(http:.*):80$", lambda found: found[1] or found[2], given)
    scheme, _, rest = given.partition("://")
    name = rest.removeprefix("*.")
    below = "" if name == rest else rf"(?:{_LABEL}\.)+"
    return f"{scheme}://{below}{re.escape(name)}"
