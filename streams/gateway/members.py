"""Who watches one group, or single items of it. Pure."""

from __future__ import annotations

from streams.gateway.watcher import Watcher
from streams.messages import Room


class Members:
    """The watchers of the group as a whole, and of its items."""

    def __init__(self) -> None:
        self.everyone: dict[Watcher, None] = {}
        """Those who watch the whole group, in the order in which they came."""
        self.by_item: dict[str, dict[Watcher, None]] = {}

    def __bool__(self) -> bool:
        return bool(self.everyone or self.by_item)

    def __contains__(self, watcher: Watcher) -> bool:
        return watcher in self.everyone or any(watcher in each for each in self.by_item.values())

    def __len__(self) -> int:
        """The group and its items, each once for every watcher."""
        return len(self.everyone) + sum(map(len, self.by_item.values()))

    def all(self) -> set[Watcher]:
        return set(self.everyone).union(*self.by_item.values())

    def of(self, room: Room) -> dict[Watcher, None]:
        """Those who watch a room as such."""
        return self.everyone if room.id is None else self.by_item.get(room.id, {})

    def add(self, watcher: Watcher, room: Room) -> None:
        watchers = self.everyone if room.id is None else self.by_item.setdefault(room.id, {})
        watchers[watcher] = None

    def discard(self, watcher: Watcher, room: Room) -> None:
        watchers = self.of(room)
        watchers.pop(watcher, None)
        if room.id is not None and not watchers:
            self.by_item.pop(room.id, None)

    def hear(self, item_id: str | None, watcher: Watcher) -> bool:
        """Whether it is told of what is about an item, or about the whole group."""
        return watcher in self.everyone or (item_id is not None and watcher in self.by_item.get(item_id, ()))
