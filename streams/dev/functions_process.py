"""The functions process of `streams dev`: finds the steps, provisions their streams, serves them.

Started anew for every saved change, so that what runs is what the files say
and nothing is left over from before. The first line of its standard input
says where NATS is. It ends when that input does, and so never outlives its
parent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from streams.dev.handover import of_line
from streams.discovery import Application, discover
from streams.errors import StreamsError
from streams.faas.asgi import functions_app
from streams.gateway.server import serving
from streams.jetstream.bucket import Provisioned, provision
from streams.jetstream.connection import connected_to
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.resources.app import beside, resources_app

DRAIN_SECONDS = 2
"""How long requests under way may take when this process is replaced."""


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(levelname)-7s %(name)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    with os.fdopen(arguments.report, "w") as report:
        try:
            uvloop.run(_serve(arguments, report))
        except StreamsError as error:
            _say(report, {"broken": str(error)})
            sys.exit(1)


async def _serve(arguments: argparse.Namespace, report: Any) -> None:
    nats = of_line(sys.stdin.buffer.readline())
    application = discover(arguments.folder)
    async with connected_to(
        nats.url, name="streams dev functions", credentials=nats.credentials
    ) as connection:
        namespace = Namespace(arguments.namespace)
        store = KvStore(connection, namespace)
        steps = functions_app(application, store, title=arguments.folder.resolve().parent.name or "Streams")
        feed = JetStreamFeed(connection, namespace)
        # Without a token: only pages of this machine, and those that were let in, get here.
        items = resources_app(application.streams, store, feed, operator=None)
        buckets = [await provision(connection, namespace, stream.name) for stream in application.streams]
        config = uvicorn.Config(
            beside(items, steps),
            uds=str(arguments.socket),
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            ws="none",
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        async with serving(config):
            _say(report, _found(application, buckets))
            await _end_of_input()


async def _end_of_input() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()


def _found(application: Application, buckets: list[Provisioned]) -> dict[str, Any]:
    return {
        "streams": [{"name": bucket.stream, "bucket": bucket.bucket} for bucket in buckets],
        "steps": [
            {"name": step.config.name, "trigger": str(trigger), "file": str(step.path)}
            for step in application.steps
            for trigger in step.config.triggers
        ],
    }


def _say(report: Any, message: dict[str, Any]) -> None:
    report.write(json.dumps(message) + "\n")
    report.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--report", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
