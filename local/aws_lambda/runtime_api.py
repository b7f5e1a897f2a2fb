"""The Runtime API, as far as HTTP: what one process says, and how it is answered.

Written on a protocol class, without tasks: a runtime asks for its next event
with a request that may wait for hours, and whoever has the event answers it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

import httptools

Reply: TypeAlias = Callable[[int, bytes, Mapping[str, str]], None]
"""Answers a request: status, body, headers. Does nothing when the process is gone."""

PREFIX = "/2018-06-01/runtime/"


@dataclass(frozen=True, slots=True)
class Said:
    """One request of the process."""

    method: str
    path: str
    """Without the prefix that all paths have: `invocation/next`."""
    body: bytes
    reply: Reply

    def accept(self) -> None:
        self.reply(202, b'{"status":"OK"}', {"Content-Type": "application/json"})

    def refuse(self, status: int, kind: str, message: str) -> None:
        body = json.dumps({"errorType": kind, "errorMessage": message}).encode()
        self.reply(status, body, {"Content-Type": "application/json"})


class RuntimeConnection(asyncio.Protocol):
    """One connection of the process. `hear` is called with each request that it makes."""

    def __init__(self, hear: Callable[[Said], None]) -> None:
        self._hear = hear
        self._parser = httptools.HttpRequestParser(self)
        self._url, self._body = b"", bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        self._url, self._body = b"", bytearray()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        path = self._url.decode("latin-1")
        method = self._parser.get_method().decode("latin-1")
        self._hear(Said(method, path.removeprefix(PREFIX), bytes(self._body), self._reply))

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        # One write: a second one would wait for the acknowledgement of the first, 40 ms.
        self._transport.write("\r\n".join(lines).encode("latin-1") + body)
