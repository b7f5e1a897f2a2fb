"""The todos that tests write to a stream, and what its watchers hear of them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from streams.memory import MemoryStore
from streams.messages import Room


class Todo(BaseModel):
    id: str
    text: str
    done: bool = False


def milk(item_id: str = "1", **changed: Any) -> Todo:
    return Todo(id=item_id, text="Milk").model_copy(update=changed)


def finished(item: Todo | None) -> Todo | None:
    return item and item.model_copy(update={"done": True})


async def heard(store: MemoryStore, group: str, doing: Any) -> list[Any]:
    """What who watches `group` hears while something is done."""
    changes: list[Any] = []
    async with store.listening(Room("todo", group), changes.append, lambda: None):
        await doing
    return changes
