"""A stream: a named kind of item, and what can be done with its items.

A `Stream` is a pure declaration. Which store its calls go to is bound from
outside, for the length of an invocation (`streams.store.bound_to`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypedDict, TypeVar, overload

import orjson

from streams.changes import ItemSet, with_id
from streams.errors import EventRefused, ItemDoesNotFit, ItemRefused, StoreNotBound
from streams.items import ItemCodec, codec_for
from streams.keys import Address, address_of, checked_name, checked_stream_name
from streams.ops import Op, parse
from streams.store import UNCHANGED, Decide, Store, Unchanged, bound_store
from streams.updates import MISSING, apply

log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")

Function: TypeAlias = Callable[[ItemT | None], ItemT | Mapping[str, Any] | None]
Change: TypeAlias = Function[ItemT] | Sequence[Op | Mapping[str, Any]]
"""What `update` takes: a function from the item to the new one, or a list of operations."""


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


@dataclass(frozen=True, slots=True)
class StreamUpdateResult(Generic[ItemT]):
    """What `update` did."""

    new_value: ItemT | None
    """The item as it is stored now. None: there is none."""
    old_value: ItemT | None
    """Exactly the item that was replaced. None: there was none, or it no longer fitted the model."""
    changed: bool
    """Whether anything was written: an update that changes nothing writes nothing, and nobody is told."""
    revision: int | None
    """Position of this write in the stream; None: nothing was written."""
    address: Address


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
        assert written.revision is not None, "a set always writes"
        return StreamSetResult(stored, self._old(address, written.old), written.revision, address)

    async def update(self, group: str, item_id: str, change: Change[ItemT]) -> StreamUpdateResult[ItemT]:
        """Change one item, with nobody else's write in between.

        `change` is a list of operations (`streams.ops`, or the same as
        dicts), applied in order, all or none; a missing item starts as `{}`.
        Or it is a function from the item, or None when there is none, to the
        new one. It may be called again with a newer item, so it should do
        nothing but return the result; None for a missing item writes nothing.
        What it raises reaches the caller, and nothing is written.

        Raises: What `set` does, and
            OpRefused: An operation does not fit; nothing was written.
            ItemDoesNotFit: The function cannot be given the old item, which no longer fits the model.
        """
        address = address_of(self.name, group, item_id)
        decide = self._by_function(address, change) if callable(change) else self._by_ops(address, change)
        written = await self._store().write(address, decide)
        return StreamUpdateResult(
            None if written.value is None else self._codec.decode(address, written.value),
            self._old(address, written.old),
            written.revision is not None,
            written.revision,
            address,
        )

    def _by_function(self, address: Address, change: Function[ItemT]) -> Decide:
        def decide(old: ItemSet | None) -> bytes | Unchanged | None:
            after = change(None if old is None else self._codec.decode(address, old.value))
            if after is None:
                if old is not None:
                    raise ItemRefused(address, "the update returned None; return the item, or call delete")
                return UNCHANGED
            value, _ = self._codec.encode(address, after)
            # A `dict` item was given its key's id, which need not be in what is stored.
            is_same = old is not None and with_id(address.id, value) == with_id(address.id, old.value)
            return UNCHANGED if is_same else value

        return decide

    def _by_ops(self, address: Address, given: Sequence[Op | Mapping[str, Any]]) -> Decide:
        parsed = parse(given)

        def decide(old: ItemSet | None) -> bytes | Unchanged | None:
            before = MISSING if old is None else orjson.loads(old.value)
            after = apply(before, parsed)
            if after is MISSING:
                return UNCHANGED
            try:
                value = orjson.dumps(after)
            except TypeError as error:
                raise ItemRefused(address, f"it cannot become JSON: {error}") from error
            if old is not None and value == orjson.dumps(before):
                return UNCHANGED
            self._codec.accepted(address, value)
            return value

        return decide

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
