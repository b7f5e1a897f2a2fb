"""Everybody who watches one group. What they see is encoded and framed once.

Frames wait here until the hub's next flush, at the end of the event loop's
tick, and go to each socket in one write: the number of writes is what
serving many sockets costs.

A client that does not read is behind: nothing is written to it, and nothing
is kept for it but the number of the last change that it was told. When it
reads again it is told what the items are by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from streams.changes import EventSent
from streams.envelope import Envelope, items_of, timestamp
from streams.gateway.backlog import Backlog, Kind
from streams.gateway.catching_up import is_most, what_became
from streams.gateway.follower import Follower
from streams.gateway.frames import text_frame
from streams.gateway.group import Shown
from streams.gateway.measures import Measures
from streams.gateway.watcher import Watcher
from streams.messages import CLOSE_SERVICE_RESTART, Room
from streams.store import Feed, Position

SAID_BY = b'{"from":{"session":"'
"""How the event of a client begins, in JSON text. That of a function begins with its type."""

SMALLEST_BACKLOG = 64
"""A backlog that is larger than this and than the group is given up: the whole group is sent instead."""


class _Waiting(NamedTuple):
    """A frame, before it is written."""

    item_id: str | None
    """What it is about; None: the whole group."""
    frame: bytes
    speaker: str | None
    """The session that it is from, if it is a client's."""
    kind: Kind | None
    """None: an event."""
    revision: int
    time_ms: int


class Told(NamedTuple):
    """What some sockets are told in one write."""

    watchers: list[Watcher]
    """Each at most once."""
    frames: bytes
    messages: int
    """How many frames these are."""


class Audience:
    """The watchers of one group and its items, and the follower behind them.

    `changed` is called when frames begin to wait here.
    """

    def __init__(
        self,
        feed: Feed,
        stream: str,
        group: str,
        measures: Measures,
        changed: Callable[[Audience], None],
    ) -> None:
        self.stream, self.name = stream, group
        self.joining = 0
        """Joins under way: they keep the group alive although nobody watches yet."""
        self.follower = Follower(
            feed, stream, group, shown=self._show, event=self._tell, restarted=self.send_away
        )
        self._measures, self._changed = measures, changed
        self._envelope = Envelope(stream, group)
        self._everyone: dict[Watcher, None] = {}
        self._by_item: dict[str, dict[Watcher, None]] = {}
        self._pending: list[_Waiting] = []
        self._shown = self._told = 0
        """How many changes there were, and how many of them those know who are not behind."""
        self._behind: dict[Watcher, int] = {}
        """Who does not read, and how many changes it was told."""
        self._outdated: set[Watcher] = set()
        """Those of them who need the whole state."""
        self._backlog = Backlog()
        self._state: tuple[Position, int, bytes] | None = None
        """The newest group `sync`, with what it says of its age, for all who need one before that changes."""

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
        if watcher in self._behind and not self._is_watched_by(watcher):
            self._is_not_behind(watcher)

    def state(self, room: Room) -> bytes:
        """The `sync` frame of a room: everything it holds now."""
        position, group = self._position(), self.follower.group
        base, at = position.epoch.base_ms, str(position)
        if room.id is not None:
            item = group.item(room.id)
            value, revision = (None, None) if item is None else (item.value, item.revision)
            # Not below what the client was told of the item; of others it does not know.
            ts = timestamp(base, max(position.revision, group.revision_of(room.id)))
            return text_frame(
                self._envelope.item_sync(room.id, value, timestamp=ts, at=at, revision=revision)
            )
        # Not below anything that the client was told, or one of Motia's would drop it.
        newest = max(position.revision, group.newest)
        known = self._state
        if known is None or known[:2] != (position, newest):
            # Others' writes move the position, and leave the items as they were.
            items = [item.value for item in group.items()] if known is None else [items_of(known[2])]
            sync = self._envelope.group_sync(items, timestamp=timestamp(base, newest), at=at)
            known = (position, newest, text_frame(sync))
        self._state = known
        return known[2]

    def take(self) -> list[Told]:
        """The frames that wait, each socket at most once; nothing waits afterwards."""
        pending, self._pending = self._pending, []
        if not pending:
            return []
        if self._behind:
            self._note(pending)
        self._told = self._shown
        self._measure(pending)
        everyone = [each for each in self._everyone if each not in self._behind]
        speakers = {each.speaker for each in pending if each.speaker is not None}
        out = list[Told]()
        if speakers:
            for watcher in [each for each in everyone if each.session in speakers]:
                # Nobody hears what it said itself.
                out.append(_told([watcher], [each for each in pending if each.speaker != watcher.session]))
            everyone = [each for each in everyone if each.session not in speakers]
        out.append(_told(everyone, pending))
        if self._by_item:
            out += self._for_items(pending)
        return [each for each in out if each.watchers and each.messages]

    def send_away(self) -> None:
        """Close every socket that watches here: what was said of the group is void.

        They come back for a new state.
        """
        self._pending.clear()
        self._told = self._shown
        self._state = None
        for watcher in self.watchers():
            self._measures.resyncs["restarted"] += 1
            watcher.close(CLOSE_SERVICE_RESTART, "the stream was made anew, or has new rules")

    # Those who do not read.

    def fall_behind(self, watcher: Watcher, *, is_outdated: bool = False) -> None:
        """Write nothing to this watcher until `catch_up`.

        It knows what all others know; or, outdated, it needs the whole state.
        """
        if not self._is_watched_by(watcher):
            # Its join is under way, and will find that it is behind.
            return
        if watcher not in self._behind:
            self._behind[watcher] = self._told
            self._backlog.begin(self._told)
        if is_outdated:
            self._outdated.add(watcher)

    def is_behind(self, watcher: Watcher) -> bool:
        return watcher in self._behind

    def is_watched(self, watcher: Watcher, room: Room) -> bool:
        """Whether its state was sent, or is owed: not before a join has come so far."""
        return watcher in (self._everyone if room.id is None else self._by_item.get(room.id, ()))

    def catch_up(self, watcher: Watcher, rooms: Sequence[Room]) -> list[bytes]:
        """The frames for a watcher of these rooms that reads again, when nothing else waits here.

        From then on it gets what all others get.
        """
        cursor, is_outdated = self._behind[watcher], watcher in self._outdated
        missed = [] if is_outdated else self._backlog.since(cursor)
        self._is_not_behind(watcher)
        is_everything = any(room.id is None for room in rooms)
        if not is_everything:
            ids = {room.id for room in rooms}
            missed = [each for each in missed if each.id in ids]
        elif is_most(self.follower.group, missed):
            is_outdated = True
        if is_outdated:
            frames = [self.state(room) for room in rooms]
            # It may have joined while it was behind, and missed nothing.
            self._measures.resyncs["slow"] += cursor < self._told
        else:
            frames = what_became(missed, self.follower.group, self._frame)
        if is_everything:
            told = 0 if is_outdated else len(frames)
            self._measures.conflated += max(0, self._told - cursor - told)
        return frames

    def _is_not_behind(self, watcher: Watcher) -> None:
        del self._behind[watcher]
        self._outdated.discard(watcher)
        if not self._behind:
            self._backlog.clear()

    def _is_watched_by(self, watcher: Watcher) -> bool:
        return watcher in self._everyone or any(watcher in each for each in self._by_item.values())

    def _note(self, pending: Sequence[_Waiting]) -> None:
        """Keep what those who are behind are not told now."""
        number = self._told
        for waiting in pending:
            if waiting.kind is None or waiting.item_id is None:
                heard = (self._everyone, self._by_item.get(waiting.item_id or "", {}))
                self._measures.dropped += sum(
                    any(each in who for who in heard) and each.session != waiting.speaker
                    for each in self._behind
                )
            else:
                number += 1
                self._backlog.note(number, waiting.item_id, waiting.kind, waiting.revision, waiting.time_ms)
        if len(self._backlog) > max(SMALLEST_BACKLOG, len(self.follower.group)):
            self._outdated.update(self._behind)
            self._backlog.clear()

    def _for_items(self, pending: Sequence[_Waiting]) -> list[Told]:
        heard: dict[Watcher, list[_Waiting]] = {}
        for waiting in pending:
            if waiting.item_id is None:
                continue
            for watcher in self._by_item.get(waiting.item_id, ()):
                # Who watches the whole group has these frames already.
                if not (
                    watcher in self._everyone or watcher in self._behind or watcher.session == waiting.speaker
                ):
                    heard.setdefault(watcher, []).append(waiting)
        return [_told([watcher], own) for watcher, own in heard.items()]

    def _measure(self, pending: Sequence[_Waiting]) -> None:
        now = time.time()
        for waiting in pending:
            # Of what was found by comparing whole groups, nobody knows when it happened.
            if waiting.kind is not None and waiting.time_ms:
                self._measures.write_to_send.observe(max(0.0, now - waiting.time_ms / 1000))

    def _show(self, changes: list[Shown]) -> None:
        self._measures.changes += len(changes)
        self._state = None
        if not (self._everyone or self._by_item):
            return
        self._shown += len(changes)
        for change in changes:
            frame = self._frame(change.kind, change.id, change.item, change.revision, change.time_ms)
            self._wait(_Waiting(change.id, frame, None, change.kind, change.revision, change.time_ms))

    def _tell(self, event: EventSent) -> None:
        self._measures.events += 1
        if self._everyone or self._by_item:
            frame = text_frame(self._envelope.event(event.id, event.event))
            self._wait(_Waiting(event.id, frame, _speaker(event.event), None, 0, 0))

    def _frame(self, kind: Kind, item_id: str, item: bytes, revision: int, time_ms: int) -> bytes:
        base, at_ms = self._position().epoch.base_ms, time_ms or time.time_ns() // 1_000_000
        return text_frame(
            self._envelope.changed(
                kind, item_id, item, timestamp=timestamp(base, revision), revision=revision, time_ms=at_ms
            )
        )

    def _wait(self, waiting: _Waiting) -> None:
        if not self._pending:
            self._changed(self)
        self._pending.append(waiting)

    def _position(self) -> Position:
        position = self.follower.group.position
        assert position is not None, "nothing is shown of a group before its first read"
        return position


def _told(watchers: list[Watcher], waiting: Sequence[_Waiting]) -> Told:
    return Told(watchers, b"".join([each.frame for each in waiting]), len(waiting))


def _speaker(event: bytes) -> str | None:
    """The session that an event is from; None: a function's."""
    if not event.startswith(SAID_BY):
        return None
    return event[len(SAID_BY) : event.index(b'"', len(SAID_BY))].decode()
