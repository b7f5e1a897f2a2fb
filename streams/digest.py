"""What a group holds, in eight bytes: whoever has the same items in the same versions has the same digest.

The digest of a group is the exclusive or of one number for each item, so a
change of one item changes it without a look at the others. The number is
made of what every language has at hand, and of nothing that a browser only
has asynchronously: two CRC-32, of the UTF-8 text `<revision> <id>` forwards
and backwards, each through the finaliser of MurmurHash3. That is there
because a CRC is linear: without it, `1` and `2` would be the same as `0` and `3`.
Two groups that differ have the same digest by chance, once in 2^64. It is no
secret, and keeps nobody from making such groups on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from zlib import crc32


def item_digest(item_id: str, revision: int) -> int:
    """The number of one item in one version."""
    text = b"%d %s" % (revision, item_id.encode())
    return _mixed(crc32(text)) << 32 | _mixed(crc32(text[::-1]))


def digest_text(digest: int) -> str:
    """A digest as clients are told it: 16 hexadecimal digits."""
    return f"{digest:016x}"


class Digest:
    """The digest of items that change, brought up to date when it is asked for."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._value = 0
        self._stale = dict.fromkeys(ids, 0)
        """Items that changed since, with the revisions that are in `_value`. 0: none is."""

    def __len__(self) -> int:
        """How many items have changed since it was asked for."""
        return len(self._stale)

    def note(self, item_id: str, revision: int) -> None:
        """An item is about to change, of which there is this revision; 0: there is none."""
        self._stale.setdefault(item_id, revision)

    def value(self, revision_of: Callable[[str], int]) -> int:
        """What it is now. `revision_of` tells the revision of an item by its id, 0 where there is none."""
        for item_id, before in self._stale.items():
            now = revision_of(item_id)
            for revision in (before, now) if before != now else ():
                if revision:
                    self._value ^= item_digest(item_id, revision)
        self._stale = {}
        return self._value


def _mixed(bits: int) -> int:
    """fmix32 of MurmurHash3, by Austin Appleby, in the public domain."""
    bits ^= bits >> 16
    bits = bits * 0x85EBCA6B & 0xFFFFFFFF
    bits ^= bits >> 13
    bits = bits * 0xC2B2AE35 & 0xFFFFFFFF
    return bits ^ bits >> 16
