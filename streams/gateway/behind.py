"""Those who watch a group and are not told what happens there as it happens: they do not read, or are
still being sent the whole state. Who they are, and what they have missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from streams.gateway.backlog import Backlog, Kind, Missed
from streams.gateway.watcher import Watcher
from streams.messages import Room

SMALLEST_BACKLOG = 64
"""A backlog that is larger than this and than the group is given up: the whole group is sent instead."""


class Behind:
    """The watchers of one group who are behind. Changes are numbered as they are shown."""

    def __init__(self, parts: Callable[[], list[bytes]]) -> None:
        self._make_parts = parts
        self._cursors: dict[Watcher, int] = {}
        """Who it is, and the last change that it was told."""
        self._outdated: set[Watcher] = set()
        """Those of them who need the whole state."""
        self._owed: dict[Watcher, set[Room]] = {}
        """The items that some of them have joined since, of which they were told nothing yet."""
        self._receiving: dict[Watcher, Iterator[bytes]] = {}
        """Those who are sent it in parts, and the parts that they have not got yet."""
        self._parts: tuple[list[bytes], int] | None = None
        """The parts that whoever comes now may get too, and the last change that is in them."""
        self.backlog = Backlog()

    def __contains__(self, watcher: Watcher) -> bool:
        return watcher in self._cursors

    def __iter__(self) -> Iterator[Watcher]:
        return iter(self._cursors)

    def __len__(self) -> int:
        return len(self._cursors)

    def add(self, watcher: Watcher, told: int, *, is_outdated: bool) -> None:
        """It was told all changes up to `told`; or, outdated, it needs the whole state."""
        if watcher not in self._cursors:
            self._cursors[watcher] = told
            self.backlog.begin(told)
        if is_outdated:
            self._outdated.add(watcher)

    def discard(self, watcher: Watcher) -> None:
        """It is told all from now on, or watches nothing here any more."""
        self._cursors.pop(watcher, None)
        self._outdated.discard(watcher)
        self._owed.pop(watcher, None)
        self.end_parts(watcher)
        if not self._cursors:
            self.backlog.clear()

    def owe(self, watcher: Watcher, room: Room) -> None:
        """It has joined a room meanwhile, whose state it is to be told when it is told of the others."""
        if room.id is None:
            self._outdated.add(watcher)
        else:
            self._owed.setdefault(watcher, set()).add(room)

    def owed(self, watcher: Watcher) -> set[Room]:
        return self._owed.get(watcher, set())

    def owe_no_more(self, watcher: Watcher, room: Room) -> None:
        """It has left a room. Of a whole group that it was sent in parts, it gets no more of them."""
        self.owed(watcher).discard(room)
        if room.id is None:
            self.end_parts(watcher)

    def missed(self, watcher: Watcher) -> list[Missed] | None:
        """What changed since it fell behind. None: it needs the whole state."""
        return None if watcher in self._outdated else self.backlog.since(self._cursors[watcher])

    def cursor(self, watcher: Watcher) -> int:
        """The last change that it was told."""
        return self._cursors[watcher]

    def note(self, number: int, item_id: str, kind: Kind, revision: int, time_ms: int) -> None:
        """A change was told to all others."""
        self.backlog.note(number, item_id, kind, revision, time_ms)

    def keep_within(self, items: int) -> None:
        """Give up what changed where it is more than what a group with so many items holds."""
        if len(self.backlog) > max(SMALLEST_BACKLOG, items):
            self.forget()

    def forget(self) -> None:
        """What they have is of no use: they need the whole state."""
        self._outdated.update(self._cursors)
        self._parts = None
        self.backlog.clear()

    # The whole state in parts.

    def begin_parts(self, watcher: Watcher, told: int, *, is_new: bool) -> None:
        """Owe the whole state to a watcher, in parts. It is behind until it has them all.

        All who are sent parts at a time get the same ones, which takes the
        memory of one, and are told afterwards what became of it. Who is not
        `is_new` has been told something of the group before, and gets none
        that are older than that.
        """
        if self._parts is None or not (is_new or self._parts[1] == told):
            self._parts = (self._make_parts(), told)
        parts, cursor = self._parts
        self._cursors[watcher] = cursor
        self._outdated.discard(watcher)
        self.backlog.begin(cursor)
        self._receiving[watcher] = iter(parts)

    def is_receiving(self, watcher: Watcher) -> bool:
        return watcher in self._receiving

    def next_part(self, watcher: Watcher) -> bytes | None:
        """The next part for a watcher that takes it. None: it has all that are of use."""
        part = None if watcher in self._outdated else next(self._receiving[watcher], None)
        if part is None:
            self.end_parts(watcher)
        return part

    def end_parts(self, watcher: Watcher) -> None:
        """It is owed no more of them, but what changed since."""
        self._receiving.pop(watcher, None)
        if not self._receiving:
            self._parts = None
