"""Motia's clients use their address as it was given, and offer a token beside `Authorization`."""

from __future__ import annotations

import pytest

from tests.clients.driver import Generation, Node
from tests.conftest import Gateway
from tests.tokens import token

pytestmark = pytest.mark.node

PATHS = (
    "",
    "?authToken={token}",
    "stream/todo/inbox?authToken={token}",
    "ws",
    "a/b/../c",
    "%2F%20?",
    "socket.io/?a=b&c",
)


async def test_sockets_open_on_any_path(node: Node, gateway: Gateway, generation: Generation):
    clients = [node.open(generation, gateway.url + path.format(token=token())) for path in PATHS]
    groups = [client.group("inbox") for client in clients]

    for group in groups:
        await group.shows([])


@pytest.mark.parametrize("generation", ["node-0.17", "browser-0.17"], indirect=True)
async def test_a_client_that_offers_a_token_is_answered_authorization_and_nothing_more(
    node: Node, gateway: Gateway, generation: Generation
):
    """The clients of 0.2.2 cannot offer any: their tokens are in the address."""
    motia = node.open(generation, gateway.url, protocols=["Authorization", token()])

    await motia.group("inbox").shows([])

    assert motia.opened == ["Authorization"]


async def test_a_client_may_subscribe_before_and_after_its_socket_is_open(
    node: Node, gateway: Gateway, generation: Generation
):
    motia = node.open(generation, gateway.url)
    before = motia.group("inbox")
    await motia.is_open()

    after = motia.group("another")

    await before.shows([])
    await after.shows([])
