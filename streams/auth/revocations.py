"""Revocations: tokens that do not count any more, although they are signed and have not ended.

A revocation says that tokens made before some moment do not count: those of a
user, all of them in a stream or in a group of it, or those of one user there.
Each is an item in a bucket of its own, so that a gateway follows them as it
follows any group. Whoever follows nothing asks the store (`is_revoked`).

Clocks differ. A token is void when it was made before `not_before` plus the
leeway that its verifier allows, so that a minter whose clock is ahead gains
nothing. The price: a token made within the leeway after a revocation is
refused as well.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from streams.access import Caller, Subscription
from streams.changes import ItemSet, json_object
from streams.errors import DefinitionRefused, InvalidName
from streams.keys import REVOKED_STREAM, Address, checked_name, checked_stream_name
from streams.store import UNCHANGED, Present, Store, Unchanged

log = logging.getLogger(__name__)

STREAM = REVOKED_STREAM
"""The internal stream whose items they are."""

GROUP = "all"
"""The one group that all of them are in."""

Target: TypeAlias = tuple[str | None, str | None, str | None]
"""Whom one concerns: the user, the stream and its group; None: any."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """Tokens made before `not_before` do not count for this user, in this stream, in this group.

    Raises:
        InvalidName: A name can be none.
        DefinitionRefused: It names neither a user nor a stream, or a group without its stream.
    """

    sub: str | None
    """The user; None: everybody, also who comes without a token."""
    stream: str | None
    """None: everywhere."""
    group: str | None
    """None: every group."""
    not_before: float
    """Seconds since 1970."""

    def __post_init__(self) -> None:
        if self.sub is not None:
            _check_user(self.sub)
        if self.stream is not None:
            checked_stream_name(self.stream)
        if self.group is not None:
            checked_name("group", self.group)
        if self.stream is None and self.group is not None:
            raise DefinitionRefused(f"group {self.group!r} is of no stream; name the stream too")
        if self.sub is None and self.stream is None:
            raise DefinitionRefused("a revocation names a user, a stream, or a group of a stream")

    def __str__(self) -> str:
        where = "/".join(filter(None, (self.stream, self.group)))
        return " in ".join(filter(None, (self.sub or "everybody", where)))

    @property
    def target(self) -> Target:
        return self.sub, self.stream, self.group

    def concerns(self, stream: str, group: str) -> bool:
        """Whether it is about this group, among others or alone."""
        return self.stream in (None, stream) and self.group in (None, group)

    @property
    def address(self) -> Address:
        """Where it is kept. A user's name is of any length and a key is not, so the id is a digest."""
        return _address_of(self.target)

    def as_item(self) -> bytes:
        """The item that it is stored as."""
        return orjson.dumps(
            {
                "id": self.address.id,
                "sub": self.sub,
                "stream": self.stream,
                "group": self.group,
                "not_before": self.not_before,
            }
        )


def from_item(value: bytes, time_ms: int) -> Revocation | None:
    """The revocation that a stored item is; None: nobody can say whom it concerns.

    Where its `not_before` is not understood, all tokens made before it was
    written are meant: `time_ms`, in milliseconds since 1970.
    """
    item = json_object(value) or {}
    sub, stream, group = (item.get(name) for name in ("sub", "stream", "group"))
    try:
        return Revocation(sub, stream, group, _seconds(item.get("not_before"), time_ms))
    except (InvalidName, DefinitionRefused):
        return None


class Revocations:
    """All revocations, to be asked at every join: what it costs does not grow with their number."""

    def __init__(self, *, leeway_seconds: float = 0.0) -> None:
        self._leeway_seconds = leeway_seconds
        self._by_id: dict[str, Revocation] = {}
        # Another program may have written two of the same target under ids of its own.
        self._by_target: dict[Target, dict[str, float]] = {}

    def put(self, item_id: str, revocation: Revocation) -> bool:
        """Let it hold in place of what this item said before. Whether it may void tokens that counted."""
        before = self._not_before(revocation.target)
        self.remove(item_id)
        self._by_id[item_id] = revocation
        self._by_target.setdefault(revocation.target, {})[item_id] = revocation.not_before
        return before is None or revocation.not_before > before

    def remove(self, item_id: str) -> None:
        """Forget it. One that is not there changes nothing."""
        revocation = self._by_id.pop(item_id, None)
        if revocation is None:
            return
        same = self._by_target[revocation.target]
        del same[item_id]
        if not same:
            del self._by_target[revocation.target]

    def replace_all(self, revocations: Mapping[str, Revocation]) -> list[Revocation]:
        """Hold exactly these, by item id. Those that may void tokens that counted."""
        before = {target: max(times.values()) for target, times in self._by_target.items()}
        self._by_id, self._by_target = {}, {}
        for item_id, revocation in revocations.items():
            self.put(item_id, revocation)
        return [
            revocation
            for revocation in revocations.values()
            if revocation.not_before > before.get(revocation.target, -math.inf)
        ]

    def voids(self, caller: Caller, subscription: Subscription | None = None) -> bool:
        """Whether the caller's token does not count: at all or, with a subscription, for that.

        Who has no token has none that was made after a revocation, and so is
        hit by every one that concerns everybody.
        """
        for target in _concerning(caller, subscription):
            not_before = self._not_before(target)
            if not_before is not None and _is_void(caller, not_before + self._leeway_seconds):
                return True
        return False

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._by_id

    def __len__(self) -> int:
        return len(self._by_id)

    def _not_before(self, target: Target) -> float | None:
        times = self._by_target.get(target)
        return None if times is None else max(times.values())


async def revoke(store: Store, revocation: Revocation) -> Revocation:
    """Let a revocation hold, and return the one that holds: a later one that is there already stays.

    Raises:
        UnknownStream: Revocations have no bucket yet.
        StoreUnavailable, Contention: Nothing was written; try again.
        OutcomeUnknown: The answer was lost; do it again.
    """

    def decide(old: Present | None) -> bytes | Unchanged:
        held = None if old is None else from_item(old.value, 0)
        if held is None or held.target != revocation.target or held.not_before < revocation.not_before:
            return revocation.as_item()
        return UNCHANGED

    written = await store.write(revocation.address, decide)
    holds = None if written.value is None else from_item(written.value, 0)
    assert holds is not None, "what was decided upon is a revocation"
    return holds


async def unrevoke(
    store: Store, *, sub: str | None = None, stream: str | None = None, group: str | None = None
) -> bool:
    """Take back the one revocation of exactly this target. Whether there was one.

    Raises: What `revoke` does, and what `Revocation` does.
    """
    address = Revocation(sub, stream, group, 0.0).address
    return (await store.write(address, lambda _: None)).old is not None


async def revocations(store: Store) -> list[Revocation]:
    """All that hold, in the order in which they were first made.

    Raises:
        UnknownStream: They have no bucket yet.
        StoreUnavailable: Nobody answered.
    """
    items = await store.get_group(STREAM, GROUP)
    return [found for item in items if (found := read(item.id, item.value, item.time_ms)) is not None]


async def is_revoked(
    store: Store, caller: Caller, subscription: Subscription | None, *, leeway_seconds: float
) -> bool:
    """What `Revocations.voids` says, asked of the store: a read per target that can concern this caller.

    An item whose content is not understood counts by its key alone.

    Raises:
        UnknownStream: Revocations have no bucket yet.
        BucketNotUsable: Their bucket is of a newer release.
        StoreUnavailable: Nobody answered.
    """
    addresses = [_address_of(target) for target in _concerning(caller, subscription)]
    found = await asyncio.gather(*(store.get(address) for address in addresses))
    return any(_is_void(caller, _not_before(item) + leeway_seconds) for item in found if item is not None)


def read(item_id: str, value: bytes, time_ms: int) -> Revocation | None:
    """`from_item`, with a line in the log where somebody has to look at the item."""
    revocation = from_item(value, time_ms)
    if revocation is None:
        log.error(
            "a revocation does not say whom it concerns and is not applied; revoke again item=%s/%s/%s",
            STREAM,
            GROUP,
            item_id,
        )
    elif item_id != revocation.address.id:
        log.warning(
            "a revocation has not the id that `streams revoke` gives it, so only gateways apply it "
            "item=%s/%s/%s",
            STREAM,
            GROUP,
            item_id,
        )
    return revocation


def _concerning(caller: Caller, subscription: Subscription | None) -> list[Target]:
    """Every target of which a revocation would concern this caller."""
    sub = caller.sub
    targets: list[Target] = [] if sub is None else [(sub, None, None)]
    if subscription is not None:
        stream, group = subscription.stream, subscription.group
        targets += [(None, stream, None), (None, stream, group)]
        if sub is not None:
            targets += [(sub, stream, None), (sub, stream, group)]
    return targets


def _is_void(caller: Caller, not_before: float) -> bool:
    if caller.claims is None:
        return True
    try:
        # Not `<`: of something that is no number, the answer would be that it counts.
        return not caller.claims.iat >= not_before
    except (KeyError, TypeError, ValueError):
        # It does not say when it was made.
        return True


def _not_before(item: ItemSet) -> float:
    revocation = from_item(item.value, item.time_ms)
    return item.time_ms / 1000 if revocation is None else revocation.not_before


def _address_of(target: Target) -> Address:
    canonical = json.dumps(target, separators=(",", ":"))
    return Address(STREAM, GROUP, hashlib.sha256(canonical.encode()).hexdigest())


def _seconds(not_before: object, time_ms: int) -> float:
    match not_before:
        case bool():
            pass
        case int() | float():
            return float(not_before)
    return time_ms / 1000


def _check_user(sub: object) -> None:
    if not isinstance(sub, str):
        raise InvalidName("user", sub, f"is a {type(sub).__name__}; a name is a string")
    if not sub:
        raise InvalidName("user", sub, "is empty; give it at least one character")
    try:
        sub.encode()
    except UnicodeEncodeError:
        raise InvalidName(
            "user", sub, "contains half of a surrogate pair, which is not a character"
        ) from None
