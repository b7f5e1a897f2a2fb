"""The functions process of `streams dev`: finds the steps, provisions their streams, serves them.

Started anew for every saved change, so that what runs is what the files say
and nothing is left over from before. The first line of its standard input
says where NATS is and how tokens are checked. It ends when that input does,
and so never outlives its parent.

It serves two sockets: on one steps and items, to whom the parent forwards
requests; on the other the application's rules, which the parent's gateway
asks. No request from outside reaches the second one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp

from streams.auth.callers import Callers
from streams.auth.configuration import verifier
from streams.auth.rules import OwnRules
from streams.dev.answering import rules_app
from streams.dev.handover import of_line
from streams.dev.types import with_types
from streams.discovery import Application, discover
from streams.errors import StreamsError
from streams.faas.asgi import functions_app
from streams.gateway.server import serving
from streams.jetstream.bucket import Provisioned
from streams.jetstream.connection import connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.jetstream.provisioning import provision_application
from streams.keys import INTERNAL_STREAMS, Namespace
from streams.resources.app import beside, resources_app

DRAIN_SECONDS = 2
"""How long requests under way may take when this process is replaced."""

KEEP_ALIVE_SECONDS = 60
"""Longer than the parent keeps a connection that it does not use, so that none ends under a request."""


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(levelname)-7s %(name)s %(message)s")
    for noisy in ("httpx", "uvicorn"):
        # The first would say whole addresses, and there may be tokens in those.
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with os.fdopen(arguments.report, "w") as report:
        try:
            uvloop.run(_serve(arguments, report))
        except StreamsError as error:
            _say(report, {"broken": str(error)})
            sys.exit(1)


async def _serve(arguments: argparse.Namespace, report: Any) -> None:
    handover = of_line(sys.stdin.buffer.readline())
    nats = handover.nats
    application = discover(arguments.folder)
    async with (
        connected_to(nats.url, name="streams dev functions", credentials=nats.credentials) as connection,
        verifier(handover.tokens, is_dev=True) as checks,
        OwnRules.running(application.streams, application.auth) as rules,
    ):
        namespace = Namespace(arguments.namespace)
        store, feed = KvStore(connection, namespace), JetStreamFeed(connection, namespace)
        callers = Callers(checks, rules, store, feed)
        title = arguments.folder.resolve().parent.name or "Streams"
        steps = functions_app(application, store, title=title, callers=callers)
        # Without an operator: only pages of this machine, and those that were let in, get here.
        items = resources_app(application.streams, store, feed, operator=None, doorkeeper=callers)
        buckets = [
            bucket async for bucket in provision_application(connection, namespace, application.streams)
        ]
        async with (
            _serving(rules_app(rules), arguments.rules_socket),
            _serving(beside(with_types(application, items), steps), arguments.socket),
        ):
            _say(report, _found(application, buckets))
            await _end_of_input()


@asynccontextmanager
async def _serving(app: ASGIApp, socket: Path) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app,
        uds=str(socket),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    async with serving(config):
        yield


async def _end_of_input() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()


def _found(application: Application, buckets: list[Provisioned]) -> dict[str, Any]:
    return {
        "streams": [
            {"name": bucket.stream, "bucket": bucket.bucket}
            for bucket in buckets
            if bucket.stream not in INTERNAL_STREAMS
        ],
        "steps": [
            {"name": step.config.name, "trigger": str(trigger), "file": str(step.path)}
            for step in application.steps
            for trigger in step.config.triggers
        ],
        "has_auth": application.auth is not None,
        "guarded": [stream.name for stream in application.streams if stream.can_access is not None],
        "sendable": [stream.name for stream in application.streams if stream.can_send is not None],
    }


def _say(report: Any, message: dict[str, Any]) -> None:
    report.write(json.dumps(message) + "\n")
    report.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--rules-socket", type=Path, required=True)
    parser.add_argument("--report", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
