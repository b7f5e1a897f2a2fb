"""Where NATS is and how to get in, from one process to another: one line of JSON through a pipe."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

from streams.jetstream.credentials import Credentials, Server


def in_one_line(nats: Server) -> bytes:
    """A server and its credentials, to be written where nobody else reads."""
    given = {name: os.fspath(value) for name, value in asdict(nats.credentials).items() if value is not None}
    return json.dumps({"url": nats.url, "credentials": given}).encode() + b"\n"


def of_line(line: bytes) -> Server:
    """The server of `in_one_line`."""
    value = json.loads(line)
    return Server(value["url"], Credentials(**value["credentials"]))
