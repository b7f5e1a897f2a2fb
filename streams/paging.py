"""Pages of a group: its end, or what came before some item. Pure."""

from __future__ import annotations

from streams.changes import ItemSet
from streams.errors import PreconditionFailed
from streams.keys import address_of


def page(
    stream: str, group: str, items: list[ItemSet], *, last: int | None = None, before: str | None = None
) -> list[ItemSet]:
    """The part of a group's items, which are in order, that was asked for.

    `last` is how many at most, from the end; `before` is an item id, and
    only what was created before that item counts.

    Raises:
        InvalidName: `before` cannot be an item id.
        PreconditionFailed: There is no item `before`.
        ValueError: `last` is not a positive whole number.
    """
    if last is not None and (not isinstance(last, int) or isinstance(last, bool) or last < 1):
        raise ValueError(f"last={last!r} is not a positive whole number")
    if before is not None:
        address = address_of(stream, group, before)
        end = next((index for index, item in enumerate(items) if item.id == before), None)
        if end is None:
            raise PreconditionFailed(address, "is not there, so nothing is known of what came before it")
        items = items[:end]
    return items if last is None else items[-last:]
