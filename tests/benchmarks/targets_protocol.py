"""What a compared server is: how it is started, written to and joined.

A target's servers are started by the main process, and everything else of it
is used by the load process. Between the two only `Servers` travels.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias

import orjson

PEERS = Path(__file__).parent / "peers"
STREAM = "bench"

Item: TypeAlias = dict[str, str]
Write: TypeAlias = Callable[[str, Item], Awaitable[None]]
"""Write one item of a group, and wait for whatever acknowledgement the server gives."""


class Skipped(Exception):
    """A target cannot run on this machine. The message is the reason."""


@dataclass(frozen=True, slots=True)
class Servers:
    """The running processes of one target."""

    port: int
    """Where clients connect on 127.0.0.1."""
    pids: list[int]
    """Roots of the process trees that face the clients."""
    broker_pids: list[int]
    """Roots of what stands behind those: NATS or Redis. Empty for peers without one."""
    nats_url: str = ""
    """Where writers connect. Empty for peers that are written to over HTTP."""


class Target(Protocol):
    name: ClassVar[str]
    subprotocol: ClassVar[str | None]
    """What the upgrade asks for. None: it names no protocol."""
    copies: ClassVar[int]
    """How many messages with its stamp a client gets for one write. The last of them is what counts."""
    is_pinging: ClassVar[bool]
    """Whether pings come among the messages: `answer` has to be asked about all that is read."""

    def prepare(self) -> None:
        """Install what is missing. This may take minutes, once.

        Raises:
            Skipped: It cannot be installed.
        """
        ...

    def version(self) -> str:
        """Names and versions of what runs, for the table. Asked only after `prepare`."""
        ...

    def running(self, directory: Path) -> AbstractContextManager[Servers]:
        """Fresh servers for the length of the block; files go to `directory`.

        Raises:
            ServerFailed: One of them does not start.
        """
        ...

    def writing(self, servers: Servers) -> AbstractAsyncContextManager[Write]: ...

    def path(self, group: str) -> str:
        """What the upgrade of a client that will join this group first asks for."""
        ...

    def opening(self, group: str) -> list[bytes]:
        """Payloads of the text frames that join a group, sent as soon as the upgrade is answered."""
        ...

    def further(self, group: str, number: int) -> list[bytes]:
        """Those that join one more group, after `number` others. Empty: a socket cannot watch two groups."""
        ...

    def is_joined(self, received: bytes) -> bool:
        """Whether the join is answered, by all that was read since it was asked for, frame headers too."""
        ...

    def answer(self, received: bytes) -> bytes | None:
        """The payload of a text frame, if there is a ping in these bytes of one read, frame headers too."""
        ...


class MotiaMessages:
    """Motia's messages on the path `/`: ours, and what a team writes itself speaks like that as well."""

    subprotocol: ClassVar[str | None] = None
    copies: ClassVar[int] = 1
    is_pinging: ClassVar[bool] = False

    def path(self, group: str) -> str:
        return "/"

    def opening(self, group: str) -> list[bytes]:
        return [join_message(group)]

    def further(self, group: str, number: int) -> list[bytes]:
        return [join_message(group, f"s{number}")]

    def is_joined(self, received: bytes) -> bool:
        # A change may come in the same read as the state, and the state is what must be there to its end.
        return b'"sync"' in payloads(received)

    def answer(self, received: bytes) -> bytes | None:
        return None


def join_message(group: str, subscription: str = "s") -> bytes:
    """What a client sends to watch a group."""
    return orjson.dumps(
        {
            "type": "join",
            "data": {"streamName": STREAM, "groupId": group, "subscriptionId": subscription},
        }
    )


def payloads(received: bytes) -> bytes:
    """The payloads of the server's frames, one after the other. A frame that is not all there is left out."""
    found, start = [], 0
    while len(received) >= start + 2:
        payload, length = start + 2, received[start + 1]
        if length >= 126:
            extended = 2 if length == 126 else 8
            payload, length = payload + extended, int.from_bytes(received[payload : payload + extended])
        start = payload + length
        if start <= len(received):
            found.append(received[payload:start])
    return b"".join(found)


def packages(*names: str) -> str:
    """Names and versions of installed Python packages."""
    return ", ".join(f"{name} {version(name)}" for name in names)
