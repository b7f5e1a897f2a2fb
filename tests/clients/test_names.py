"""Groups and items of any name, in Motia's clients."""

from __future__ import annotations

import pytest

from streams import Stream, bound_to
from tests.clients.driver import GENERATIONS, Client, Node
from tests.conftest import Backend, Gateway

todo = Stream("todo", dict)

NAMES = [
    *("a/b", "*", ">", "..", ".", "a.b", "a b", " ", "-", "0", "a=41", "_event", "_meta", "__proto__"),
    *("g:item:a", "a:group:b", "?a=b&c#d", "%2F", "<b>", '"\\', "a\nb\t", "\u2028", "\u202e"),
    *("مرحبا", "שלום", "é", "e\N{COMBINING ACUTE ACCENT}", "日本", "🙂", "👩‍👩‍👧", "x" * 256, "ü" * 128),
]
ALIKE = ["a", "b", "A", "a ", "a/", "a:b", "a_b", "x" * 255]

pytestmark = pytest.mark.node


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
async def test_a_group_and_an_item_may_have_any_name(
    jetstream: Backend, gateway: Gateway, node: Node, name: str
):
    clients = [node.open(generation, gateway.url) for generation in GENERATIONS]
    groups = [client.group(name) for client in clients]
    items = [client.item(name, name) for client in clients]
    for group, item in zip(groups, items, strict=True):
        await group.shows([])
        await item.shows(None)

    with bound_to(jetstream.store):
        await todo.set(name, name, {"v": 1})
        await todo.set(name, name, {"v": 2})
        await todo.send({"groupId": name, "id": name}, {"type": "ping", "data": name})

    for group, item in zip(groups, items, strict=True):
        await group.heard(("ping", name))
        await item.heard(("ping", name))
        assert group.states == [[], [{"id": name, "v": 1}], [{"id": name, "v": 2}]]
        assert item.states == [None, {"id": name, "v": 1}, {"id": name, "v": 2}]


async def test_names_that_are_alike_are_different_groups(jetstream: Backend, motia: Client):
    """F-B21: no two names become one group, with a separator in them or without."""
    groups = {name: motia.group(name) for name in (*NAMES, *ALIKE)}
    for group in groups.values():
        await group.shows([])

    with bound_to(jetstream.store):
        for name in groups:
            await todo.set(name, "only", {"group": name})

    for name, group in groups.items():
        await group.shows([{"id": "only", "group": name}])
        assert len(group.states) == 2


async def test_names_that_are_alike_are_different_items(jetstream: Backend, motia: Client):
    items = {name: motia.item("inbox", name) for name in (*NAMES, *ALIKE)}
    for item in items.values():
        await item.shows(None)

    with bound_to(jetstream.store):
        for name in items:
            await todo.set("inbox", name, {"item": name})

    for name, item in items.items():
        await item.shows({"id": name, "item": name})
        assert len(item.states) == 2


async def test_an_item_is_that_of_its_group_alone(jetstream: Backend, motia: Client):
    """F-B22: an item of the same id in another group is another item."""
    mine, theirs = motia.item("mine", "a"), motia.item("theirs", "a")
    await mine.shows(None)
    await theirs.shows(None)

    with bound_to(jetstream.store):
        await todo.set("theirs", "a", {"secret": True})
        await todo.send({"groupId": "theirs", "id": "a"}, {"type": "ping", "data": "secret"})
        await todo.set("mine", "a", {"v": 1})

    await mine.shows({"id": "a", "v": 1})
    await theirs.shows({"id": "a", "secret": True})
    await theirs.heard(("ping", "secret"))
    assert mine.states == [None, {"id": "a", "v": 1}]
    assert mine.events == []
