"""Opens one connection to NATS, or says in a sentence why that cannot be.

A server is looked at before it is told who we are: what is too old, or does
not encrypt where encryption is wanted, never sees a password.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import nats.errors
import orjson
from nats.aio.client import Client

from streams.errors import CredentialsRefused, ServerNotUsable, ServerTooOld, StoreUnavailable
from streams.jetstream.barriers import barrier
from streams.jetstream.clients import FastClient, abandoned
from streams.jetstream.credentials import Server
from streams.jetstream.login import login_for

log = logging.getLogger(__name__)

STEP_SECONDS = 2
"""How long one server may take for one step of its greeting."""

OLDEST = (2, 12, 3)
"""The first nats-server that has everything we need without an error that we cannot live with."""

JETSTREAM_SECONDS = 0.5
"""How long JetStream may take to say that it is there. Where it says nothing, nothing is known."""

CANCEL_SECONDS = 0.05
"""How long an attempt to connect that was cancelled may take to end, before it is cancelled again."""

_NOBODY = "503"
_NOT_FOR_THIS_ACCOUNT = 10039
_REFUSED = re.compile(r"authorization violation|authentication (expired|revoked)", re.IGNORECASE)


async def open_client(
    server: Server,
    others: Sequence[str],
    *,
    name: str,
    on_error: Callable[[Exception], Awaitable[None]],
    on_closed: Callable[[Client], None],
    seconds: float,
) -> FastClient:
    """A client that is connected to the server, or to one of the `others` of its cluster.

    Tries until somebody answers, but for no longer than `seconds`. Who does
    not let us in, or is not what we need, is not asked again.

    Raises:
        StoreUnavailable: Nobody answers.
        ServerNotUsable: Somebody does, but cannot be used.
        CredentialsNotUsable: The files with the credentials cannot be used.
    """
    login = login_for(server)
    greeting: dict[str, Any] = {}

    def greeted(info: dict[str, Any]) -> None:
        greeting.update(info)
        _look_at(server, info)

    client = FastClient(greeted)
    forbidden = asyncio.Event()

    async def closed() -> None:
        on_closed(client)

    async def heard(error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            forbidden.set()
        await on_error(error)

    async def connect() -> None:
        await client.connect(
            [server.url, *others],
            name=name,
            # A client that is lost is given up: nats-py's own way back can lose itself when
            # the line breaks again meanwhile. While it connects, it tries on.
            allow_reconnect=False,
            max_reconnect_attempts=-1,
            # All clients of a server that restarts come back together.
            reconnect_time_wait=random.uniform(0.1, 0.3),  # type: ignore[arg-type]  # any number of seconds
            connect_timeout=STEP_SECONDS,
            # Notices a frozen server, and a network that swallows everything, in 15 s.
            ping_interval=5,
            max_outstanding_pings=2,
            # No buffer for a line that is down: a write is either sent or refused.
            pending_size=0,
            error_cb=heard,
            closed_cb=closed,
            **login,
        )
        if not client.is_connected:
            # It ended the line instead of an answer, which nats-py takes for one.
            raise nats.errors.ConnectionClosedError
        await _look_for_jetstream(client, server, forbidden)

    try:
        await _within(seconds, connect())
    except (nats.errors.Error, OSError, TimeoutError) as error:
        await abandoned(client)
        raise _explained(server, greeting, error) from error
    except BaseException:
        await abandoned(client)
        raise
    return client


async def _within(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    """Do something for no longer than that, also where it does not hear of its cancellation the first time.

    nats-py waits by `wait_for`, which before Python 3.12 loses one that comes
    as what it waits for fails, and then tries the next server, for ever.

    Raises:
        TimeoutError: It took longer.
    """
    working = asyncio.create_task(work, name="nats: connect")
    try:
        await asyncio.wait([working], timeout=seconds)
    finally:
        while not working.done():
            working.cancel()
            await asyncio.wait([working], timeout=CANCEL_SECONDS)
    if working.cancelled():
        raise TimeoutError
    working.result()


def is_too_old(version: str) -> bool:
    """Whether a nats-server of that version lacks something. One that says no version that we know is not."""
    found = re.match(r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?", version, re.ASCII)
    if found is None:
        log.warning("NATS says that its version is %r, which tells nothing; going on", version)
        return False
    return tuple(int(part or 0) for part in found.groups()) < OLDEST


def _look_at(server: Server, info: dict[str, Any]) -> None:
    version = str(info.get("version", ""))[:40]
    if is_too_old(version):
        raise ServerTooOld(server.url, version, ".".join(map(str, OLDEST)))
    if server.wants_tls:
        # nats-py would go on without: with a password for everyone to read, where somebody
        # between us and the server has taken the word out of its greeting.
        if not (info.get("tls_required") or info.get("tls_available")):
            raise ServerNotUsable(
                f"NATS at {server.url} speaks no TLS, so nothing was said to it; give it a certificate, "
                "or name it with nats:// and without TLS files"
            )
        info["tls_required"] = True
    if info.get("tls_required") and info.get("tls_verify") and server.credentials.tls_cert is None:
        raise ServerNotUsable(
            f"NATS at {server.url} wants to see a TLS certificate of ours; give one, and its key"
        )


async def _look_for_jetstream(client: Client, server: Server, forbidden: asyncio.Event) -> None:
    inbox = client.new_inbox()
    answers = await client.subscribe(inbox)
    await client.publish("$JS.API.INFO", reply=inbox)
    # That nobody is there, or that we may not ask this, is said before the answer to a PING.
    await barrier(client, STEP_SECONDS)
    if forbidden.is_set():
        await answers.unsubscribe()
        return
    try:
        answer = await answers.next_msg(JETSTREAM_SECONDS)
    except TimeoutError:
        return  # A cluster without a leader, which is nothing to stay away for.
    finally:
        await answers.unsubscribe()
    nobody = not answer.data and (answer.headers or {}).get("Status") == _NOBODY
    if nobody or (answer.data and _error_code(answer.data) == _NOT_FOR_THIS_ACCOUNT):
        raise ServerNotUsable(
            f"NATS at {server.url} has no JetStream for us; start nats-server with `--jetstream`, "
            "and where it has accounts, give ours `jetstream: enabled`"
        )


def _error_code(answer: bytes) -> int | None:
    error = orjson.loads(answer).get("error") or {}
    return error.get("err_code") if isinstance(error, dict) else None


def _explained(server: Server, greeting: dict[str, Any], error: Exception) -> StoreUnavailable:
    match error:
        case nats.errors.Error() if _REFUSED.search(str(error)):
            return _refused(server)
        case ssl.SSLCertVerificationError():
            return ServerNotUsable(
                f"the certificate of NATS at {server.url} is not trusted ({error.verify_message}); "
                "name the file of the authority that it comes from as TLS CA"
            )
        case ssl.SSLError() | ConnectionError() | nats.errors.ConnectionClosedError() if greeting.get(
            "tls_verify"
        ):
            # Which of them it is depends on what is faster, the server's alert or its end.
            return ServerNotUsable(
                f"NATS at {server.url} ended the line over our TLS certificate {server.credentials.tls_cert} "
                f"({str(error) or 'without a word'}); give one of an authority that it knows"
            )
        case ssl.SSLError():
            return ServerNotUsable(f"NATS at {server.url} does not agree on TLS with us ({error.reason})")
    return StoreUnavailable(f"NATS at {server.url} does not answer ({str(error) or 'timed out'})")


def _refused(server: Server) -> CredentialsRefused:
    if not server.credentials.forms:
        return CredentialsRefused(
            f"NATS at {server.url} wants to know who we are, and no credentials are given; "
            "give a user and a password, a token, an nkey or a .creds file"
        )
    return CredentialsRefused(
        f"NATS at {server.url} refuses {server.credentials.forms[0]}; give credentials that it knows"
    )
