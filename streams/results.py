"""What calls of a stream return."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from streams.keys import Address

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Entry(Generic[ItemT]):
    """An item, and what is known of it."""

    value: ItemT
    revision: int
    """Position of its last write in the stream. Grows with every write; `if_revision` takes it."""
    created_at: datetime
    """When it was first written since it was last deleted, by the clock of its writer."""
    updated_at: datetime
    """When it was last written, by the server's clock."""
    expires_at: datetime | None
    """When it vanishes by itself, to the second; None: never."""
    address: Address


@dataclass(frozen=True, slots=True)
class StreamSetResult(Generic[ItemT]):
    """What `set` did."""

    new_value: ItemT
    """The item as it is stored now."""
    old_value: ItemT | None
    """Exactly the item that was replaced. None: there was none, or it no longer fitted the model."""
    revision: int
    """Position of this write in the stream. Grows with every write."""
    address: Address
    """Where the item lives; a client can follow it from here."""


@dataclass(frozen=True, slots=True)
class StreamUpdateResult(Generic[ItemT]):
    """What `update` did."""

    new_value: ItemT | None
    """The item as it is stored now. None: there is none."""
    old_value: ItemT | None
    """Exactly the item that was replaced. None: there was none, or it no longer fitted the model."""
    changed: bool
    """Whether anything was written: an update that changes nothing writes nothing, and nobody is told."""
    revision: int | None
    """Position of this write in the stream; None: nothing was written.

    Updates of one item that meet may become one write, and share its revision.
    """
    address: Address


@dataclass(frozen=True, slots=True)
class StreamDeleteResult(Generic[ItemT]):
    """What `delete` did."""

    old_value: ItemT | None
    """Exactly the item that went. None: there was none, or it no longer fitted the model."""
    address: Address
