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
from collections.abc import Callable, Mapping, Sequence

from streams.changes import EventSent
from streams.envelope import Envelope, timestamp
from streams.gateway.backlog import Kind
from streams.gateway.behind import Behind
from streams.gateway.catching_up import is_most, what_became
from streams.gateway.drafts import Draft, Tails, read_draft
from streams.gateway.follower import Follower
from streams.gateway.frames import text_frame
from streams.gateway.group import Shown
from streams.gateway.measures import Measures
from streams.gateway.members import Members
from streams.gateway.states import GroupTooLarge, States
from streams.gateway.waiting import Told, Waiting, forms, speaker, told
from streams.gateway.watcher import Watcher
from streams.messages import CLOSE_SERVICE_RESTART, Room
from streams.store import Feed, Position


class Audience:
    """The watchers of one group and its items, and the follower behind them.

    Where `room` is a single item, that alone is followed: then all of them
    watch it, and nothing else of the group is known here.

    `changed` is called when frames begin to wait here, `grown` when the items
    take more memory than before, or less.
    """

    def __init__(
        self,
        feed: Feed,
        room: Room,
        measures: Measures,
        changed: Callable[[Audience], None],
        grown: Callable[[Audience], None] = lambda _: None,
    ) -> None:
        self.room = room
        self.joining = 0
        """Joins under way: they keep the group alive although nobody watches yet."""
        self.follower = Follower(
            feed,
            room,
            shown=self._show,
            event=self._tell,
            restarted=self.send_away,
            begun=lambda: grown(self),
        )
        self._measures, self._changed, self._grown = measures, changed, grown
        self._envelope = Envelope(room.stream, room.group)
        self._members = Members()
        self.changed_at = 0.0
        """When something last changed here, by the monotonic clock. 0: not since the group was read."""
        self._tails = Tails()
        self._pending: list[Waiting] = []
        self._shown = self._told = 0
        """How many changes there were, and how many of them those know who are not behind."""
        self.states = States(self._envelope, lambda: self.follower.group, lambda: grown(self))
        self._behind = Behind(self.states.parts)

    @property
    def is_guarded(self) -> bool:
        """Whether the bucket has said, when the group was read, that a rule must be asked."""
        position = self.follower.group.position
        return position is not None and position.epoch.is_guarded

    @property
    def empty(self) -> bool:
        return not (self._members or self.joining)

    @property
    def rooms_watched(self) -> int:
        """The group and its items, each once for every watcher."""
        return len(self._members)

    @property
    def held_bytes(self) -> int:
        """What the values take that are here, and the frames made of them."""
        group = self.follower.group
        return group.size - group.absent_bytes + self.states.made_bytes

    def let_values_go(self) -> int:
        """Keep none of that: what is relayed needs none. How many values there were."""
        self.states.forget()
        return self.follower.group.let_values_go()

    def watchers(self) -> set[Watcher]:
        return self._members.all()

    def add(self, watcher: Watcher, room: Room) -> bool:
        """Whether it is new here: it was told nothing of the group before."""
        is_new = watcher not in self._members
        self._members.add(watcher, room)
        return is_new

    def remove(self, watcher: Watcher, room: Room) -> None:
        self._members.discard(watcher, room)
        self._behind.owe_no_more(watcher, room)
        if watcher in self._behind and watcher not in self._members:
            self._behind.discard(watcher)

    def heartbeat(self, watcher: Watcher, room: Room) -> bytes | None:
        """What a room holds, in short. None: the watcher has not all of it, or wants a part."""
        if self._pending or self.is_behind(watcher) or not self.is_watched(watcher, room):
            return None
        if room.id is not None:
            return self.states.item_heartbeat(room.id)
        return self.states.heartbeat() if watcher.window(room) is None else None

    def drafts(self, watcher: Watcher, rooms: Sequence[Room]) -> list[bytes]:
        """What came after the stored versions of the items of some rooms, for one who was just told those.

        Those of Motia's clients who come late see it with the next version.
        """
        if not self._tails or not watcher.is_extended:
            return []
        group = self.follower.group
        ids = self._tails.ids() if any(room.id is None for room in rooms) else [room.id for room in rooms]
        drafts = [each for id in ids if id for each in self._tails.of(id, group.revision_of(id))]
        return [text_frame(each.told(self._envelope, is_extended=True)) for each in drafts]

    def take(self) -> list[Told]:
        """The frames that wait, each socket at most once; nothing waits afterwards."""
        pending, self._pending = self._pending, []
        if not pending:
            return []
        if self._behind:
            self._note(pending)
        self._told = self._shown
        self._measure(pending)
        everyone = [each for each in self._members.everyone if each not in self._behind]
        speakers = {each.speaker for each in pending if each.speaker is not None}
        ways, out = forms(pending, self._envelope), list[Told]()
        if speakers:
            for watcher in [each for each in everyone if each.session in speakers]:
                # Nobody hears what it said itself.
                own = [each for each in ways[watcher.is_extended] if each.speaker != watcher.session]
                out.append(told([watcher], own))
            everyone = [each for each in everyone if each.session not in speakers]
        if ways[False] is ways[True]:
            out.append(told(everyone, pending))
        else:
            for is_extended, form in ways.items():
                out.append(told([each for each in everyone if each.is_extended == is_extended], form))
        if self._members.by_item:
            out += self._for_items(ways)
        return [each for each in out if each.watchers and each.messages]

    def send_away(self) -> None:
        """Close every socket that watches here: what was said of the group is void.

        They come back for a new state.
        """
        self._pending.clear()
        self._tails.clear()
        self._told = self._shown
        self._behind.forget()
        self.states.forget()
        self._grown(self)
        for watcher in self.watchers():
            self._measures.resyncs["restarted"] += 1
            watcher.close(CLOSE_SERVICE_RESTART, "the stream was made anew, or has new rules")

    # Those who do not read.

    def fall_behind(self, watcher: Watcher, *, is_outdated: bool = False) -> None:
        """Write nothing to this watcher until `catch_up`.

        It knows what all others know; or, outdated, it needs the whole state.
        """
        if watcher not in self._members:
            # Its join is under way, and will find that it is behind.
            return
        self._behind.add(watcher, self._told, is_outdated=is_outdated)

    def owe(self, watcher: Watcher, room: Room) -> None:
        """A watcher that is behind has joined a room: it is told what that holds with all else."""
        self._behind.owe(watcher, room)

    def is_behind(self, watcher: Watcher) -> bool:
        return watcher in self._behind

    def is_watched(self, watcher: Watcher, room: Room) -> bool:
        """Whether its state was sent, or is owed: not before a join has come so far."""
        return watcher in self._members.of(room)

    def catch_up(self, watcher: Watcher, rooms: Sequence[Room]) -> list[bytes]:
        """The frames for a watcher of these rooms that reads again, when nothing else waits here.

        From then on it gets what all others get.

        Raises:
            GroupTooLarge: It cannot be told.
            ValuesAbsent: Not yet. It is behind still.
        """
        cursor, missed = self._behind.cursor(watcher), self._behind.missed(watcher)
        is_everything = any(room.id is None for room in rooms)
        owed = self._behind.owed(watcher)
        if missed is not None and not is_everything:
            ids = {room.id for room in rooms if room not in owed}
            missed = [each for each in missed if each.id in ids]
        elif missed is not None and is_most(self.follower.group, missed):
            missed = None
        if missed is None:
            try:
                frames = [frame for room in rooms if (frame := self.states.of(room, watcher)) is not None]
            except GroupTooLarge:
                self._behind.discard(watcher)
                raise
            if len(frames) < len(rooms):
                self._behind.begin_parts(watcher, self._told, is_new=False)
            else:
                self._behind.discard(watcher)
            # It may have joined while it was behind, and missed nothing.
            self._measures.resyncs["slow"] += cursor < self._told
        else:
            frames = what_became(missed, self.follower.group, self._frame)
            frames += [self.states.item_sync(room.id) for room in owed if room.id is not None]
            self._behind.discard(watcher)
        if is_everything:
            heard = 0 if missed is None else len(frames)
            self._measures.conflated += max(0, self._told - cursor - heard)
        return frames

    def begin_parts(self, watcher: Watcher, *, is_new: bool) -> None:
        """Owe the whole state, in parts, to one who joins the group: it is behind until it has them all.

        Raises:
            ValuesAbsent: Not yet.
        """
        self._behind.begin_parts(watcher, self._told, is_new=is_new)

    def is_receiving(self, watcher: Watcher) -> bool:
        """Whether it is owed parts."""
        return self._behind.is_receiving(watcher)

    def next_part(self, watcher: Watcher) -> bytes | None:
        """The next part for a watcher that takes it. None: it has to `catch_up` now."""
        return self._behind.next_part(watcher)

    def _note(self, pending: Sequence[Waiting]) -> None:
        """Keep what those who are behind are not told now."""
        number = self._told
        for waiting in pending:
            if waiting.kind is None or waiting.item_id is None:
                self._measures.dropped += sum(
                    self._members.hear(waiting.item_id, each) and each.session != waiting.speaker
                    for each in self._behind
                )
            else:
                number += 1
                self._behind.note(number, waiting.item_id, waiting.kind, waiting.revision, waiting.time_ms)
        self._behind.keep_within(len(self.follower.group))

    def _for_items(self, ways: Mapping[bool, Sequence[Waiting]]) -> list[Told]:
        heard: dict[Watcher, list[Waiting]] = {}
        for number, waiting in enumerate(ways[False]):
            if waiting.item_id is None:
                continue
            for watcher in self._members.by_item.get(waiting.item_id, ()):
                # Who watches the whole group has these frames already.
                if not (
                    watcher in self._members.everyone
                    or watcher in self._behind
                    or watcher.session == waiting.speaker
                ):
                    heard.setdefault(watcher, []).append(ways[watcher.is_extended][number])
        return [told([watcher], own) for watcher, own in heard.items()]

    def _measure(self, pending: Sequence[Waiting]) -> None:
        now = time.time()
        for waiting in pending:
            # Of what was found by comparing whole groups, nobody knows when it happened.
            if waiting.kind is not None and waiting.time_ms:
                self._measures.write_to_send.observe(max(0.0, now - waiting.time_ms / 1000))

    def _show(self, changes: list[Shown]) -> None:
        self._measures.changes += len(changes)
        self.states.forget()
        self._grown(self)
        self.changed_at = time.monotonic()
        if self._tails:
            for change in changes:
                self._tails.stored(change.id, change.revision)
        if not self._members:
            return
        self._shown += len(changes)
        for change in changes:
            frame = self._frame(change.kind, change.id, change.item, change.revision, change.time_ms)
            self._wait(Waiting(change.id, frame, None, change.kind, change.revision, change.time_ms))

    def _tell(self, event: EventSent) -> None:
        self._measures.events += 1
        draft = read_draft(event.id, event.event)
        if draft is not None:
            self._grow(draft)
        elif self._members:
            frame = text_frame(self._envelope.event(event.id, event.event))
            self._wait(Waiting(event.id, frame, speaker(event.event), None, 0, 0))

    def _grow(self, draft: Draft) -> None:
        if draft.base < self.follower.group.revision_of(draft.id):
            # Of a version that is not the newest any more.
            return
        self._tails.add(draft)
        before = self._pending[-1].draft if self._pending else None
        if before is not None and draft.follows(before):
            before.grow(draft)
        elif self._members:
            self._wait(Waiting(draft.id, b"", None, None, 0, 0, draft))

    def _frame(self, kind: Kind, item_id: str, item: bytes, revision: int, time_ms: int) -> bytes:
        base, at_ms = self._position().epoch.base_ms, time_ms or time.time_ns() // 1_000_000
        return text_frame(
            self._envelope.changed(
                kind, item_id, item, timestamp=timestamp(base, revision), revision=revision, time_ms=at_ms
            )
        )

    def _wait(self, waiting: Waiting) -> None:
        if not self._pending:
            self._changed(self)
        self._pending.append(waiting)

    def _position(self) -> Position:
        position = self.follower.group.position
        assert position is not None, "nothing is shown of a group before its first read"
        return position
