"""One connection to NATS that outlives restarts of the server.

nats-py's client is given up when its connection is lost, and a new one takes
its place. What else it does not do is said where this module does it: wait
with a limit, tell "nothing was sent" from "the answer was lost", and say when
messages may have been missed.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from streams.errors import BucketNotUsable, CredentialsNotUsable, StoreUnavailable
from streams.jetstream.barriers import Barriers
from streams.jetstream.clients import FastClient, Handler, abandoned
from streams.jetstream.commands import publish_command
from streams.jetstream.credentials import NOBODY, Credentials, Server, server_at
from streams.jetstream.listeners import Listener, Listeners
from streams.jetstream.opening import open_client
from streams.jetstream.questions import AnswerLost, Questions
from streams.tasks import BackgroundTasks, background_tasks

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
"""How long a first connection, or an operation that finds the line down, waits for the server."""

ANSWER_SECONDS = 2.0
"""How long one request waits for its answer."""

PROBE_SECONDS = 0.5
"""How long a line that may be dead has to prove that it is not."""

CLOSE_SECONDS = 1.0
"""How long closing waits for a line that is just being made."""

LOOK_SECONDS = 1.0
"""How often it is looked after a client that is gone and did not say so."""

_NOBODY = "503"
_GONE = "the connection was lost"
_LOST = (nats.errors.Error, OSError, TimeoutError, AnswerLost)


class NobodyAnswers(Exception):
    """The server says that nobody serves this subject: certainly nothing was done."""


class Connection:
    """One NATS connection of one event loop. Use `connected_to`."""

    _tasks: BackgroundTasks
    """Of the block that it lives in. `connected_to` sets it."""

    def __init__(self, server: Server, name: str) -> None:
        self.url = server.url
        """Where the server is, in words that may be printed."""
        self._server, self._name = server, name
        self._client = FastClient()
        self._listeners = Listeners()
        self._up = asyncio.Event()
        self._lost = asyncio.Event()
        self._others: list[str] = []
        """Other servers of the cluster, which the last one told of."""
        self._problem: str | None = None
        """Why it was not possible to connect again. None: it was, or it was not yet tried."""
        self._questions, self._barriers = Questions(), Barriers()
        self._posted, self._confirmed, self._is_closing = 0, 0, False
        self._inbox = ""
        self._number = 0

    async def request(
        self,
        subject: str,
        data: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Msg:
        """Ask once and wait for one answer.

        Raises:
            StoreUnavailable: There is no connection; nothing was sent.
            NobodyAnswers: Nobody serves the subject; nothing was done.
            AnswerLost: It was sent, but no answer came in time or before the connection was lost.
        """
        (answer,) = await self._asked(subject, data, lambda _: True, headers=headers, seconds=seconds)
        if not answer.data and (answer.headers or {}).get("Status") == _NOBODY:
            raise NobodyAnswers
        return answer

    async def request_many(
        self, subject: str, data: bytes, last: Callable[[Msg], bool], *, seconds: float = ANSWER_SECONDS
    ) -> list[Msg]:
        """Ask once and collect answers up to the one that `last` says yes to, that one included.

        Raises:
            StoreUnavailable: There is no connection; nothing was sent.
            AnswerLost: `seconds` passed without another answer, or the connection was lost.
        """
        return await self._asked(subject, data, last, headers=None, seconds=seconds)

    async def publish(self, subject: str, data: bytes) -> None:
        """Publish, and return when the server has taken it.

        Raises:
            StoreUnavailable: There is no connection, or it was lost before the server had it.
        """
        client = await self.client()
        try:
            await client.publish(subject, data)
            await self._barriers.passed(client, ANSWER_SECONDS)
        except _LOST as error:
            raise self._unavailable() from error

    async def post(self, subject: str, data: bytes) -> None:
        """Publish without waiting for anything: while there is no connection, it is dropped."""
        if self._client.is_connected:
            self._posted += 1
            await self._send(self._client, subject, "", data, None)

    async def confirm(self) -> None:
        """Return when the server has taken all that was posted, or the line with it is gone.

        A process that is frozen when it has answered would keep it until then.
        """
        posted, client = self._posted, self._client
        if posted == self._confirmed:
            return
        try:
            if not client.is_connected:
                raise AnswerLost(_GONE)
            await self._barriers.passed(client, ANSWER_SECONDS)
        except _LOST as error:
            log.warning("events may not have come through: %s", str(error) or type(error).__name__)
        self._confirmed = max(self._confirmed, posted)

    async def revive(self) -> None:
        """Find out whether the line still stands, and if not let a new one take its place.

        For after a pause in which this process did not run: the server may have
        ended it, or something between may have forgotten it, and swallow what is
        sent. Takes a round trip, or `PROBE_SECONDS` when it is dead without a word;
        what is asked then waits for the new one. Cancelling this loses the answer.
        """
        client = self._client
        try:
            if client.is_connected:
                await self._barriers.passed(client, PROBE_SECONDS)
        except _LOST:
            if client is self._client:
                log.info("the line to NATS died in a pause; making a new one url=%s", self.url)
                # It would wait for a server that does not hear it.
                self._tasks.start(abandoned(client), name="nats: end a dead line")
                self._client = FastClient()
                self._lose()

    @asynccontextmanager
    async def subscribed(
        self, subject: str, handler: Handler, lost: Callable[[], None] = lambda: None
    ) -> AsyncIterator[None]:
        """Call `handler` with every message while the block lasts, over reconnects too.

        A request made inside the block is served after the subscription
        stands. `lost` is called when messages may have been missed.
        """
        listener = Listener(subject, handler, lost)
        try:
            await self._listeners.add(await self.client(), listener)
        except nats.errors.Error as error:
            raise self._unavailable() from error
        try:
            yield
        finally:
            await self._listeners.remove(listener)

    async def _asked(
        self,
        subject: str,
        data: bytes,
        last: Callable[[Msg], bool],
        *,
        headers: dict[str, str] | None,
        seconds: float,
    ) -> list[Msg]:
        # Not nats-py's own request: that takes one answer, and waits its full time when the line is gone.
        # All of these share one subscription, made when the connection is.
        client = await self.client()
        self._number += 1
        reply = f"{self._inbox}.{self._number}"
        question = self._questions.ask(reply, last, seconds)
        try:
            await self._send(client, subject, reply, data, headers)
            return await question.answers
        finally:
            self._questions.close(reply)

    async def _send(
        self, client: FastClient, subject: str, reply: str, data: bytes, headers: dict[str, str] | None
    ) -> None:
        # nats-py's own `publish` looks at every header twice, which costs as much as all the rest.
        command = publish_command(subject, reply, data, headers)
        if len(command) > client.max_payload:
            raise BucketNotUsable(
                f"NATS at {self.url} takes messages of {client.max_payload} bytes at most, and one of "
                f"{len(data)} was to be sent; raise its `max_payload`"
            )
        if not client.is_connected:
            raise self._unavailable()
        await client.send(command)

    async def client(self) -> FastClient:
        """The client, connected. Waits for a line that is down.

        Raises:
            StoreUnavailable: It stayed down for `CONNECT_SECONDS`.
        """
        if not self._client.is_connected:
            # nats-py knows of a loss before it tells, and does not always tell.
            self._lose()
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._up.wait()
            except TimeoutError:
                raise self._unavailable() from None
        return self._client

    @property
    def is_connected(self) -> bool:
        """Whether the line stands. One that died without a word does, until that is noticed."""
        return self._client.is_connected

    @property
    def server_version(self) -> str:
        """Of the nats-server at the other end, such as `2.12.3`."""
        return self._client.version

    # Life of the connection.

    async def _open(self) -> None:
        client = await open_client(
            self._server,
            self._others,
            name=self._name,
            on_error=self._on_error,
            on_closed=self._on_closed,
            seconds=CONNECT_SECONDS,
        )
        try:
            self._inbox = client.new_inbox()
            await client.listen(f"{self._inbox}.*", self._questions.take)
            await self._listeners.renew(client)
        except nats.errors.Error as error:
            await abandoned(client)
            raise self._unavailable() from error
        except BaseException:
            await abandoned(client)
            raise
        self._others = [uri.geturl() for uri in client.discovered_servers]
        self._client = client
        self._problem = None
        self._lost.clear()
        self._up.set()

    async def _supervise(self) -> None:
        """Put a new client in the place of one that was lost."""
        while not self._is_closing:
            # Not `wait_for`, which may lose a cancellation before Python 3.12.
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._lost.wait()
            if self._client.is_connected or self._is_closing:
                continue
            self._lose()
            await abandoned(self._client)
            try:
                await self._open()
            except (StoreUnavailable, CredentialsNotUsable) as error:
                log.warning("cannot connect again, trying on: %s", error)
                self._problem = str(error)
                # Whoever answers, but not as it should, is given the time that it takes to mend it.
                mending = type(error) is not StoreUnavailable
                await asyncio.sleep(random.uniform(0.5, 2.0) if mending else random.uniform(0.05, 0.5))
            else:
                log.info("connected again url=%s", self.url)

    def _on_closed(self, client: Client) -> None:
        if client is self._client:
            self._lose()

    def _lose(self) -> None:
        self._up.clear()
        self._lost.set()
        # Their answers went to a connection that is gone.
        self._questions.lose(_GONE)
        self._barriers.lose(_GONE)

    async def _on_error(self, error: Exception) -> None:
        # While it connects, there is one for every attempt.
        level = logging.WARNING if self._up.is_set() else logging.DEBUG
        log.log(level, "nats: %s url=%s", error or type(error).__name__, self.url)

    def _unavailable(self) -> StoreUnavailable:
        why = f" ({self._problem})" if self._problem else ""
        return StoreUnavailable(f"NATS at {self.url} cannot be reached{why}; nothing was written")


@asynccontextmanager
async def connected_to(
    url: str, *, name: str = "streams", credentials: Credentials = NOBODY
) -> AsyncIterator[Connection]:
    """A connection for the length of the block.

    A `url` with `tls://` is never talked to without TLS. What it holds before
    an @, a user and a password or a token, counts as credentials.

    Raises:
        StoreUnavailable: The server does not answer.
        ServerNotUsable: It does, but refuses the credentials, is too old, or has no JetStream or no TLS.
        CredentialsNotUsable: They are given twice or by half, or are in a file that holds none.
    """
    connection = Connection(server_at(url, credentials), name)
    await connection._open()
    try:
        async with background_tasks() as tasks:
            connection._tasks = tasks
            supervising = tasks.start(connection._supervise(), name="nats: supervise the connection")
            try:
                yield connection
            finally:
                # Not cancelled at once: while it connects, nats-py may swallow that, or leave a socket open.
                connection._is_closing = True
                connection._lost.set()
                await asyncio.wait([supervising], timeout=CLOSE_SECONDS)
    finally:
        await abandoned(connection._client)
