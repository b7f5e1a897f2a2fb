"""The frames that say what a group holds, each made when it is needed and kept until something changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streams.changes import ItemSet
from streams.digest import digest_text, item_digest
from streams.envelope import Envelope, timestamp
from streams.gateway.frames import text_frame
from streams.gateway.group import Group, values_of
from streams.gateway.watcher import Watcher
from streams.messages import Room
from streams.store import Position

FEW_BYTES = 64 * 1024
"""Whoever comes back is told what changed where it is not more, however much of the group it is."""

PART_BYTES = 256 * 1024
"""A group that is larger is sent in parts of about this size, each when the one before it was mostly read.
A page holds no more than that either, unless it is a single item."""

MOST_PLAIN_BYTES = 16 * 1024 * 1024
"""A group that is larger is not sent to Motia's clients, who can take it in one piece only."""

MOST_MADE = 16
"""Frames that are kept for one group. Those who come back after a gateway is lost name few positions, and an
application opens its groups with few numbers of newest items."""

_MOST_DIGITS = 19


class GroupTooLarge(Exception):
    """It cannot be sent to a client of the plain dialect."""


class States:
    """The frames of one group. `group` is what it holds now; it was read at least once.

    `grown` is called when more of them are kept than before, or less. What
    shows items raises `ValuesAbsent` where their values are to be read first.
    """

    def __init__(
        self, envelope: Envelope, group: Callable[[], Group], grown: Callable[[], None] = lambda: None
    ) -> None:
        self._envelope, self._group, self._grown = envelope, group, grown
        self._made: dict[object, bytes] = {}
        """What was made of `_of`."""
        self._of: tuple[Position, int] | None = None

    def forget(self) -> None:
        """The items have changed."""
        self._made.clear()
        self._of = None

    @property
    def made_bytes(self) -> int:
        """Of the frames that are kept."""
        return sum(map(len, self._made.values()))

    def of(self, room: Room, watcher: Watcher) -> bytes | None:
        """All that a room holds, as far as a watcher wants it. None: that is to be sent in `parts`.

        Raises:
            GroupTooLarge: It cannot be.
        """
        if room.id is not None:
            return self.item_sync(room.id)
        count = watcher.window(room)
        if count is not None:
            return self.window(count)
        if not watcher.is_extended and self._group().size > MOST_PLAIN_BYTES:
            raise GroupTooLarge
        is_in_parts = watcher.is_extended and self._group().size > PART_BYTES
        return None if is_in_parts else self.sync(is_extended=watcher.is_extended)

    def since(self, at: str) -> bytes | None:
        """What changed in the group after a position that a client names, or all of it with the reason.

        None: all of it is to be sent in `parts`.
        """
        _, position = self._current()
        epoch, _, revision = at.rpartition(".")
        if not (epoch and revision.isascii() and revision.isdecimal() and len(revision) <= _MOST_DIGITS):
            reason = "unknown"
        elif epoch != position.epoch.name:
            reason = "epoch"
        elif int(revision) > position.revision:
            # The bucket has never come so far, or not in its present life.
            reason = "ahead"
        else:
            return self.resumed(int(revision))
        if self._group().size > PART_BYTES:
            return None
        sync = self.sync(is_extended=True)
        stamp = self._timestamp(position)
        return text_frame(self._envelope.moved(sync, timestamp=stamp, at=str(position), reason=reason))

    def sync(self, *, is_extended: bool) -> bytes:
        """All items."""
        group, position = self._current()
        key = ("sync", is_extended)
        if key not in self._made:
            items = group.items()
            values, stamp, at = values_of(items), self._timestamp(position), str(position)
            if is_extended:
                text = self._envelope.extended_sync(values, _revisions(items), timestamp=stamp, at=at)
            else:
                text = self._envelope.group_sync(values, timestamp=stamp, at=at)
            self._keep(key, text)
        return self._made[key]

    def window(self, count: int) -> bytes:
        """The newest items."""
        group, position = self._current()
        key = ("window", count)
        if key not in self._made:
            self._make_room()
            items = _within(group.last(count))
            self._keep(
                key,
                self._envelope.extended_sync(
                    values_of(items),
                    _revisions(items),
                    timestamp=self._timestamp(position),
                    at=str(position),
                    more=len(items) < len(group),
                ),
            )
        return self._made[key]

    def parts(self) -> list[bytes]:
        """All items, in several frames. The last one has the position."""
        group, position = self._current()
        items = group.items()
        values_of(items)
        chunks, size = [list[ItemSet]()], 0
        for item in items:
            if chunks[-1] and size + len(item.value) > PART_BYTES:
                chunks.append([])
                size = 0
            chunks[-1].append(item)
            size += len(item.value)
        stamp, count = self._timestamp(position), len(chunks)
        return [
            text_frame(
                self._envelope.extended_sync(
                    [item.value for item in chunk],
                    _revisions(chunk),
                    timestamp=stamp,
                    at=str(position) if number == count else None,
                    part=(number, count),
                )
            )
            for number, chunk in enumerate(chunks, start=1)
        ]

    def resumed(self, since: int) -> bytes | None:
        """What changed above a revision. None: all of it is to be sent in `parts`, which is less trouble."""
        group, position = self._current()
        key = ("resumed", since)
        if key not in self._made:
            self._make_room()
            change = group.since(since)
            items = change.created + change.updated
            if 2 * len(items) > len(group) and sum(len(item.value) for item in items) > FEW_BYTES:
                return self.sync(is_extended=True) if group.size <= PART_BYTES else None
            self._keep(
                key,
                self._envelope.resumed(
                    created=values_of(change.created),
                    updated=values_of(change.updated),
                    deleted=change.deleted,
                    revisions=_revisions(items),
                    at=str(position),
                    count=len(group),
                    digest=digest_text(group.digest()),
                ),
            )
        return self._made[key]

    def heartbeat(self) -> bytes:
        """The digest of all items."""
        group, position = self._current()
        if "heartbeat" not in self._made:
            digest = digest_text(group.digest())
            text = self._envelope.heartbeat(None, at=str(position), count=len(group), digest=digest)
            self._keep("heartbeat", text)
        return self._made["heartbeat"]

    def ids(self) -> bytes:
        """The ids and revisions of all items."""
        group, position = self._current()
        if "ids" not in self._made:
            items = group.items()
            ids = [item.id for item in items]
            self._keep("ids", self._envelope.ids(ids, _revisions(items), at=str(position)))
        return self._made["ids"]

    def page(self, before: str, count: int) -> bytes | None:
        """The last items before one of the group. None: it has no such item any more."""
        group, _ = self._current()
        item = group.item(before)
        if item is None:
            return None
        items = group.before(item.created, item.id, count + 1)
        page = _within(items[-count:])
        values, more = values_of(page), len(page) < len(items)
        text = self._envelope.page(values, _revisions(page), before=before, more=more)
        return text_frame(text)

    # Of one item, for those who watch it alone. Made anew every time: they are small.

    def item_sync(self, item_id: str) -> bytes:
        """One item, or that there is none."""
        group, position = self._current()
        item = group.item(item_id)
        value, revision = (None, None) if item is None else (values_of([item])[0], item.revision)
        # Not below what the client was told of the item; of others it does not know.
        stamp = timestamp(position.epoch.base_ms, max(position.revision, group.revision_of(item_id)))
        return text_frame(
            self._envelope.item_sync(item_id, value, timestamp=stamp, at=str(position), revision=revision)
        )

    def item_heartbeat(self, item_id: str) -> bytes:
        """The digest of one item."""
        group, position = self._current()
        item = group.item(item_id)
        digest = digest_text(0 if item is None else item_digest(item_id, item.revision))
        count = int(item is not None)
        return text_frame(self._envelope.heartbeat(item_id, at=str(position), count=count, digest=digest))

    def _current(self) -> tuple[Group, Position]:
        group = self._group()
        position = group.position
        assert position is not None, "nothing is said of a group before its first read"
        if self._of != (position, group.newest):
            self._move(position)
            self._of = (position, group.newest)
        return group, position

    def _move(self, position: Position) -> None:
        """Others' writes have moved the position, and left the items as they were."""
        stamp, at = self._timestamp(position), str(position)
        self._made = {
            key: text_frame(self._envelope.moved(made, timestamp=stamp, at=at))
            for key, made in self._made.items()
            if key in _LARGE
        }
        self._grown()

    def _keep(self, key: object, text: bytes) -> None:
        self._made[key] = text_frame(text)
        self._grown()

    def _make_room(self) -> None:
        """Clients choose what these are made for, so they may be any number."""
        if len(self._made) >= MOST_MADE:
            self._made = {key: made for key, made in self._made.items() if key in _LARGE}

    def _timestamp(self, position: Position) -> float:
        # Not below anything that the client was told, or one of Motia's would drop it.
        return timestamp(position.epoch.base_ms, max(position.revision, self._group().newest))


_LARGE = (("sync", False), ("sync", True))
"""What is not made anew where the position alone has moved."""


def _revisions(items: Sequence[ItemSet]) -> list[int]:
    return [item.revision for item in items]


def _within(items: Sequence[ItemSet]) -> list[ItemSet]:
    """The last ones, as many as go into a page, or one."""
    size, page = 0, list[ItemSet]()
    for item in reversed(items):
        size += len(item.value)
        if page and size > PART_BYTES:
            break
        page.append(item)
    return page[::-1]
