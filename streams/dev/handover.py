"""What a functions process must know and nobody else may: one line of JSON through a pipe."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from streams.auth.configuration import TokenSettings
from streams.jetstream.credentials import Credentials, Server


@dataclass(frozen=True, slots=True)
class Handover:
    """What is handed over when a functions process starts."""

    nats: Server
    """Where NATS is, and how to get in."""
    tokens: TokenSettings
    """How tokens are checked, the secret included."""


def in_one_line(handover: Handover) -> bytes:
    """All of it, to be written where nobody else reads."""
    nats = handover.nats
    credentials = {
        name: os.fspath(value) for name, value in asdict(nats.credentials).items() if value is not None
    }
    value = {"url": nats.url, "credentials": credentials, "tokens": asdict(handover.tokens)}
    return json.dumps(value).encode() + b"\n"


def of_line(line: bytes) -> Handover:
    """What `in_one_line` has written."""
    value = json.loads(line)
    nats = Server(value["url"], Credentials(**value["credentials"]))
    return Handover(nats, TokenSettings(**value["tokens"]))
