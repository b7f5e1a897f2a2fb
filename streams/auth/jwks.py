"""Keys from a JWKS URL: asked for now and then, kept when nobody answers."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from streams.auth.keys import PUBLIC_ALGORITHMS, Key, KeySet, jwks_keys
from streams.auth.origins import is_loopback_host
from streams.errors import DefinitionRefused, NotLetIn
from streams.tasks import BackgroundTasks, background_tasks

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

FRESH_SECONDS = 300.0
"""After so long, whoever comes has the keys asked for again, and does not wait for them."""
IDLE_SECONDS = 2 * FRESH_SECONDS
"""When nobody came for so long, the first to come waits: a key that was taken away must not let it in."""
ASK_AGAIN_SECONDS = 10.0
"""They are not asked for more often, whoever comes and whatever the answer was."""
ANSWER_SECONDS = 5.0
MAX_DOCUMENT_BYTES = 256 * 1024


def checked_jwks_url(url: str) -> str:
    """The URL, when keys may come from there.

    Raises:
        DefinitionRefused: Somebody between could put in keys of their own, or it is no URL.
    """
    try:
        parts = urlsplit(url)
        # Raises for a port that is no number.
        is_usable = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        is_usable = is_usable and url.isprintable() and " " not in url
    except ValueError:
        is_usable = False
    if is_usable and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback_host(parts.netloc))):
        return url
    without_password = re.sub(r"//.*@", "//***@", _printable(url))
    raise DefinitionRefused(
        f"{without_password!r} is no place to have keys from; expected https://HOST/PATH "
        "(or http:// of this machine), without a password in it"
    )


class Jwks:
    """The keys at a URL, for the length of a block.

    Only one question is under way at a time, and whoever needs its answer
    shares it. While the URL does not answer, the keys that it gave last go on
    being accepted, for ever. A key that is missing in a new answer is not.
    """

    algorithms = PUBLIC_ALGORITHMS

    def __init__(
        self, url: str, client: httpx.AsyncClient, tasks: BackgroundTasks, now: Callable[[], float]
    ) -> None:
        self._url, self._client, self._tasks, self._now = url, client, tasks, now
        self._found: KeySet | None = None
        self._fetched_at = self._asked_at = -float("inf")
        self._question: asyncio.Task[None] | None = None
        self._problem: str | None = None

    @classmethod
    @asynccontextmanager
    async def kept(cls, url: str, *, now: Callable[[], float] = time.monotonic) -> AsyncIterator[Self]:
        """Ask for the keys at `url`, and keep them for the length of the block.

        The block does not wait for the first answer; who needs it does.

        Raises:
            DefinitionRefused: Keys may not come from there.
        """
        checked_jwks_url(url)
        # Here, and not above: it takes as long to load as everything else that a verifier needs.
        import httpx

        client = httpx.AsyncClient(
            timeout=ANSWER_SECONDS,
            follow_redirects=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            # None are kept: one that is not ASCII would spoil every question from then on.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            # A proxy may be the only way out; what is on this machine is not to leave it.
            trust_env=urlsplit(url).scheme == "https",
        )
        async with client, background_tasks() as tasks:
            jwks = cls(url, client, tasks, now)
            jwks._asked()
            yield jwks

    async def known(self, kid: str | None) -> Sequence[Key]:
        """The keys that are accepted now. For a `kid` that is not among them, they may be asked for first.

        Cancelling this loses nothing.

        Raises:
            NotLetIn: AUTH_UNAVAILABLE: there were never any keys.
        """
        now = self._now()
        if self._is_missing(kid) or now - self._asked_at >= IDLE_SECONDS:
            question = self._asked()
            if question is not None:
                await asyncio.wait([question])
        elif now - self._fetched_at >= FRESH_SECONDS:
            self._asked()
        if self._found is None:
            raise NotLetIn(
                "AUTH_UNAVAILABLE",
                f"there never were keys from {_printable(self._url)}: {self._problem or 'no answer yet'}",
            )
        return self._found.keys

    def _is_missing(self, kid: str | None) -> bool:
        if self._found is None:
            return True
        return kid is not None and all(key.kid != kid for key in self._found.keys)

    def _asked(self) -> asyncio.Task[None] | None:
        """The question that is under way, or that may be asked now."""
        if self._question is not None and not self._question.done():
            return self._question
        now = self._now()
        if now - self._asked_at < ASK_AGAIN_SECONDS:
            return None
        self._asked_at = now
        self._question = self._tasks.start(self._ask(), name="jwks")
        return self._question

    async def _ask(self) -> None:
        import httpx

        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                listed = await self._listed()
        except TimeoutError:
            self._note_problem(f"no answer within {ANSWER_SECONDS:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError) as error:
            self._note_problem(f"{type(error).__name__}: {error}"[:200])
        else:
            self._take(jwks_keys(listed))

    async def _listed(self) -> list[object]:
        body = bytearray()
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != 200:
                raise ValueError(f"the answer has the status {response.status_code}, and 200 is expected")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("the answer is compressed, which was not asked for")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_DOCUMENT_BYTES:
                    raise ValueError(f"the answer has more than {MAX_DOCUMENT_BYTES} bytes")
        document: Any = json.loads(body)
        listed = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(listed, list):
            raise ValueError("the answer is no JSON object with a list of `keys`")
        return listed

    def _take(self, found: KeySet) -> None:
        if self._found is None or found.skipped != self._found.skipped:
            for problem in found.skipped:
                log.warning("a key for tokens is left out: %s url=%s", problem, _printable(self._url))
        if not found.keys and (self._found is None or self._found.keys):
            log.warning("no key for tokens is left, so every token is refused url=%s", _printable(self._url))
        elif found.keys and self._problem is not None:
            log.info("the keys for tokens are there again url=%s", _printable(self._url))
        self._found, self._fetched_at, self._problem = found, self._now(), None

    def _note_problem(self, problem: str) -> None:
        if self._problem is None:
            consequence = "nobody can be let in" if self._found is None else "the old ones go on"
            log.warning(
                "the keys for tokens cannot be had, %s: %s url=%s",
                consequence,
                problem,
                _printable(self._url),
            )
        self._problem = problem


def _printable(url: str) -> str:
    """The URL without what may be a secret in it."""
    return url.partition("?")[0][:200]
