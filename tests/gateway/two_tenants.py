"""Two tenants on one gateway: their groups, their members, and what happens in them."""

from __future__ import annotations

from typing import Any

from streams import Stream, bound_to
from streams.access import Subscription
from streams.keys import encode
from streams.store import Store
from tests.browser import Browser, Tab
from tests.tokens import token

THEIRS, OURS = "acme", "ac"
"""Two tenants, the name of one of which begins with that of the other."""

MARK = "known-to-acme-alone"

FOREIGN = [
    "acme:inbox",
    "acme:not-there",
    "acme:",
    "acme",
    "acme:*",
    "acme:>",
    "acme:a.b",
    "acme:a/b",
    "acme:ac:inbox",
    "acme/ac:inbox",
    "acme.inbox",
    "ac",
    "ac=3Ainbox",
    "*",
    ">",
    "a*",
    "ac*",
    ".",
    "..",
    "=",
    "_meta",
    "_event",
    " acme:inbox",
    " ac:inbox",
    "AC:inbox",
    "ａｃ:inbox",
    "ac：inbox",
    "acme%3Ainbox",
    encode("acme:inbox"),
    "\nac:inbox",
    "{ac:inbox}",
    '"ac:inbox"',
]
"""Groups that are not ours, or no groups of anybody."""

LOOKALIKES = [
    ("acme:inbox", "ac:inbox"),
    ("acme:inbox", "ac:me:inbox"),
    ("acme:inbox", "ac:acme:inbox"),
    ("acme:inbox", "ac:/../acme:inbox"),
    ("acme:inbox", "ac:" + encode("acme:inbox")),
    ("acme:inbox", "ac:*"),
    ("acme:inbox", "ac:>"),
    ("acme:a.b", "ac:a.b"),
    ("acme:a/b", "ac:a/b"),
    ("acme:*", "ac:inbox"),
    ("acme:>", "ac:inbox"),
    ("acme:*", "ac:*"),
    ("acme:ac:inbox", "ac:inbox"),
    ("acme:" + encode("ac:inbox"), "ac:inbox"),
    ("acme:.", "ac:."),
    ("acme:_event", "ac:_event"),
]
"""A group of theirs, and one of ours that is meant to be taken for it."""


def is_of_the_tenant(subscription: Subscription, context: Any) -> bool:
    return subscription.group.startswith(f"{context['tenant']}:")


todo = Stream("todo", dict, can_access=is_of_the_tenant, can_send=is_of_the_tenant)


async def of(tenant: str | None, browser: Browser, *, is_extended: bool = True) -> Tab:
    """A member of a tenant; None: somebody without a token."""
    proof = [] if tenant is None else ["Authorization", token(f"{MARK} {tenant}", tenant=tenant)]
    tab = await browser.open(subprotocols=[*(["streams.v2"] if is_extended else []), *proof] or None)
    if is_extended:
        await tab.next()
    return tab


async def watching(tenant: str, browser: Browser, group: str, item_id: str | None = None) -> Tab:
    """A member of a tenant who has a room."""
    tab = await of(tenant, browser)
    await tab.join("todo", group, item_id)
    assert (await tab.next_event())["type"] == "sync"
    return tab


def sent(group: str, item_id: str | None = None, *, ref: int | None = 1, data: object = MARK) -> object:
    room = {"streamName": "todo", "groupId": group, "id": item_id}
    return {"type": "send", "ref": ref, "data": {**room, "event": {"type": "said", "data": data}}}


async def busy_with(store: Store, group: str, item_id: str = "1") -> None:
    """Everything that can happen to a group."""
    with bound_to(store):
        await todo.set(group, item_id, {"text": MARK})
        await todo.update(group, item_id, [{"type": "set", "path": "more", "value": MARK}])
        await todo.set(group, MARK, {"text": MARK})
        await todo.send(group, {"type": "said", "data": MARK})
        await todo.send({"groupId": group, "id": item_id}, {"type": "said", "data": MARK})
        await todo.delete(group, item_id)
        await todo.set(group, item_id, {"text": MARK})
        await todo.delete_group(group)
