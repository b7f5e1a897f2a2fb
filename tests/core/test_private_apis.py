"""Names what moved when a library that we lean on changed inside. See docs/private-apis.md."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from typing import Any

import pytest
from mangum.handlers import ALB, APIGateway, HTTPGateway
from mangum.types import LambdaConfig
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.protocol.command import sub_cmd, unsub_cmd
from nats.protocol.parser import Parser
from uvicorn import Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from streams.gateway.guard import GuardedHttp
from streams.gateway.socket import Socket
from streams.jetstream.barriers import barrier
from streams.jetstream.clients import FastClient
from streams.jetstream.commands import publish_command
from streams.jetstream.connection import Connection
from streams.jetstream.received import Message, headers_in


def test_uvicorn_constructs_protocols_as_ours_is_written():
    theirs = list(inspect.signature(WebSocketsSansIOProtocol.__init__).parameters)
    upgrade = inspect.getsource(HttpToolsProtocol.handle_websocket_upgrade)

    assert theirs == list(inspect.signature(Socket.__init__).parameters)
    made, replayed, given = (
        upgrade.index(step) for step in ("connection_made(", "protocol.data_received(", "set_protocol(")
    )
    assert made < replayed < given
    assert hasattr(WebSocketsSansIOProtocol, "shutdown")


def test_uvicorn_lets_us_have_a_connection_before_its_http_protocol():
    made = inspect.getsource(Server.startup)
    told = inspect.getsource(HttpToolsProtocol.connection_made)

    assert "config.http_protocol_class(" in made
    for name in ("config=", "server_state=", "app_state=", "_loop="):
        assert name in made, name
    given = inspect.signature(GuardedHttp.__init__).parameters
    assert list(given) == list(inspect.signature(HttpToolsProtocol.__init__).parameters)
    # It is all in there, and nothing of it asks when the connection was made.
    assert "self.transport = transport" in told
    assert "self.connections.add(self)" in told
    assert "create_task" not in told
    assert "call_later" not in told
    assert "self.ws_protocol_class = config.ws_protocol_class" in inspect.getsource(
        HttpToolsProtocol.__init__
    )


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.PONG])
def test_websockets_forgets_a_message_that_has_ended(opcode: Opcode):
    wire = ServerProtocol(state=State.OPEN)
    before = _remembered(wire)

    wire.receive_data(Frame(opcode, b"secret").serialize(mask=True))
    (told,) = wire.events_received()
    wire.data_to_send()

    assert isinstance(told, Frame)
    assert _remembered(wire) == before


def _remembered(wire: ServerProtocol) -> dict[str, str]:
    """All that it holds, but for the parser, which is where it was when it waits for more again."""
    held = {**vars(wire), **{f"reader.{name}": value for name, value in vars(wire.reader).items()}}
    return {name: repr(value) for name, value in held.items()}


def test_uvicorns_http_protocol_has_the_hooks_of_the_guard():
    for name in (
        "on_message_begin",
        "on_header",
        "on_headers_complete",
        "handle_websocket_upgrade",
        "data_received",
    ):
        assert inspect.isfunction(getattr(HttpToolsProtocol, name)), name
    assert "self.loop" in inspect.getsource(HttpToolsProtocol.__init__)


def test_uvicorns_http_protocol_has_what_an_event_stream_takes_over():
    made = inspect.getsource(HttpToolsProtocol.__init__) + inspect.getsource(
        HttpToolsProtocol.on_message_begin
    )

    for name in ("cycle", "parser", "url", "headers", "connections", "ws_protocol_class"):
        assert f"self.{name}" in made, name
    for name in ("on_body", "on_message_complete", "_unset_keepalive_if_required"):
        assert inspect.isfunction(getattr(HttpToolsProtocol, name)), name
    assert "self.servers" in inspect.getsource(Server.startup)


def test_uvicorn_takes_signals_in_the_method_that_we_replace():
    assert "capture_signals()" in inspect.getsource(Server.serve)


def test_nats_py_has_what_the_barrier_needs():
    client: Any = Client()

    assert isinstance(client._pongs, list)
    assert inspect.iscoroutinefunction(client._send_command)
    assert inspect.iscoroutinefunction(client._flush_pending)


async def test_nats_py_answers_pings_in_their_order():
    client: Any = Client()
    first, second = (asyncio.get_running_loop().create_future() for _ in range(2))
    client._pongs += [first, second]

    await client._process_pong()

    assert first.done()
    assert not second.done()


def test_mangum_makes_its_forms_of_an_event_a_context_and_a_config():
    for form in (ALB, APIGateway, HTTPGateway):
        assert list(inspect.signature(form.__init__).parameters) == ["self", "event", "context", "config"]
        assert isinstance(form.scope, property)
        assert isinstance(form.body, property)
        assert list(inspect.signature(form.__call__).parameters) == ["self", "response"]
    names = {"api_gateway_base_path", "text_mime_types", "exclude_headers"}
    assert set(LambdaConfig.__annotations__) == names


def test_nats_py_has_what_ends_a_client_whose_line_is_gone():
    client = Client()

    assert list(inspect.signature(Client._close).parameters) == ["self", "status", "do_cbs"]
    assert (client._err, client._pending, client._pending_data_size) == (None, [], 0)


async def test_nats_py_takes_commands_that_we_made(connection: Connection):
    client: Any = await connection.client()
    seen: asyncio.Queue[Msg] = asyncio.Queue()
    command = publish_command("made", "here", b"data", {"A": "1", "B": "two words"})

    async with connection.subscribed("made", seen.put_nowait):
        await client._send_command(command)
        if client._flush_queue.empty():
            await client._flush_pending()
        message = await asyncio.wait_for(seen.get(), 2)

    assert (message.subject, message.reply, message.data) == ("made", "here", b"data")
    assert message.headers == {"A": "1", "B": "two words"}


async def test_nats_py_gives_us_messages_before_it_looks_into_them(connection: Connection):
    client = await connection.client()
    heard: asyncio.Queue[Message] = asyncio.Queue()
    theirs = await client.subscribe("theirs")
    ours = await client.listen("ours", heard.put_nowait)

    await client.publish("ours", b"x")
    await client.publish("theirs", b"y")

    assert (await asyncio.wait_for(heard.get(), 2)).data == b"x"
    assert (await theirs.next_msg(2)).data == b"y"
    assert list(client._subs) == [theirs._id]
    assert client._sid == ours == theirs._id + 1
    given = ["self", "sid", "subject", "reply", "data", "headers"]
    assert list(inspect.signature(Client._process_msg).parameters) == given
    assert "await self.nc._process_msg(" in inspect.getsource(Parser.parse)


def test_nats_py_has_no_names_that_we_gave_to_things_of_ours():
    for name in ("_greeted", "_heard", "version", "listen", "unlisten", "send"):
        assert not hasattr(Client(), name), name
    for name in ("block", "named", "_found"):
        assert not hasattr(Msg(Client()), name), name


def test_nats_py_makes_commands_that_subscribe():
    assert (sub_cmd("a.*", "", 7), unsub_cmd(7, 0)) == (b"SUB a.*  7\r\n", b"UNSUB 7 \r\n")


def test_nats_pys_messages_hold_nothing_that_ours_do_not():
    message = Message(Client(), b"subject", b"reply", b"data", b"NATS/1.0\r\nName: value\r\n\r\n")

    known = ["_client", "subject", "reply", "data", "headers", "_metadata", "_ackd", "_sid"]
    assert [field.name for field in dataclasses.fields(Msg)] == known
    assert message == Message(message._client, b"subject", b"reply", b"data", message.block)
    assert (message._metadata, message._ackd, message._sid) == (None, False, None)


@pytest.mark.parametrize(
    "block",
    [
        b"NATS/1.0\r\nNats-Subject: $KV.streams_todo.g.a\r\nNats-Sequence:3\r\n"
        b"Nats-Time-Stamp: 2026-11-22T16:40:35.416419362Z\r\nStreams-Writers: 1 a.1@2 b.7@3\r\n"
        b"Empty:\r\nText: \tf\xc3\xbcr \r\nno header\r\n\r\n",
        b"NATS/1.0 503\r\n\r\n",
        b"NATS/1.0 404 No Messages\r\n\r\n",
        b"NATS/1.0 204 EOB\r\nNats-Num-Pending: 0\r\nNats-UpTo-Sequence: 6\r\n\r\n",
    ],
)
async def test_nats_py_reads_headers_as_we_do(block: bytes):
    assert headers_in(block) == await Client()._process_headers(block)


def test_nats_py_lets_us_look_at_a_server_before_it_says_who_we_are():
    assert list(inspect.signature(Client._process_info).parameters) == ["self", "info", "initial_connection"]
    greeting = inspect.getsource(Client._process_connect_init)

    looked, encrypted, told = (
        greeting.index(step)
        for step in (
            "self._process_info(srv_info, initial_connection=True)",
            'self._server_info["tls_required"]',
            "self._connect_command()",
        )
    )
    assert looked < encrypted < told


def test_nats_py_has_a_name_for_the_certificate_of_every_server():
    client: Any = FastClient()

    client._setup_server_pool(["tls://nats.example", "tls://10.0.0.2:4222", "tls://other.example"])

    assert [server.tls_name for server in client._server_pool] == [None, "nats.example", None]
    assert "tls_name" in inspect.getsource(Client._process_connect_init)


async def test_the_barrier_returns_when_everything_before_it_has_arrived(connection: Connection):
    seen = asyncio.Event()
    client = await connection.client()

    async with connection.subscribed("barrier", lambda _: seen.set()):
        await client.publish("barrier", b"x")
        await barrier(client, 2)
        await barrier(client, 2)

        # The server answers in order: the message was on its way before the second PONG.
        async with asyncio.timeout(2):
            await seen.wait()
