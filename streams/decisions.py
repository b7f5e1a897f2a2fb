"""What a write makes of an item, decided on the item as the store finds it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import orjson

from streams.changes import with_id
from streams.errors import ItemRefused, PreconditionFailed
from streams.items import ItemCodec
from streams.keys import Address
from streams.ops import Op, parse
from streams.store import UNCHANGED, Decide, Present, Unchanged
from streams.updates import MISSING, apply

ItemT = TypeVar("ItemT")

Function: TypeAlias = Callable[[ItemT | None], ItemT | Mapping[str, Any] | None]
Change: TypeAlias = Function[ItemT] | Sequence[Op | Mapping[str, Any]]
"""What `update` takes: a function from the item to the new one, or a list of operations."""


def to_value(value: bytes | None) -> Decide:
    """`value`, whatever there is; None for no item."""
    return lambda _: value


def where(
    address: Address, decide: Decide, *, if_absent: bool = False, if_revision: int | None = None
) -> Decide:
    """What `decide` says, where the item is what the conditions say.

    Raises:
        ItemRefused: The conditions cannot be.
    """
    if if_absent and if_revision is not None:
        raise ItemRefused(address, "`if_absent` and `if_revision` exclude each other")
    if if_revision is not None and (isinstance(if_revision, bool) or not isinstance(if_revision, int)):
        raise ItemRefused(address, f"if_revision={if_revision!r} is not a revision, which is a whole number")
    if not if_absent and if_revision is None:
        return decide

    def decide_there(old: Present | None) -> bytes | Unchanged | None:
        if if_absent and old is not None:
            raise PreconditionFailed(address, "is there already; nothing was written")
        _check_revision(address, old, if_revision)
        return decide(old)

    return decide_there


def by_function(codec: ItemCodec[ItemT], address: Address, change: Function[ItemT]) -> Decide:
    """What `change` makes of the item. It is called with None where there is none."""

    def decide(old: Present | None) -> bytes | Unchanged | None:
        after = change(None if old is None else codec.decode(address, old.value))
        if after is None:
            if old is not None:
                raise ItemRefused(address, "the update returned None; return the item, or call delete")
            return UNCHANGED
        value, _ = codec.encode(address, after)
        # A `dict` item was given its key's id, which need not be in what is stored.
        is_same = old is not None and with_id(address.id, value) == with_id(address.id, old.value)
        return UNCHANGED if is_same else value

    return decide


def by_ops(codec: ItemCodec[ItemT], address: Address, given: Sequence[Op | Mapping[str, Any]]) -> Decide:
    """What operations make of the item.

    Raises:
        OpRefused: One of them can never work.
    """
    parsed = parse(given)

    def decide(old: Present | None) -> bytes | Unchanged | None:
        before = MISSING if old is None else orjson.loads(old.value)
        after = apply(before, parsed)
        if after is MISSING:
            return UNCHANGED
        try:
            value = orjson.dumps(after)
        except TypeError as error:
            raise ItemRefused(address, f"it cannot become JSON: {error}") from error
        if old is not None and value == orjson.dumps(before):
            return UNCHANGED
        codec.accepted(address, value)
        return value

    return decide


def _check_revision(address: Address, old: Present | None, wanted: int | None) -> None:
    if wanted is None or (old is not None and old.revision == wanted):
        return
    if old is None:
        problem = f"is not there, and not at revision {wanted}"
    elif old.revision is None:
        problem = f"has just been changed, and is no longer at revision {wanted}"
    else:
        problem = f"is at revision {old.revision}, not {wanted}"
    raise PreconditionFailed(address, f"{problem}; nothing was written")
