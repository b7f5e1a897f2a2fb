"""A server that publishes keys, and does whatever such servers do."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from tests.auth.issued import Private, jwk


def answer(body: bytes | object, status: str = "200 OK", **headers: str) -> bytes:
    """An answer over HTTP. A body that is no bytes is written as JSON."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(text)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + text


def document(**keys: Private) -> dict[str, Any]:
    """A JWKS document with these keys, by name."""
    return {"keys": [jwk(key, kid) for kid, key in keys.items()]}


def compressed(body: object) -> bytes:
    return answer(gzip.compress(json.dumps(body).encode()), Content_Encoding="gzip")


@dataclass
class Publisher:
    """Counts how often it was asked, and says what it is told to say."""

    url: str = ""
    said: bytes = b""
    questions: int = 0
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: it takes questions, and does not answer them."""

    @classmethod
    @asynccontextmanager
    async def serving(cls, said: bytes) -> AsyncIterator[Self]:
        publisher = cls(said=said)
        publisher.answers.set()
        server = await asyncio.start_server(publisher._serve, "127.0.0.1", 0)
        publisher.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json?key=secret"
        async with server:
            yield publisher
            publisher.answers.set()

    def publishes(self, **keys: Private) -> None:
        self.said = answer(document(**keys))

    def fails(self) -> None:
        self.said = answer(b"no", "500 Internal Server Error")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.questions += 1
            await self.answers.wait()
            writer.write(self.said)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError) as error:
            logging.getLogger(__name__).debug("whoever asked is gone: %s", error)
        finally:
            writer.close()


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds
