"""A stream: a named kind of item, and what can be done with its items.

A `Stream` is a pure declaration. Which store its calls go to is bound from
outside, for the length of an invocation (`streams.store.bound_to`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar, overload

import orjson

from streams.changes import ItemSet
from streams.errors import EventRefused, ItemDoesNotFit, ItemRefused, StoreNotBound
from streams.items import ItemCodec, codec_for
from streams.keys import Address, address_of, checked_name, checked_stream_name
from streams.store import Store, bound_store

log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class StreamSetResult(Generic[ItemT]):
    """What `set` or `update` did."""

    new_value: ItemT
    """The item as it is stored now."""
    old_value: ItemT | None
    """Exactly the item that was replaced. None: there was none, or it no longer fitted the model."""
    revision: int
    """Position of this write in the stream. Grows with every write."""
    address: Address
    """Where the item lives; a client can follow it from here."""


StreamUpdateResult = StreamSetResult


@dataclass(frozen=True, slots=True)
class StreamDeleteResult(Generic[ItemT]):
    """What `delete` did."""

    old_value: ItemT | None
    """Exactly the item that went. None: there was none, or it no longer fitted the model."""
    address: Address


class Channel(TypedDict, total=False):
    """The seed's way to say whom an event is for: a group, or one item of it."""

    groupId: str
    id: str


class Stream(Generic[ItemT]):
    """A named kind of item.

    `item` is a pydantic model (or any type that pydantic reads from a JSON
    object), or `dict` for any JSON object. `schema`, a JSON Schema, is for
    `dict` streams that check their items.

    Raises:
        InvalidName: `name` does not match `[A-Za-z][A-Za-z0-9_-]{0,63}`.
    """

    @overload
    def __init__(
        self: Stream[dict[str, Any]],
        name: str,
        item: type[dict[Any, Any]],
        *,
        schema: Mapping[str, Any] | None = None,
    ) -> None: ...

    @overload
    def __init__(self, name: str, item: type[ItemT]) -> None: ...

    def __init__(self, name: str, item: Any, *, schema: Mapping[str, Any] | None = None) -> None:
        self.name = checked_stream_name(name)
        self._codec: ItemCodec[ItemT] = codec_for(item, schema)

    def __repr__(self) -> str:
        return f"<Stream {self.name!r}>"

    async def get(self, group: str, item_id: str) -> ItemT | None:
        """One item, or None when there is none.

        Raises:
            ItemDoesNotFit: The stored item no longer fits the model.
        """
        address = address_of(self.name, group, item_id)
        found = await self._store().get(address)
        return None if found is None else self._codec.decode(address, found.value)

    async def get_group(self, group: str) -> list[ItemT]:
        """All items of a group in the order of their creation, however many there are.

        Raises:
            ItemDoesNotFit: A stored item no longer fits the model.
        """
        items = await self._store().get_group(self.name, checked_name("group", group))
        return [self._codec.decode(Address(self.name, group, item.id), item.value) for item in items]

    async def set(self, group: str, item_id: str, data: ItemT | Mapping[str, Any]) -> StreamSetResult[ItemT]:
        """Write one item, and let everyone who watches its group see it.

        Cancelling this leaves the old item or the new one, nothing between.

        Raises:
            InvalidName: `group` or `item_id` cannot become part of a key.
            ItemRefused: `data` does not fit; nothing was written.
            StoreUnavailable, Contention: Nothing was written; try again.
            OutcomeUnknown: The answer was lost.
            StoreNotBound: Called outside a step handler and outside `connected`.
        """
        address = address_of(self.name, group, item_id)
        value, stored = self._codec.encode(address, data)
        written = await self._store().write(address, lambda _: value)
        return self._result(address, stored, written.old, written.revision)

    async def update(
        self, group: str, item_id: str, change: Callable[[ItemT | None], ItemT | Mapping[str, Any] | None]
    ) -> StreamSetResult[ItemT] | None:
        """Replace an item by what `change` makes of it, with nobody else's write in between.

        `change` gets the item, or None when there is none. It may be called
        again with a newer one, so it should do nothing but return the new
        item. Returning None for a missing item writes nothing, and None is
        the result. What it raises reaches the caller; nothing is written.

        Raises: What `set` does, and `ItemDoesNotFit` for an old item that no
            longer fits the model.
        """
        address = address_of(self.name, group, item_id)
        stored: ItemT | None = None

        def decide(old: ItemSet | None) -> bytes | None:
            nonlocal stored
            stored = None
            before = None if old is None else self._codec.decode(address, old.value)
            after = change(before)
            if after is None:
                if old is not None:
                    raise ItemRefused(address, "the update returned None; return the item, or call delete")
                return None
            value, stored = self._codec.encode(address, after)
            return value

        written = await self._store().write(address, decide)
        return None if stored is None else self._result(address, stored, written.old, written.revision)

    async def delete(self, group: str, item_id: str) -> StreamDeleteResult[ItemT]:
        """Remove one item. Deleting what is not there changes nothing and tells nobody.

        Raises: What `set` does, but for `ItemRefused`.
        """
        address = address_of(self.name, group, item_id)
        written = await self._store().write(address, lambda _: None)
        return StreamDeleteResult(self._old(address, written.old), address)

    async def send(self, channel: str | Channel, event: Mapping[str, Any]) -> None:
        """Tell everyone who watches a group, or one item, now. Kept nowhere, at most once.

        `channel` is a group, or `{"groupId": ..., "id": ...}`; `event` is
        `{"type": ..., "data": ...}`. When this returns, the event has left
        the process.

        Raises:
            EventRefused: It has no type, or cannot become JSON.
            StoreUnavailable: It may not have left.
        """
        group, item_id = _channel(channel)
        await self._store().send(self.name, group, item_id, _event(event))

    def _store(self) -> Store:
        store = bound_store()
        if store is None:
            raise StoreNotBound(self.name)
        return store

    def _result(
        self, address: Address, stored: ItemT, old: ItemSet | None, revision: int | None
    ) -> StreamSetResult[ItemT]:
        assert revision is not None, "a write of an item always has a revision"
        return StreamSetResult(stored, self._old(address, old), revision, address)

    def _old(self, address: Address, old: ItemSet | None) -> ItemT | None:
        if old is None:
            return None
        try:
            return self._codec.decode(address, old.value)
        except ItemDoesNotFit as error:
            # The write is done; an old item that nobody can read any more must not fail it.
            log.warning("the replaced item is not returned: %s", error)
            return None


def _channel(channel: str | Channel) -> tuple[str, str | None]:
    if isinstance(channel, str):
        return checked_name("group", channel), None
    if not isinstance(channel, Mapping) or "groupId" not in channel:
        raise EventRefused('a channel is a group, or {"groupId": ..., "id": ...}')
    item_id = channel.get("id")
    return checked_name("group", channel["groupId"]), None if item_id is None else checked_name(
        "item id", item_id
    )


def _event(event: Mapping[str, Any]) -> bytes:
    if not isinstance(event, Mapping) or not isinstance(event.get("type"), str):
        raise EventRefused('an event is {"type": <string>, "data": ...}')
    try:
        return orjson.dumps({"type": event["type"], "data": event.get("data")})
    except TypeError as error:
        raise EventRefused(f"event {event['type']!r} cannot become JSON: {error}") from error
