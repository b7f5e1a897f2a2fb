"""A gateway's door, at which anybody may say anything, and what is heard of it outside and in."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from websockets.frames import Frame, Opcode

from streams.access import AuthRequest, Claims, StreamAuth
from streams.auth import rules
from streams.auth.keys import SECRET_ALGORITHMS, Key, secret_key
from streams.auth.origins import Origins
from streams.auth.revocations import Revocation, revoke
from streams.auth.tokens import Verifier
from streams.dev.nats_server import NatsServer
from streams.errors import NotLetIn
from streams.gateway.hub import Hub
from streams.jetstream.connection import connected_to
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from tests.auth.issued import RULES, SECRET
from tests.browser import SECONDS
from tests.gateway.handshake_rows import KEYLESS, ORIGINS, REVOKED
from tests.gateway.waiting import until
from tests.guarded import guarded_gateway, provisioned

PING = Frame(Opcode.TEXT, b'{"type":"ping"}').serialize(mask=True)
PONG = Frame(Opcode.TEXT, b'{"type":"pong"}').serialize(mask=False)

ADMISSION = "gateway: admit a client"


class Keys:
    """One secret, and others that were never fetched."""

    algorithms = SECRET_ALGORITHMS

    async def known(self, kid: str | None) -> Sequence[Key]:
        if kid == KEYLESS:
            raise NotLetIn("AUTH_UNAVAILABLE", "no keys yet")
        return [secret_key(SECRET)]


@dataclass
class Application:
    """An application whose answer goes by the path of the request, and which keeps what it is told."""

    told: list[tuple[AuthRequest, Claims | None]] = field(default_factory=list)
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def authenticate(self, request: AuthRequest, claims: Claims | None) -> Any:
        self.told.append((request, claims))
        match request.path:
            case "/raises":
                raise LookupError("the database is away")
            case "/exits":
                raise SystemExit(1)
            case "/hangs":
                await asyncio.Event().wait()
            case "/waits" | "/waits-and-refuses":
                self.is_asked.set()
                await self.may_answer.wait()
        who = None if claims is None else claims.sub
        answers = {"/false": False, "/waits-and-refuses": False, "/true": True, "/none": None, "/misfit": 42}
        return answers.get(request.path, who)


@dataclass(frozen=True)
class Answer:
    """All that came back."""

    everything: bytes

    @property
    def status(self) -> int | None:
        return int(self.everything.split(b" ", 2)[1]) if self.everything else None

    @property
    def code(self) -> str | None:
        if self.header("Content-Type") != ["application/json"]:
            return None
        body = orjson.loads(self.body)
        assert body.keys() == {"error", "code"}
        code: str = body["code"]
        return code

    @property
    def body(self) -> bytes:
        return self.everything.partition(b"\r\n\r\n")[2]

    def header(self, name: str) -> list[str]:
        lines = self.everything.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        pairs = [line.split(": ", 1) for line in lines]
        return [value for found, value in pairs if found.lower() == name.lower()]


class Visitor:
    """One line to the gateway, over which anything can be sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.line = reader, writer

    async def says(self, data: bytes) -> None:
        # It may be cut off while it speaks.
        with suppress(ConnectionError):
            self.line.write(data)
            await self.line.drain()

    async def answer(self) -> Answer:
        """What comes until the line ends, or until an answer ends that leaves it open."""
        came = b""
        async with asyncio.timeout(SECONDS):
            with suppress(ConnectionError):
                while not _leaves_open(came) and (more := await self._reader.read(65536)):
                    came += more
        return Answer(came)

    async def answer_and(self, frames: bytes) -> Answer:
        """The answer that opens the socket, and what is behind it: as much as these frames."""
        answer = await self.answer()
        async with asyncio.timeout(SECONDS):
            rest = await self._reader.readexactly(len(frames) - len(answer.body))
        return Answer(answer.everything + rest)

    async def pong(self) -> bytes:
        """Ask whether the gateway hears. What it says next."""
        await self.says(PING)
        async with asyncio.timeout(SECONDS):
            return await self._reader.readexactly(len(PONG))


def _leaves_open(came: bytes) -> bool:
    """Whether this is a whole answer after which the line stays for more: nobody may wait for its end."""
    head, is_whole, body = came.partition(b"\r\n\r\n")
    if not is_whole or b"\r\nconnection: close" in head.lower():
        return False
    length = re.search(rb"\r\ncontent-length: (\d+)", head.lower())
    return head.startswith(b"HTTP/1.1 101 ") or (length is not None and len(body) >= int(length[1]))


@dataclass(frozen=True)
class Door:
    """The gateway, and what its application was told."""

    hub: Hub
    port: int
    application: Application

    @asynccontextmanager
    async def visitor(self, limit: int = 2**16) -> AsyncIterator[Visitor]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        try:
            yield Visitor(reader, writer)
        finally:
            writer.transport.abort()

    async def is_asked(self) -> None:
        """Return when the application is asked who somebody is."""
        async with asyncio.timeout(SECONDS):
            await self.application.is_asked.wait()

    async def has_answered(self) -> None:
        """Return when nobody is between the request and its answer."""
        await until(lambda: all(task.get_name() != ADMISSION for task in asyncio.all_tasks()))

    @property
    def is_empty(self) -> bool:
        """Whether nobody is in, and nothing is watched."""
        return not len(self.hub.guests) and not self.hub.watched_groups


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened_door(nats: NatsServer) -> AsyncIterator[Door]:
    namespace, application = Namespace("handshakes"), Application()
    auth = StreamAuth(application.authenticate, str, Path("stream_auth.py"))
    async with connected_to(nats.url) as connection:
        await provisioned(connection, namespace, [])
        await revoke(KvStore(connection, namespace), Revocation(REVOKED, None, None, time.time() + 60))
        async with guarded_gateway(
            connection, namespace, [], auth, verifier=Verifier(Keys(), RULES), origins=Origins(ORIGINS)
        ) as gateway:
            yield Door(gateway.hub, int(gateway.url.rstrip("/").rpartition(":")[2]), application)


@pytest_asyncio.fixture(loop_scope="module")
async def door(
    opened_door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Door]:
    """The gateway with nobody in it, where rules have less time and everything that can be logged is."""
    monkeypatch.setattr(rules, "RULE_SECONDS", 0.2)
    caplog.set_level(logging.DEBUG)
    for name, logger in logging.root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger) and logger.level:
            caplog.set_level(logging.DEBUG, logger=name)
    application = opened_door.application
    application.told.clear()
    application.is_asked.clear()
    application.may_answer.clear()
    assert opened_door.is_empty
    yield opened_door
    await until(lambda: opened_door.is_empty)
