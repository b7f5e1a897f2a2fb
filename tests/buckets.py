"""What an operator, or another release, does to the bucket of `todo`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from streams.jetstream.api import stream_info
from streams.jetstream.connection import Connection
from streams.keys import Namespace
from tests.browser import SECONDS


async def api(connection: Connection, what: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await connection.request(f"$JS.API.{what}", json.dumps(request or {}).encode())
    found: dict[str, Any] = json.loads(answer.data)
    assert "error" not in found, found
    return found


async def delete_bucket(connection: Connection, namespace: Namespace) -> None:
    await api(connection, f"STREAM.DELETE.{namespace.bucket_stream('todo')}")


async def config_of(connection: Connection, namespace: Namespace) -> dict[str, Any]:
    found: dict[str, Any] = (await stream_info(connection, namespace, "todo"))["config"]
    return found


async def change_config(connection: Connection, namespace: Namespace, **changed: Any) -> None:
    config = await config_of(connection, namespace)
    await api(connection, f"STREAM.UPDATE.{config['name']}", {**config, **changed})


async def vanishing(connection: Connection, namespace: Namespace, key: str) -> None:
    """Delete an item, and return when nothing shows that it was: the marker's time is over."""
    before = (await stream_info(connection, namespace, "todo"))["state"]["last_seq"]
    headers = {"KV-Operation": "PURGE", "Nats-TTL": "1"}
    await connection.request(namespace.items("todo").removesuffix(">") + key, b"", headers=headers)
    async with asyncio.timeout(SECONDS):
        while True:
            only = {"subjects_filter": namespace.items("todo").removesuffix(">") + key}
            state = (await stream_info(connection, namespace, "todo", only))["state"]
            if state["last_seq"] > before and not state.get("subjects"):
                return
            await asyncio.sleep(0.02)


async def write_meta(connection: Connection, namespace: Namespace, meta: object) -> None:
    answer = await connection.request(namespace.meta("todo"), json.dumps(meta).encode())
    assert "error" not in json.loads(answer.data)
