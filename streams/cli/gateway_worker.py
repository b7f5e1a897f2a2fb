"""One process of a gateway that has several: what `worker` runs as `python -m streams.cli.gateway_worker`.

What it is told comes through its standard input, and not as arguments: there
may be passwords in it, and everybody may read the list of processes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import select
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager, suppress
from threading import Thread
from typing import Any, NoReturn

from streams.cli.gateway_options import GatewayOptions
from streams.cli.printing import print_error
from streams.cli.running import inside
from streams.cli.serving_clients import DRAIN_SECONDS, GatewaySettings, serve_gateway
from streams.cli.shared_port import sharing
from streams.cli.worker_line import MAX_LINE_BYTES, Answer, Question, Ready, line_of, question_in
from streams.errors import StreamsError
from streams.gateway.hub import Hub
from streams.gateway.metrics import internal, measure_lag
from streams.gateway.server import App
from streams.tasks import background_tasks

LONGER_SECONDS = 5.0
"""How much more than it may take to end in order, before it is ended in another way."""


def main() -> None:
    """Serve clients until SIGTERM, or until the process that started this one is gone."""
    with socket.socket(fileno=int(sys.argv[1])) as line:
        # Not for what the application starts: that would hold the line, too.
        line.set_inheritable(False)
        if not (given := sys.stdin.buffer.read()):
            sys.exit("this is run by `streams gateway --workers N`, which is gone")
        # From the process that started this one, and so from nobody else.
        options: GatewayOptions = pickle.loads(given)
        _end_with(line, options.drain_delay_seconds + DRAIN_SECONDS + LONGER_SECONDS)
        # All workers write to the same log.
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s worker=%(process)d %(message)s"
        )
        try:
            _serve(options, line)
        except StreamsError as error:
            print_error(error)
            sys.exit(1)


def _serve(options: GatewayOptions, line: socket.socket) -> None:
    settings = GatewaySettings.of(options)
    with sharing(options.host, options.port) as sock:
        inside(
            settings.connected(),
            lambda connection: serve_gateway(settings, connection, sock, _Parent(line)),
        )


def _end_with(line: socket.socket, seconds: float) -> None:
    """End in order when nobody is at the other end of the line, and within so many seconds in any case.

    By a thread: it does so too before there is an event loop, and when the loop hangs.
    """
    hung_up = select.poll()
    # A line of its own, as the other one is closed before the end. That it is hung up is told unasked.
    hung_up.register(os.dup(line.fileno()), 0)

    def watch() -> NoReturn:
        hung_up.poll()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(seconds)
        os._exit(1)

    Thread(target=watch, name="end with the process that started this one", daemon=True).start()


class _Parent:
    """The process that started this one, and asks how it is."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    @asynccontextmanager
    async def told(self, hub: Hub) -> AsyncIterator[None]:
        reader, self._writer = await asyncio.open_unix_connection(sock=self._line, limit=MAX_LINE_BYTES)
        async with background_tasks() as tasks:
            tasks.start(measure_lag(hub.measures.loop_lag), name="gateway: how late the event loop is")
            tasks.start(self._answer(internal(hub), reader), name="worker: answer")
            yield
        self._writer.close()

    def ready(self, sock: socket.socket, known: str) -> None:
        self._writer.write(line_of(Ready(known)))

    async def _answer(self, app: App, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            async for line in reader:
                self._writer.write(line_of(await _answer_of(app, question_in(line))))
                await self._writer.drain()


async def _answer_of(app: App, question: Question) -> Answer:
    status, body = 0, b""

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status, body
        status = message.get("status", status)
        body += message.get("body", b"")

    await app({"type": "http", "method": "GET", "path": question.path}, receive, send)
    return Answer(question.number, status, body.decode())


if __name__ == "__main__":
    main()
