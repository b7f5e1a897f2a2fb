"""TLS to NATS: who is not trusted is named, and where it is wanted, nothing is said without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from streams.dev.nats_server import NatsServer, embedded
from streams.errors import CredentialsNotUsable, ServerNotUsable
from streams.jetstream.connection import Connection, connected_to
from streams.jetstream.credentials import NOBODY, Credentials, server_at
from streams.jetstream.opening import open_client
from tests.browser import SECONDS
from tests.store.jetstream.secrets import Authority, tls_settings


@dataclass(frozen=True)
class Trust:
    """An authority, and what it made for a server and for us."""

    authority: Authority
    server: tuple[Path, Path]
    ours: tuple[Path, Path]

    @property
    def only_theirs(self) -> Credentials:
        return Credentials(tls_ca=self.authority.file)

    @property
    def both(self) -> Credentials:
        cert, key = self.ours
        return Credentials(tls_ca=self.authority.file, tls_cert=cert, tls_key=key)


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    authority = Authority(tmp_path)
    return Trust(
        authority, authority.certificate("server", "127.0.0.1", "localhost"), authority.certificate("us")
    )


async def is_served(connection: Connection) -> bool:
    async with asyncio.timeout(SECONDS):
        return bool((await connection.request("$JS.API.INFO")).data)


def as_tls(nats: NatsServer) -> str:
    return f"tls://{nats.url.rpartition('/')[2]}"


def as_plain(nats: NatsServer) -> str:
    return f"nats://{nats.url.rpartition('/')[2]}"


@pytest.mark.parametrize("address", [as_tls, as_plain])
async def test_an_authority_of_our_own_is_trusted_when_it_is_named(trust: Trust, tmp_path: Path, address):
    async with (
        embedded(tmp_path / "nats", settings=tls_settings(trust.server)) as nats,
        connected_to(address(nats), credentials=trust.only_theirs) as connection,
    ):
        assert await is_served(connection)

        nats.kill()
        await nats.restart()
        assert await is_served(connection)


async def test_a_server_of_another_authority_is_not_trusted(trust: Trust, tmp_path: Path):
    other = Authority(tmp_path, "other")
    async with embedded(tmp_path / "nats", settings=tls_settings(trust.server)) as nats:
        for credentials in (NOBODY, Credentials(tls_ca=other.file)):
            with pytest.raises(ServerNotUsable, match=r"is not trusted \(.*; name the file of the authority"):
                async with connected_to(as_plain(nats), credentials=credentials):
                    pass


async def test_a_certificate_for_another_name_is_not_trusted(trust: Trust, tmp_path: Path):
    elsewhere = trust.authority.certificate("elsewhere", "nats.example")
    async with embedded(tmp_path / "nats", settings=tls_settings(elsewhere)) as nats:
        with pytest.raises(ServerNotUsable, match=r"is not trusted .*IP address mismatch"):
            async with connected_to(as_tls(nats), credentials=trust.only_theirs):
                pass


async def test_a_server_that_wants_our_certificate_gets_it(trust: Trust, tmp_path: Path):
    mutual = tls_settings(trust.server, f'ca_file: "{trust.authority.file}", verify: true')
    async with (
        embedded(tmp_path / "nats", settings=mutual) as nats,
        connected_to(as_tls(nats), credentials=trust.both) as connection,
    ):
        assert await is_served(connection)

        nats.kill()
        await nats.restart()
        assert await is_served(connection)


async def test_who_has_no_certificate_is_told_that_one_is_wanted(trust: Trust, tmp_path: Path):
    mutual = tls_settings(trust.server, f'ca_file: "{trust.authority.file}", verify: true')
    async with embedded(tmp_path / "nats", settings=mutual) as nats:
        with pytest.raises(ServerNotUsable, match="wants to see a TLS certificate of ours; give one"):
            async with connected_to(as_tls(nats), credentials=trust.only_theirs):
                pass


async def test_our_certificate_of_an_authority_that_the_server_does_not_know_is_refused(
    trust: Trust, tmp_path: Path
):
    cert, key = Authority(tmp_path, "other").certificate("stranger")
    stranger = Credentials(tls_ca=trust.authority.file, tls_cert=cert, tls_key=key)
    mutual = tls_settings(trust.server, f'ca_file: "{trust.authority.file}", verify: true')
    async with embedded(tmp_path / "nats", settings=mutual) as nats:
        with pytest.raises(ServerNotUsable, match=r"ended the line over our TLS certificate .*stranger.pem"):
            async with connected_to(as_tls(nats), credentials=stranger):
                pass


@pytest.mark.parametrize("known_by", ["its address", "a file"])
async def test_a_server_without_tls_is_told_nothing_where_tls_is_wanted(
    trust: Trust, tmp_path: Path, known_by: str
):
    async with eavesdropped() as (port, heard):
        url, files = (
            (f"tls://ann:secret@127.0.0.1:{port}", NOBODY)
            if known_by == "its address"
            else (f"nats://ann:secret@127.0.0.1:{port}", trust.only_theirs)
        )

        with pytest.raises(ServerNotUsable, match="speaks no TLS, so nothing was said to it"):
            async with connected_to(url, credentials=files):
                pass

        async with asyncio.timeout(SECONDS):
            assert await heard == b""


async def test_tls_is_used_where_the_server_only_offers_it(trust: Trust, tmp_path: Path):
    offered = tls_settings(trust.server) + "\nallow_non_tls: true"
    async with embedded(tmp_path / "nats", settings=offered) as nats:
        async with connected_to(as_tls(nats), credentials=trust.only_theirs) as connection:
            client = await connection.client()
            assert client._transport._io_writer.get_extra_info("ssl_object") is not None
        async with connected_to(as_plain(nats)) as connection:
            assert await is_served(connection)


async def test_another_server_of_the_cluster_told_by_number_is_known_by_the_name_that_was_given(
    trust: Trust, tmp_path: Path
):
    named = trust.authority.certificate("named", "localhost")
    async with embedded(tmp_path / "nats", settings=tls_settings(named)) as nats:
        gone = server_at("tls://localhost:1", trust.only_theirs)

        client = await open_client(
            gone, [as_tls(nats)], name="test", on_error=quietly, on_closed=lambda _: None, seconds=SECONDS
        )

        assert client.is_connected
        await client.close()


async def test_a_key_of_another_certificate_is_refused(trust: Trust):
    mixed = Credentials(tls_cert=trust.ours[0], tls_key=trust.server[1])

    with pytest.raises(CredentialsNotUsable, match="do not go together"):
        async with connected_to("nats://127.0.0.1:1", credentials=mixed):
            pass


async def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(trust: Trust):
    locked = Credentials(tls_cert=trust.ours[0], tls_key=trust.authority.locked_key())

    with pytest.raises(CredentialsNotUsable, match="has a passphrase, which nobody can be asked for"):
        async with connected_to("nats://127.0.0.1:1", credentials=locked):
            pass


@asynccontextmanager
async def eavesdropped() -> AsyncIterator[tuple[int, asyncio.Future[bytes]]]:
    """Somebody who greets like NATS but takes TLS out of it, and what is said to him."""
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"version":"2.12.3","max_payload":1048576,"headers":true}\r\n')
        heard.set_result(await reader.read())
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


async def quietly(_: Exception) -> None: ...
