"""What clients are told: every frame, as JSON text.

The wire names are those of Motia's clients, so that these work unchanged.
Fields they do not know are added beside theirs: `rev` (the item's revision),
`at` (`epoch.position`: everything at or below it is on this socket) and
`time` (when the server committed the change, in milliseconds since 1970).

Motia's clients order frames by `timestamp` alone. It is computed from
positions, never read from a clock, so every gateway gives the same one to
the same change, and it rises with every write: `base + position / 16` ms.

Events have none, since no two gateways could agree on it: what a gateway
stamps would hide what the next one sends. Motia's clients take a frame
without a timestamp as it comes, and after it whatever comes next, which is
never older: an item goes back on no socket, and no `sync` is behind what
another gateway has sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import orjson


def timestamp(base_ms: float, position: int) -> float:
    """The order of a frame for Motia's clients. See the top of this module.

    Exact in a double as long as `base_ms` is a whole number and positions
    stay below 7 * 10^12.
    """
    return base_ms + position / 16


class Envelope:
    """Writes the frames of one group: the parts that never change are encoded once."""

    __slots__ = ("_names",)

    def __init__(self, stream: str, group: str) -> None:
        names = b',"streamName":' + orjson.dumps(stream) + b',"groupId":' + orjson.dumps(group)
        self._names = names + b',"id":'

    def changed(
        self,
        kind: Literal["create", "update", "delete"],
        item_id: str,
        item: bytes,
        *,
        timestamp: float,
        revision: int,
        time_ms: int,
    ) -> bytes:
        """One item was created, updated or deleted; `item` is its JSON text, for a delete the old one."""
        return (
            b'{"type":"stream","timestamp":%s%s%s,"rev":%d,"time":%d,"event":{"type":"%s","data":%s}}'
            % (_number(timestamp), self._names, orjson.dumps(item_id), revision, time_ms, kind.encode(), item)
        )  # fmt: skip

    def group_sync(self, items: Iterable[bytes], *, timestamp: float, at: str) -> bytes:
        """All items of the group, in order. Always an array."""
        return (
            b'{"type":"stream","timestamp":%s%snull,"at":%s,"event":{"type":"sync","data":[%s]}}'
            % (_number(timestamp), self._names, orjson.dumps(at), b",".join(items))
        )  # fmt: skip

    def extended_sync(
        self,
        items: Sequence[bytes],
        revisions: Sequence[int],
        *,
        timestamp: float,
        at: str | None,
        more: bool | None = None,
        part: tuple[int, int] | None = None,
    ) -> bytes:
        """The same with the revision of each item, for the extended dialect.

        `more` says of the newest items alone whether there are older ones.
        `part` is which one this is of how many; `at` comes with the last.
        """
        told = b"" if at is None else b',"at":%s' % orjson.dumps(at)
        extent = b"" if more is None else b',"more":%s' % orjson.dumps(more)
        if part is not None:
            extent += b',"part":%d,"parts":%d' % part
        return (
            b'{"type":"stream","timestamp":%s%snull%s,"event":{"type":"sync"%s,"revs":[%s],"data":[%s]}}'
            % (_number(timestamp), self._names, told, extent, _numbers(revisions), b",".join(items))
        )  # fmt: skip

    def moved(self, group_sync: bytes, *, timestamp: float, at: str, reason: str | None = None) -> bytes:
        """A whole `sync` of the group, or a frame of it, with the same items at another position.

        `reason` says to whoever wanted to hear what changed why it gets all.
        """
        # Where a name holds the same, its quotation marks are escaped.
        event = group_sync[group_sync.index(_EVENT) :]
        why = b"" if reason is None else b',"reason":%s' % orjson.dumps(reason)
        names = (_number(timestamp), self._names, orjson.dumps(at), why, event)
        return b'{"type":"stream","timestamp":%s%snull,"at":%s%s%s' % names

    def resumed(
        self,
        *,
        created: Sequence[bytes],
        updated: Sequence[bytes],
        deleted: Sequence[str],
        revisions: Sequence[int],
        at: str,
        count: int,
        digest: str,
    ) -> bytes:
        """What changed since a position. The revisions are those of `created`, and then of `updated`."""
        return (
            b'{"type":"stream"%snull,"at":%s,"event":{"type":"resumed","create":[%s],"update":[%s],"delete":%s,'
            b'"revs":[%s],"count":%d,"digest":"%s"}}'
            % (
                self._names, orjson.dumps(at), b",".join(created), b",".join(updated), orjson.dumps(deleted),
                _numbers(revisions), count, digest.encode(),
            )
        )  # fmt: skip

    def heartbeat(self, item_id: str | None, *, at: str, count: int, digest: str) -> bytes:
        """What a room holds, in short: whoever holds something else has missed something."""
        return (
            b'{"type":"stream"%s%s,"at":%s,"event":{"type":"heartbeat","count":%d,"digest":"%s"}}'
            % (self._names, orjson.dumps(item_id), orjson.dumps(at), count, digest.encode())
        )  # fmt: skip

    def ids(self, ids: Sequence[str], revisions: Sequence[int], *, at: str) -> bytes:
        """The ids of all items, in order, with their revisions."""
        return (
            b'{"type":"stream"%snull,"at":%s,"event":{"type":"ids","revs":[%s],"data":%s}}'
            % (self._names, orjson.dumps(at), _numbers(revisions), orjson.dumps(ids))
        )  # fmt: skip

    def page(self, items: Sequence[bytes], revisions: Sequence[int], *, before: str, more: bool) -> bytes:
        """The items before one that the client named, in order. `more`: there are others before them."""
        return (
            b'{"type":"stream"%snull,"event":{"type":"page","before":%s,"more":%s,"revs":[%s],"data":[%s]}}'
            % (
                self._names, orjson.dumps(before), orjson.dumps(more), _numbers(revisions), b",".join(items),
            )
        )  # fmt: skip

    def item_sync(
        self, item_id: str, item: bytes | None, *, timestamp: float, at: str, revision: int | None
    ) -> bytes:
        """One item, or null when there is none: clients wait for either."""
        rev = b"" if revision is None else b',"rev":%d' % revision
        return (
            b'{"type":"stream","timestamp":%s%s%s%s,"at":%s,"event":{"type":"sync","data":%s}}'
            % (_number(timestamp), self._names, orjson.dumps(item_id), rev, orjson.dumps(at), item or b"null")
        )  # fmt: skip

    def event(self, item_id: str | None, event: bytes) -> bytes:
        """An ephemeral event; `event` is `{"type": ..., "data": ...}` as JSON text."""
        return (
            b'{"type":"stream"%s%s,"event":{"type":"event","event":%s}}'
            % (self._names, orjson.dumps(item_id), event)
        )  # fmt: skip

    def draft(self, item_id: str, data: bytes) -> bytes:
        """How an item has grown since its last stored version. `data` is a JSON object."""
        return (
            b'{"type":"stream"%s%s,"event":{"type":"draft",%s}'
            % (self._names, orjson.dumps(item_id), data[1:])
        )  # fmt: skip

    def unauthorized(self, item_id: str | None, code: str, sentence: str) -> bytes:
        """The client does not have the room, or not any more. Before anything that it could get later."""
        names = (self._names, orjson.dumps(item_id), orjson.dumps(code), orjson.dumps(sentence))
        return (
            b'{"type":"stream","timestamp":1%s%s,"event":{"type":"unauthorized","code":%s,"message":%s}}'
            % names
        )  # fmt: skip

    def refused(self, item_id: str | None, code: str, sentence: str) -> list[bytes]:
        """The same in the two forms that Motia's clients know.

        The first can be heard by an application (`onEvent('error')`), the
        second is what the newest clients expect.
        """
        said = orjson.dumps({"type": "error", "data": {"code": code, "message": sentence}})
        return [self.event(item_id, said), self.unauthorized(item_id, code, sentence)]


def _numbers(numbers: Iterable[int]) -> bytes:
    return b",".join([b"%d" % number for number in numbers])


_EVENT = b',"event":{'

PING = b'{"type":"ping"}'
PONG = b'{"type":"pong"}'


def error(code: str, sentence: str, ref: str | int | None = None) -> bytes:
    """What a client said cannot be done. Without `id` and room, so Motia's clients ignore it.

    `ref` is that of the message which it answers.
    """
    told: dict[str, object] = {"type": "error", "code": code, "message": sentence}
    return orjson.dumps(told if ref is None else {**told, "ref": ref})


def hello(
    session: str, *, ping_seconds: float, sub: str | None, expires: float | None, features: Iterable[str]
) -> bytes:
    """The first frame of the extended dialect. `expires` is when the token does, in seconds since 1970."""
    told = {"session": session, "ping": ping_seconds, "sub": sub, "expires": expires}
    return orjson.dumps({"type": "hello", **told, "features": list(features)})


def authenticated(sub: str | None, expires: float | None) -> bytes:
    """A token was taken."""
    return orjson.dumps({"type": "auth", "sub": sub, "expires": expires})


def bye(after_seconds: float) -> bytes:
    """This gateway ends: the client had better be elsewhere after so long. Told in milliseconds."""
    return orjson.dumps({"type": "bye", "after": round(after_seconds * 1000)})


def stale(is_stale: bool) -> bytes:
    """Whether what the client has may be old, because NATS is away."""
    return orjson.dumps({"type": "stale", "stale": is_stale})


def ack(ref: str | int) -> bytes:
    """What the message with this `ref` asked for is done."""
    return orjson.dumps({"type": "ack", "ref": ref})


def _number(value: float) -> bytes:
    # repr is the shortest text that reads back as the same double, in every language.
    return repr(value).removesuffix(".0").encode()
