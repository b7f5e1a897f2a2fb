"""A stream: a named kind of item, and what can be done with its items.

A `Stream` is a pure declaration. Which store its calls go to is bound from
outside, for the length of an invocation (`streams.store.bound_to`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, overload

from streams.access import AccessRule
from streams.channels import Channel, addressed, event_text
from streams.decisions import Change, by_function, by_ops, to_value, where
from streams.declaring import Declared
from streams.errors import ItemDoesNotFit, ItemRefused, StoreNotBound
from streams.items import ItemCodec, codec_for
from streams.keys import Address, address_of, checked_name
from streams.paging import page
from streams.results import Entry, StreamDeleteResult, StreamSetResult, StreamUpdateResult
from streams.store import Lifetime, Store, bound_store, wrong_ttl
from streams.writer import ItemWriter, writing

log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")


class Stream(Declared, Generic[ItemT]):
    """A named kind of item.

    `item` is a pydantic model (or any type that pydantic reads from a JSON
    object), or `dict` for any JSON object. `schema`, a JSON Schema, is for
    `dict` streams that check their items. `ttl` is how many seconds an item
    lives where the call that writes it does not say otherwise; None: for ever.

    `can_access(subscription, context)` says who may see a group or an item;
    without it everybody may, and `public=True` says that this is meant.
    `can_send` says which clients may send events; without it none may. Both
    may be coroutines, and whatever is not True within 2 seconds is a no.

    Raises:
        InvalidName: `name` does not match `[A-Za-z][A-Za-z0-9_-]{0,63}`.
        DefinitionRefused: One of the others is nothing that it could be.
    """

    @overload
    def __init__(
        self: Stream[dict[str, Any]],
        name: str,
        item: type[dict[Any, Any]],
        *,
        schema: Mapping[str, Any] | None = None,
        ttl: float | None = None,
        can_access: AccessRule | None = None,
        can_send: AccessRule | None = None,
        public: bool = False,
    ) -> None: ...

    @overload
    def __init__(
        self,
        name: str,
        item: type[ItemT],
        *,
        ttl: float | None = None,
        can_access: AccessRule | None = None,
        can_send: AccessRule | None = None,
        public: bool = False,
    ) -> None: ...

    def __init__(
        self,
        name: str,
        item: Any,
        *,
        schema: Mapping[str, Any] | None = None,
        ttl: float | None = None,
        can_access: AccessRule | None = None,
        can_send: AccessRule | None = None,
        public: bool = False,
    ) -> None:
        super().__init__(name, ttl=ttl, can_access=can_access, can_send=can_send, public=public)
        self._item = item
        self._codec: ItemCodec[ItemT] = codec_for(item, schema)

    @property
    def item(self) -> Any:
        """What was declared as the type of its items: a model, or `dict`."""
        return self._item

    def json_schema(self) -> dict[str, Any]:
        """What an item may be, as a JSON Schema (2020-12)."""
        return self._codec.json_schema()

    async def get(self, group: str, item_id: str) -> ItemT | None:
        """One item, or None when there is none.

        Raises:
            ItemDoesNotFit: The stored item no longer fits the model.
        """
        address = address_of(self.name, group, item_id)
        found = await self._store().get(address)
        return None if found is None else self._codec.decode(address, found.value)

    async def entry(self, group: str, item_id: str) -> Entry[ItemT] | None:
        """One item with its revision and times, or None when there is none.

        Raises:
            ItemDoesNotFit: The stored item no longer fits the model.
        """
        address = address_of(self.name, group, item_id)
        found = await self._store().get(address)
        if found is None:
            return None
        return Entry(
            self._codec.decode(address, found.value),
            found.revision,
            _at(found.created_ms),
            _at(found.time_ms),
            None if found.expires_ms is None else _at(found.expires_ms),
            address,
        )

    async def get_group(
        self, group: str, *, last: int | None = None, before: str | None = None
    ) -> list[ItemT]:
        """The items of a group in the order of their creation, however many there are.

        `last` is how many at most, from the end; `before` is an item id, and
        only what was created before that item counts. Together they page
        backwards. The group is read whole in any case.

        Raises:
            ItemDoesNotFit: A stored item no longer fits the model.
            PreconditionFailed: There is no item `before`.
            ValueError: `last` is not a positive whole number.
        """
        items = await self._store().get_group(self.name, checked_name("group", group))
        items = page(self.name, group, items, last=last, before=before)
        return [self._codec.decode(Address(self.name, group, item.id), item.value) for item in items]

    async def list_groups(self) -> list[str]:
        """The groups that hold items, sorted.

        The server goes through the keys of the whole stream for this: well
        below a second for 100,000 items, half a minute for a million. Keep
        an item per group in a stream of its own where that is too slow.
        """
        return await self._store().list_groups(self.name)

    async def set(
        self,
        group: str,
        item_id: str,
        data: ItemT | Mapping[str, Any],
        *,
        ttl: float | None = None,
        if_absent: bool = False,
        if_revision: int | None = None,
    ) -> StreamSetResult[ItemT]:
        """Write one item, and let everyone who watches its group see it.

        After `ttl` seconds, rounded up to whole ones, it vanishes by itself,
        and whoever watches sees it go. None is the stream's own time,
        `math.inf` is never. `if_absent` writes only where there is no item,
        `if_revision` only over that very version of it (see `entry`).
        Cancelling this leaves the old item or the new one, nothing between.

        Raises:
            InvalidName: `group` or `item_id` cannot become part of a key.
            ItemRefused: `data` or `ttl` does not fit; nothing was written.
            PreconditionFailed: There is an item, or it has another revision; nothing was written.
            StoreUnavailable, Contention: Nothing was written; try again.
            OutcomeUnknown: The answer was lost, and nothing shows whether it was written.
            StoreNotBound: Called outside a step handler and outside `connected`.
        """
        address = address_of(self.name, group, item_id)
        if (problem := wrong_ttl(ttl)) is not None:
            raise ItemRefused(address, problem)
        value, stored = self._codec.encode(address, data)

        written = await self._store().write(
            address,
            where(address, to_value(value), if_absent=if_absent, if_revision=if_revision),
            lifetime=self._lifetime(self._ttl if ttl is None else ttl),
            is_blind=if_revision is None,
        )
        assert written.revision is not None, "a set always writes"
        return StreamSetResult(stored, self._old(address, written.old), written.revision, address)

    async def update(
        self,
        group: str,
        item_id: str,
        change: Change[ItemT],
        *,
        if_absent: bool = False,
        if_revision: int | None = None,
    ) -> StreamUpdateResult[ItemT]:
        """Change one item, with nobody else's write in between.

        `change` is a list of operations (`streams.ops`, or the same as
        dicts), applied in order, all or none; a missing item starts as `{}`.
        Or it is a function from the item, or None when there is none, to the
        new one. It may be called again with a newer item, so it should do
        nothing but return the result; None for a missing item writes nothing.
        What it raises reaches the caller, and nothing is written. An item
        keeps the time that it has left to live. `if_absent` and
        `if_revision` are those of `set`.

        Raises: What `set` does, and
            OpRefused: An operation does not fit; nothing was written.
            ItemDoesNotFit: The function cannot be given the old item, which no longer fits the model.
        """
        address = address_of(self.name, group, item_id)
        decide = (
            by_function(self._codec, address, change)
            if callable(change)
            else by_ops(self._codec, address, change)
        )
        decide = where(address, decide, if_absent=if_absent, if_revision=if_revision)
        lifetime = self._lifetime(self._ttl, is_kept=True)
        written = await self._store().write(address, decide, lifetime=lifetime)
        return StreamUpdateResult(
            None if written.value is None else self._codec.decode(address, written.value),
            self._old(address, written.old),
            written.revision is not None,
            written.revision,
            address,
        )

    def writer(
        self,
        group: str,
        item_id: str,
        item: ItemT | Mapping[str, Any],
        *,
        checkpoint: float = 1.0,
        ttl: float | None = None,
        deadline: float | None = None,
    ) -> AbstractAsyncContextManager[ItemWriter[ItemT]]:
        """Write an item that grows, and let everyone watch it grow.

            async with message.writer("room", id, Message(id=id, text="")) as w:
                async for token in answer:
                    await w.append("text", token)

        `item` is stored at the beginning of the block. What is appended is
        shown at once, and stored at most every `checkpoint` seconds, at the
        end of the block, and shortly before `deadline` (seconds from its
        beginning: when this process may be stopped). When the block raises,
        is cancelled, or the process ends, the last checkpoint stays.

        Raises: What `set` does, at the beginning; at the end and from
        `append`, what `update` does.
        """
        address = address_of(self.name, group, item_id)
        if (problem := wrong_ttl(ttl)) is not None:
            raise ItemRefused(address, problem)
        lifetime = self._lifetime(self._ttl if ttl is None else ttl, is_kept=True)
        writer = ItemWriter(self._store(), address, self._codec, lifetime, checkpoint)
        return writing(writer, item, deadline=deadline)

    async def delete(
        self, group: str, item_id: str, *, if_revision: int | None = None
    ) -> StreamDeleteResult[ItemT]:
        """Remove one item. Deleting what is not there changes nothing and tells nobody.

        With `if_revision`, only that very version of it is removed.

        Raises: What `set` does, but for `ItemRefused`.
        """
        address = address_of(self.name, group, item_id)
        decide = where(address, to_value(None), if_revision=if_revision)
        written = await self._store().write(address, decide)
        return StreamDeleteResult(self._old(address, written.old), address)

    async def delete_group(self, group: str) -> int:
        """Remove every item that a group holds now, one by one. How many there were.

        Items that are written meanwhile may stay. When this raises or is
        cancelled, some are gone and the others are there.

        Raises: What `delete` does.
        """
        return await self._store().delete_group(self.name, checked_name("group", group))

    async def send(self, channel: str | Channel, event: Mapping[str, Any]) -> None:
        """Tell everyone who watches a group, or one item, now. Kept nowhere, at most once.

        `channel` is a group, or `{"groupId": ..., "id": ...}`; `event` is
        `{"type": ..., "data": ...}`. When this returns, the event has left
        the process.

        Raises:
            EventRefused: It has no type, or cannot become JSON.
            StoreUnavailable: It may not have left.
        """
        group, item_id = addressed(channel)
        await self._store().send(self.name, group, item_id, event_text(event))

    def _store(self) -> Store:
        store = bound_store()
        if store is None:
            raise StoreNotBound(self.name)
        return store

    def _lifetime(self, seconds: float, *, is_kept: bool = False) -> Lifetime:
        return Lifetime(None if math.isinf(seconds) else seconds, is_kept)

    def _old(self, address: Address, old: bytes | None) -> ItemT | None:
        if old is None:
            return None
        try:
            return self._codec.decode(address, old)
        except ItemDoesNotFit as error:
            # The write is done; an old item that nobody can read any more must not fail it.
            log.warning("the replaced item is not returned: %s", error)
            return None


def _at(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)
