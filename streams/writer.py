"""Items that grow while everybody watches: fragments at once, the whole now and then.

A fragment is sent as an ephemeral event, a draft; it is stored with the next
checkpoint, together with all that came since the last one. An answer of a
language model costs some dozens of stored writes that way, not one per token,
and who joins late misses what came since the last checkpoint, until the next.

A draft is an event of type `$draft` about the item. Its data:

    {"rev": 17, "path": ["text"], "at": 120, "text": "fragment"}
    {"rev": 17, "path": ["log"], "at": 3, "value": <one element>}
    {"rev": 17, "end": true}

`rev` is the revision of the last checkpoint. `at` is where the fragment
begins: UTF-16 code units of the text, as JavaScript counts them, or elements
of the array. Who holds less than that has missed one and waits for the next
checkpoint; who holds more has it already; and a draft with a lower `rev` than
the item is old. `end` says that nobody will store what is beyond the last
checkpoint.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from streams import ops
from streams.channels import DRAFT, text_units
from streams.errors import (
    Contention,
    EventRefused,
    ItemRefused,
    OutcomeUnknown,
    PreconditionFailed,
    StoreUnavailable,
    StreamsError,
)
from streams.items import ItemCodec
from streams.keys import Address
from streams.store import UNCHANGED, Lifetime, Present, Store, Unchanged
from streams.tasks import background_tasks
from streams.updates import apply

log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")

DEADLINE_SECONDS = 1.0
"""So long before the deadline a checkpoint is made, or a quarter of the time where that is less."""


@dataclass(slots=True)
class _Growing:
    """What was appended to at one path."""

    parts: list[str] | list[Any]
    """Fragments of a text, or the elements of an array."""
    is_text: bool
    length: int

    @property
    def value(self) -> Any:
        return "".join(self.parts) if self.is_text else self.parts


@dataclass(frozen=True, slots=True)
class _Draft:
    """A fragment on its way."""

    op: ops.Append
    at: int
    kind: str


class ItemWriter(Generic[ItemT]):
    """One item that is being written. `Stream.writer` makes it."""

    def __init__(
        self, store: Store, address: Address, codec: ItemCodec[ItemT], lifetime: Lifetime, checkpoint: float
    ) -> None:
        self.address = address
        self.revision = 0
        """Of the last checkpoint."""
        self._store, self._codec, self._lifetime = store, codec, lifetime
        self._checkpoint_seconds = checkpoint
        self._item: dict[str, Any] = {}
        self._growing: dict[tuple[str, ...], _Growing] = {}
        self._set: dict[tuple[str, ...], Any] = {}
        self._held: list[_Draft] = []
        self._changes = self._stored = 0
        self._has_changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._stored_at = 0.0
        self._failure: StreamsError | None = None

    async def append(self, path: ops.Path, value: Any) -> None:
        """Add text to a text, or one element to an array, as the operation `append` does.

        Everybody who watches is told at once; it is stored with the next
        checkpoint. Cancelling this leaves it appended.

        Raises:
            OpRefused: It does not fit what is at `path`.
            PreconditionFailed: The item was deleted meanwhile.
            ItemRefused: The item has grown too large, or does not fit its model any more.
        """
        self._check()
        op = ops.append(path, value)
        assert isinstance(op, ops.Append)
        growing = self._growing.get(op.path)
        if growing is not None and growing.is_text and isinstance(value, str):
            draft = _Draft(op, growing.length, "text")
            text = self._text(draft)
            growing.parts.append(value)
            growing.length += text_units(value)
        else:
            growing, item, at = self._grown(op)
            draft = _Draft(op, at, "text" if growing.is_text else "value")
            text = self._text(draft)
            self._growing[op.path], self._item = growing, item
        self._change()
        if self._turn.locked():
            self._held.append(draft)
            return
        try:
            await self._show(text)
        except EventRefused:
            # Too long for an event: what is stored is shown as well.
            await self.commit()

    async def set(self, path: ops.Path, value: Any) -> None:
        """Put a value at `path`, as the operation `set` does. It shows with the next checkpoint.

        Raises: As `append`.
        """
        self._check()
        op = ops.set(path, value)
        self._json(value)
        self._item = apply(self._whole(self._item), [op])
        for written in (self._growing, self._set):
            for inside in [inside for inside in written if inside[: len(op.path)] == op.path]:
                del written[inside]
        self._set[op.path] = value
        self._change()

    async def commit(self) -> None:
        """Make a checkpoint now. Does nothing when nothing has come since the last one.

        Other fields of the item, which others may have changed, stay as they are.

        Raises: What `Stream.update` does, and
            PreconditionFailed: The item was deleted meanwhile.
        """
        async with self._turn:
            try:
                await self._commit()
            finally:
                # A fragment that is shown ahead of a checkpoint without it would go and come back.
                is_too_long = await self._show_held()
        if is_too_long:
            await self.commit()

    async def _commit(self) -> None:
        changes = self._changes
        if changes == self._stored:
            return

        def decide(old: Present | None) -> bytes | Unchanged:
            if old is None:
                raise PreconditionFailed(self.address, "was deleted while it was being written")
            value = orjson.dumps(self._whole(orjson.loads(old.value)))
            if value == old.value:
                return UNCHANGED
            self._codec.accepted(self.address, value)
            return value

        self._has_changed.clear()
        written = await self._store.write(self.address, decide, lifetime=self._lifetime)
        self.revision = written.revision or self.revision
        self._stored = changes
        self._stored_at = asyncio.get_running_loop().time()

    async def _begin(self, item: ItemT | Mapping[str, Any]) -> None:
        value, _ = self._codec.encode(self.address, item)
        written = await self._store.write(
            self.address, lambda _: value, lifetime=Lifetime(self._lifetime.seconds), is_blind=True
        )
        assert written.revision is not None, "a set always writes"
        self._item, self.revision = orjson.loads(value), written.revision
        self._stored_at = asyncio.get_running_loop().time()

    async def _keep(self, deadline: float | None) -> None:
        """Make checkpoints while the block lasts."""
        loop = asyncio.get_running_loop()
        while True:
            await self._has_changed.wait()
            due = self._stored_at + self._checkpoint_seconds
            if deadline is not None and loop.time() < deadline < due:
                due = deadline
            await asyncio.sleep(max(0.0, due - loop.time()))
            try:
                await self.commit()
            except (StoreUnavailable, Contention, OutcomeUnknown) as error:
                # The next checkpoint has all of it, and the last one raises what it meets.
                log.warning("a checkpoint was not stored, trying on: %s", error)
                self._stored_at = loop.time()
                self._has_changed.set()
            except StreamsError as error:
                self._failure = error
                return

    async def _give_up(self) -> None:
        """Take back what was shown and will not be stored."""
        if self._changes != self._stored:
            with suppress(StreamsError):
                end = {"type": DRAFT, "data": {"rev": self.revision, "end": True}}
                await self._show(orjson.dumps(end))

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _change(self) -> None:
        self._changes += 1
        self._has_changed.set()

    def _grown(self, op: ops.Append) -> tuple[_Growing, dict[str, Any], int]:
        """What the operation makes where no text grows yet: that, the item, and where the new part begins."""
        item = apply(self._whole(self._item), [op])
        there: Any = item
        for segment in op.path:
            there = there[segment]
        if isinstance(there, str):
            length = text_units(there)
            return _Growing([there], True, length), item, length - text_units(op.value)
        return _Growing(there, False, len(there)), item, len(there) - 1

    def _text(self, draft: _Draft) -> bytes:
        op = draft.op
        data = {"rev": self.revision, "path": op.path, "at": draft.at, draft.kind: op.value}
        return self._json({"type": DRAFT, "data": data})

    def _json(self, value: Any) -> bytes:
        try:
            return orjson.dumps(value)
        except TypeError as error:
            raise ItemRefused(self.address, f"it cannot become JSON: {error}") from error

    def _whole(self, item: dict[str, Any]) -> dict[str, Any]:
        """`item` with all that was written here."""
        values = {**self._set, **{path: growing.value for path, growing in self._growing.items()}}
        whole: dict[str, Any] = apply(item, [ops.Set(path, value) for path, value in values.items()])
        return whole

    async def _show_held(self) -> bool:
        """Show what came while a checkpoint was made. Whether some of it is too long for an event."""
        is_too_long = False
        while self._held:
            try:
                await self._show(self._text(self._held.pop(0)))
            except EventRefused:
                is_too_long = True
        return is_too_long

    async def _show(self, event: bytes) -> None:
        at = self.address
        await self._store.send(at.stream, at.group, at.id, event, is_awaited=False)


@asynccontextmanager
async def writing(
    writer: ItemWriter[ItemT], item: ItemT | Mapping[str, Any], *, deadline: float | None
) -> AsyncIterator[ItemWriter[ItemT]]:
    """Store `item` at the beginning of the block, and all of it at its end.

    When the block raises or is cancelled, the last checkpoint stays. See `Stream.writer`.
    """
    await writer._begin(item)
    if deadline is not None:
        deadline += asyncio.get_running_loop().time() - min(DEADLINE_SECONDS, deadline / 4)
    try:
        async with background_tasks() as tasks:
            tasks.start(writer._keep(deadline), name=f"checkpoints of {writer.address}")
            yield writer
            writer._check()
            await writer.commit()
    except GeneratorExit:
        raise
    except BaseException:
        await writer._give_up()
        raise
