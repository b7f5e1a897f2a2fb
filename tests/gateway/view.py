"""What a client believes, and every rule it could see broken."""

from __future__ import annotations

from typing import Any

import orjson


class View:
    """One room, built from frames alone. Breaking a rule of the protocol raises."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self.revisions: list[int] = []
        """Of every change shown since the last `sync`."""
        self.since = 0
        """The position of the last `sync`."""
        self._newest: dict[str, int] = {}
        self._stamp = 0.0

    def take(self, frame: bytes) -> None:
        message = orjson.loads(frame)
        event, stamp = message["event"], message.get("timestamp", self._stamp)
        match event["type"]:
            case "sync":
                data = event["data"]
                items = data if isinstance(data, list) else [] if data is None else [data]
                position = int(message["at"].partition(".")[2])
                assert stamp >= self._stamp, "a sync that is older than what was sent before it"
                assert len(items) == len({item["id"] for item in items}), "an item twice in a sync"
                self.items = {item["id"]: item for item in items}
                self.since, self.revisions, self._newest = position, [], {}
            case "create" | "update" | "delete" as kind:
                item, revision = event["data"], message["rev"]
                assert item["id"] == message["id"]
                assert revision > self.since, "a change that the sync had in it already"
                assert revision > self._newest.get(item["id"], 0), "an item went backwards, or came twice"
                assert (kind == "create") == (item["id"] not in self.items), (
                    f"{kind} does not fit what is there"
                )
                self._newest[item["id"]] = revision
                self.revisions.append(revision)
                if kind == "delete":
                    del self.items[item["id"]]
                else:
                    self.items[item["id"]] = item
        self._stamp = max(self._stamp, stamp)
