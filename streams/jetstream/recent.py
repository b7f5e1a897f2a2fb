"""What this process wrote last. It saves reads, and shows when a replica is behind."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from math import inf

from streams.folding import Held
from streams.jetstream.writers import NOBODY, Writers
from streams.keys import Address

log = logging.getLogger(__name__)

MAX_ITEMS = 4096
MAX_BYTES = 16 * 1024 * 1024
"""Bounds of the items that are kept. What is not kept any more costs a read."""

MAX_REVISIONS = 50_000
"""Keys of which the last own revision is known. Reads of others ask a replica that knows all of them."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a key holds."""

    item: Held | None
    revision: int
    """Of its newest record, which may be a marker; 0: it has none."""
    writers: Writers
    written_at: float = -inf
    """When this process wrote it, by a clock that only counts."""
    took_seconds: float = 0.0
    """How long that took, from the decision to the answer."""
    streak: int = 0
    """Own writes one close upon the other without a look at what the key holds, this one included."""
    rival_at: float = -inf
    """When this process last saw that another one writes the key."""


NOTHING = Known(None, 0, NOBODY)


class Recent:
    """The items and revisions that this process wrote last."""

    def __init__(self) -> None:
        self._items: OrderedDict[Address, Known] = OrderedDict()
        self._bytes = 0
        # Of those that are not among the items any more.
        self._revisions: OrderedDict[Address, int] = OrderedDict()
        self._highest: dict[str, int] = {}
        self._forgotten: dict[str, int] = {}

    def remember(self, address: Address, known: Known) -> None:
        """`known` was written by this process, and acknowledged."""
        before = self._items.pop(address, None)
        self._items[address] = known
        self._bytes += _size(known) - _size(before)
        if known.revision > self._highest.get(address.stream, 0):
            self._highest[address.stream] = known.revision
        while len(self._items) > MAX_ITEMS or self._bytes > MAX_BYTES:
            self.forget(next(iter(self._items)))

    def last(self, address: Address) -> Known | None:
        """What this process wrote last. Another may have written since."""
        return self._items.get(address)

    def forget(self, address: Address) -> None:
        """Somebody else has written this item: only the revision still says something."""
        known = self._items.pop(address, None)
        if known is None:
            return
        self._bytes -= _size(known)
        self._revisions.pop(address, None)
        self._revisions[address] = known.revision
        if len(self._revisions) > MAX_REVISIONS:
            gone, revision = self._revisions.popitem(last=False)
            self._forgotten[gone.stream] = max(revision, self._forgotten.get(gone.stream, 0))

    def revision(self, address: Address) -> int:
        """An item that is read is older than what this process wrote when its revision is below this."""
        known = self._items.get(address)
        if known is not None:
            return known.revision
        return self._revisions.get(address, self._forgotten.get(address.stream, 0))

    def highest(self, stream: str) -> int:
        """A group that is read must be complete at least up to this."""
        return self._highest.get(stream, 0)

    def set_back(self, stream: str, end: int) -> None:
        """The bucket has lost what this process wrote after `end`, or is another one."""
        log.warning("the bucket was set back; reading what there is stream=%s end=%d", stream, end)
        for address in [address for address in self._items if address.stream == stream]:
            self._bytes -= _size(self._items.pop(address))
        for address in [address for address in self._revisions if address.stream == stream]:
            del self._revisions[address]
        self._forgotten.pop(stream, None)
        self._highest[stream] = end


def _size(known: Known | None) -> int:
    return 0 if known is None or known.item is None else len(known.item.value)
