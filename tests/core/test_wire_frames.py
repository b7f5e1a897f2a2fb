"""The exact frames of `tests/wire/v1/frames.json`: what other releases send and expect, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.envelope import Envelope, timestamp

CORPUS = json.loads((Path(__file__).parents[1] / "wire/v1/frames.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CORPUS["cases"], ids=lambda case: case["name"])
def test_every_frame_is_written_as_it_always_was(case: Any):
    assert _frame(Envelope(CORPUS["stream"], CORPUS["group"]), case["make"]) == case["text"].encode()


def _frame(envelope: Envelope, make: dict[str, Any]) -> bytes:
    stamp = timestamp(make["base"], make["position"]) if "base" in make else 0.0
    match make["kind"]:
        case "group":
            items = [item.encode() for item in make["items"]]
            return envelope.group_sync(items, timestamp=stamp, at=f"{make['epoch']}.{make['position']}")
        case "item":
            item = None if make["item"] is None else make["item"].encode()
            at = f"{make['epoch']}.{make['position']}"
            return envelope.item_sync(make["id"], item, timestamp=stamp, at=at, revision=make["revision"])
        case "extended":
            items = [item.encode() for item in make["items"]]
            part = tuple(make["part"]) if "part" in make else None
            return envelope.extended_sync(
                items, make["revs"], timestamp=stamp, at=make.get("at"), more=make.get("more"), part=part
            )
        case "resumed":
            created, updated = ([item.encode() for item in make[kind]] for kind in ("create", "update"))
            return envelope.resumed(
                created=created,
                updated=updated,
                deleted=make["delete"],
                revisions=make["revs"],
                at=make["at"],
                count=make["count"],
                digest=make["digest"],
            )
        case "heartbeat":
            return envelope.heartbeat(make["id"], at=make["at"], count=make["count"], digest=make["digest"])
        case "ids":
            return envelope.ids(make["ids"], make["revs"], at=make["at"])
        case "page":
            items = [item.encode() for item in make["items"]]
            return envelope.page(items, make["revs"], before=make["before"], more=make["more"])
        case "event":
            return envelope.event(make["id"], make["event"].encode())
        case kind:
            return envelope.changed(
                kind,
                make["id"],
                make["item"].encode(),
                timestamp=stamp,
                revision=make["position"],
                time_ms=make["time"],
            )
