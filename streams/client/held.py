"""What a client holds of one group, from frames of the extended dialect alone. Pure: it opens no connection.

A client that was away joins with `since`, the `at` of what it holds, and is
told what changed. Whether it holds then what there is, it need not believe:
the gateway says how many items there are and their digest, then and with
heartbeats. Who holds something else asks for the ids, and drops the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from streams.digest import Digest, digest_text


class Wanted(Enum):
    """What a client has to ask for."""

    NOTHING = "nothing"
    IDS = "ids"
    """It holds something else than there is. Say `ids`."""
    EVERYTHING = "everything"
    """It lacks something that cannot be told by itself. Join again, without `since`."""


class Held:
    """The items of one group, in order, and up to which position they are complete."""

    def __init__(self) -> None:
        self.at: str | None = None
        """What to join with, to be told what changed since. None: there is nothing yet."""
        self.more: bool | None = None
        """Whether there are older items. None: all of them were asked for."""
        self._items: dict[str, tuple[int, Any]] = {}
        self._digest: Digest | None = None
        self._parts: list[tuple[Any, int]] = []
        """Of a `sync` of which not all has come."""

    @property
    def items(self) -> list[Any]:
        """In the order of their creation."""
        return [value for _, value in self._items.values()]

    def revision(self, item_id: str) -> int:
        """0: there is no such item."""
        return self._items.get(item_id, (0, None))[0]

    def take(self, message: Mapping[str, Any]) -> Wanted:
        """Take in a frame about the group, read. What is to be asked for now."""
        event = message["event"]
        match event["type"]:
            case "sync":
                self._sync(event, message.get("at"))
            case "create":
                self._create(event["data"], message["rev"])
            case "update":
                return self._update(event["data"], message["rev"])
            case "delete":
                if self.revision(message["id"]) < message["rev"]:
                    self._drop(message["id"])
            case "resumed":
                return self._resume(event, message["at"])
            case "heartbeat":
                return self._compare(event, message["at"])
            case "ids":
                return self._keep_only(event, message["at"])
            case "page":
                self._put_before(event)
        return Wanted.NOTHING

    def _sync(self, event: Mapping[str, Any], at: str | None) -> None:
        if event.get("part", 1) == 1:
            self._parts = []
        self._parts += zip(event["data"], event["revs"], strict=True)
        if event.get("part", 1) < event.get("parts", 1):
            return
        self._items = {item["id"]: (revision, item) for item, revision in self._parts}
        self.at, self.more = at, event.get("more")
        self._digest, self._parts = None, []

    def _create(self, item: Any, revision: int) -> None:
        if self.revision(item["id"]) < revision:
            # Behind the others, also where one of an earlier life is held.
            self._drop(item["id"])
            self._put(item, revision)

    def _update(self, item: Any, revision: int) -> Wanted:
        held = self.revision(item["id"])
        # Of a group of which only a part is held, others change too.
        if held < revision and (held or self.more is None):
            self._put(item, revision)
        # Of what is not there, the making was lost, and with it its place among the others.
        return Wanted.NOTHING if held or self.more is not None else Wanted.IDS

    def _resume(self, event: Mapping[str, Any], at: str) -> Wanted:
        for item_id in event["delete"]:
            self._drop(item_id)
        revisions = event["revs"]
        for item, revision in zip(event["update"], revisions[len(event["create"]) :], strict=True):
            self._update(item, revision)
        for item, revision in zip(event["create"], revisions, strict=False):
            self._drop(item["id"])
            self._put(item, revision)
        return self._compare(event, at)

    def _compare(self, event: Mapping[str, Any], at: str) -> Wanted:
        if self.more is not None:
            return Wanted.NOTHING
        if self._digest is None:
            self._digest = Digest(self._items)
        digest = digest_text(self._digest.value(self.revision))
        if (event["count"], event["digest"]) != (len(self._items), digest):
            return Wanted.IDS
        self.at = at
        return Wanted.NOTHING

    def _keep_only(self, event: Mapping[str, Any], at: str) -> Wanted:
        there = dict(zip(event["data"], event["revs"], strict=True))
        if any(self.revision(item_id) != revision for item_id, revision in there.items()):
            return Wanted.EVERYTHING
        self._drop_all(self._items.keys() - there.keys())
        self._items = {item_id: self._items[item_id] for item_id in there}
        self.at = at
        return Wanted.NOTHING

    def _put_before(self, event: Mapping[str, Any]) -> None:
        if event["before"] != next(iter(self._items), None):
            # The answer to a question about something that has changed meanwhile.
            return
        page = {
            item["id"]: (revision, item) for item, revision in zip(event["data"], event["revs"], strict=True)
        }
        self._items = page | self._items
        self.more, self._digest = event["more"], None

    def _put(self, item: Any, revision: int) -> None:
        if self._digest is not None:
            self._digest.note(item["id"], self.revision(item["id"]))
        self._items[item["id"]] = (revision, item)

    def _drop(self, item_id: str) -> None:
        if self._digest is not None and item_id in self._items:
            self._digest.note(item_id, self.revision(item_id))
        self._items.pop(item_id, None)

    def _drop_all(self, ids: Iterable[str]) -> None:
        for item_id in list(ids):
            self._drop(item_id)
