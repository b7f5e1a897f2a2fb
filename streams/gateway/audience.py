"""Everybody who watches one group. What they see is encoded and framed once.

Frames wait here until the hub's next flush, at the end of the event loop's
tick, and go to each socket in one write: the number of writes is what
serving many sockets costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from streams.access import Caller
from streams.changes import EventSent
from streams.envelope import Envelope, timestamp
from streams.gateway.follower import Follower
from streams.gateway.frames import text_frame
from streams.gateway.group import Shown
from streams.messages import CLOSE_SERVICE_RESTART, Room
from streams.store import Feed, Position

SAID_BY = b'{"from":{"session":"'
"""How the event of a client begins, in JSON text. That of a function begins with its type."""

_Waiting: TypeAlias = tuple[str | None, bytes, str | None]
"""The item that a frame is about, the frame, and the session that it is from, if it is a client's."""


class Watcher(Protocol):
    """One client, as the hub sees it."""

    caller: Caller
    session: str
    """What others know it by."""

    @property
    def questions(self) -> asyncio.Semaphore:
        """Held while a rule is asked about this client."""
        ...

    def write(self, frames: bytes) -> None:
        """Send one or more whole frames. Never waits; a socket that is gone ignores it."""
        ...

    def close(self, code: int, reason: str) -> None: ...

    def watches(self, room: Room) -> bool:
        """Whether the client still wants this room."""
        ...

    def rooms(self) -> set[Room]:
        """Every room that it wants."""
        ...

    def refuse(self, room: Room, code: str, sentence: str) -> None:
        """The client does not get the room, or not any more, and is told so."""
        ...


class Audience:
    """The watchers of one group and its items, and the follower behind them.

    `changed` is called when frames begin to wait here.
    """

    def __init__(self, feed: Feed, stream: str, group: str, changed: Callable[[Audience], None]) -> None:
        self.stream, self.name = stream, group
        self.joining = 0
        """Joins under way: they keep the group alive although nobody watches yet."""
        self.follower = Follower(
            feed, stream, group, shown=self._show, event=self._tell, restarted=self.send_away
        )
        self._changed = changed
        self._envelope = Envelope(stream, group)
        self._everyone: dict[Watcher, None] = {}
        self._by_item: dict[str, dict[Watcher, None]] = {}
        self._pending: list[_Waiting] = []
        self._state: tuple[Position, bytes] | None = None
        """The newest group `sync`, shared by those who join at the same position."""

    @property
    def is_guarded(self) -> bool:
        """Whether the bucket has said, when the group was read, that a rule must be asked."""
        position = self.follower.group.position
        return position is not None and position.epoch.is_guarded

    @property
    def empty(self) -> bool:
        return not (self._everyone or self._by_item or self.joining)

    @property
    def rooms_watched(self) -> int:
        """The group and its items, each once for every watcher."""
        return len(self._everyone) + sum(map(len, self._by_item.values()))

    def watchers(self) -> set[Watcher]:
        return set(self._everyone).union(*self._by_item.values())

    def add(self, watcher: Watcher, room: Room) -> None:
        if room.id is None:
            self._everyone[watcher] = None
        else:
            self._by_item.setdefault(room.id, {})[watcher] = None

    def remove(self, watcher: Watcher, room: Room) -> None:
        if room.id is None:
            self._everyone.pop(watcher, None)
        elif watchers := self._by_item.get(room.id):
            watchers.pop(watcher, None)
            if not watchers:
                del self._by_item[room.id]

    def state(self, room: Room) -> bytes:
        """The `sync` frame of a room: everything it holds now."""
        position = self._position()
        ts = timestamp(position.epoch.base_ms, position.revision)
        group = self.follower.group
        if room.id is not None:
            item = group.item(room.id)
            value, revision = (None, None) if item is None else (item.value, item.revision)
            return text_frame(
                self._envelope.item_sync(room.id, value, timestamp=ts, at=str(position), revision=revision)
            )
        if self._state is None or self._state[0] != position:
            items = [item.value for item in group.items()]
            frame = text_frame(self._envelope.group_sync(items, timestamp=ts, at=str(position)))
            self._state = (position, frame)
        return self._state[1]

    def take(self) -> list[tuple[Iterable[Watcher], bytes]]:
        """The frames that wait, as (sockets, bytes), each socket at most once; nothing waits afterwards."""
        pending, self._pending = self._pending, []
        if not pending:
            return []
        whole = b"".join([frame for _, frame, _ in pending])
        speakers = {speaker for _, _, speaker in pending if speaker is not None}
        out: list[tuple[Iterable[Watcher], bytes]] = []
        if not speakers:
            out.append((list(self._everyone), whole))
        else:
            out.append(([each for each in self._everyone if each.session not in speakers], whole))
            for watcher in [each for each in self._everyone if each.session in speakers]:
                # Nobody hears what it said itself.
                heard = b"".join([frame for _, frame, speaker in pending if speaker != watcher.session])
                if heard:
                    out.append(((watcher,), heard))
        if self._by_item:
            out += self._for_items(pending)
        return out

    def send_away(self) -> None:
        """Close every socket that watches here: what was said of the group is void.

        They come back for a new state.
        """
        self._pending.clear()
        self._state = None
        for watcher in self.watchers():
            watcher.close(CLOSE_SERVICE_RESTART, "the stream was made anew, or has new rules")

    def _for_items(self, pending: list[_Waiting]) -> list[tuple[Iterable[Watcher], bytes]]:
        parts: dict[Watcher, list[bytes]] = {}
        for item_id, frame, speaker in pending:
            if item_id is None:
                continue
            for watcher in self._by_item.get(item_id, ()):
                # Who watches the whole group has these frames already.
                if watcher not in self._everyone and watcher.session != speaker:
                    parts.setdefault(watcher, []).append(frame)
        return [((watcher,), b"".join(own)) for watcher, own in parts.items()]

    def _show(self, changes: list[Shown]) -> None:
        self._state = None
        if not (self._everyone or self._by_item):
            return
        base = self._position().epoch.base_ms
        for change in changes:
            frame = self._envelope.changed(
                change.kind,
                change.id,
                change.item,
                timestamp=timestamp(base, change.revision),
                revision=change.revision,
                time_ms=change.time_ms,
            )
            self._wait(change.id, frame)

    def _tell(self, event: EventSent) -> None:
        if self._everyone or self._by_item:
            self._wait(event.id, self._envelope.event(event.id, event.event), _speaker(event.event))

    def _wait(self, item_id: str | None, frame: bytes, speaker: str | None = None) -> None:
        if not self._pending:
            self._changed(self)
        self._pending.append((item_id, text_frame(frame), speaker))

    def _position(self) -> Position:
        position = self.follower.group.position
        assert position is not None, "nothing is shown of a group before its first read"
        return position


def _speaker(event: bytes) -> str | None:
    """The session that an event is from; None: a function's."""
    if not event.startswith(SAID_BY):
        return None
    return event[len(SAID_BY) : event.index(b'"', len(SAID_BY))].decode()
