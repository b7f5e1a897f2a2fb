"""Items that grow: what has come since their last stored versions, and what is told of it. Pure.

A writer sends fragments as ephemeral events (`streams.writer`). Here those of
one turn that follow each other become one, and all since the last stored
version are remembered, so that who joins late sees the whole text, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import orjson

from streams.channels import DRAFT, text_units
from streams.envelope import Envelope

BEGINS = b'{"type":"%s"' % DRAFT.encode()
"""How the event of a writer begins, in JSON text. No client may send such a type."""

MOST_UNITS = 64 * 1024
"""What is remembered of one item's text, in UTF-16 code units. Who joins when it is more waits for the next
stored version."""

MOST_ITEMS = 1000
"""Items of one group of which something is remembered."""


@dataclass(slots=True)
class Draft:
    """A fragment, or several of one turn that follow each other."""

    id: str
    base: int
    """Revision of the stored version that it continues."""
    path: bytes
    """Where in the item, a JSON array; empty: what came after the stored version will not be stored."""
    offset: int
    """Where it begins: in UTF-16 code units of a text, or elements of an array."""
    text: str | None
    value: bytes | None
    """One element of an array, as JSON text."""
    units: int
    """How long it is, in the same units."""

    def follows(self, other: Draft) -> bool:
        """Whether it is a text that begins where the other ends."""
        return (
            self.text is not None
            and other.text is not None
            and (self.id, self.base, self.path) == (other.id, other.base, other.path)
            and self.offset == other.offset + other.units
        )

    def grow(self, later: Draft) -> None:
        """Take in one that follows."""
        assert self.text is not None
        assert later.text is not None
        self.text += later.text
        self.units += later.units

    def told(self, envelope: Envelope, *, is_extended: bool) -> bytes:
        """What a client is told."""
        if not is_extended:
            return envelope.event(
                self.id, b'{"type":"%s","data":%s}' % (DRAFT.encode(), self._data("rev", "at"))
            )
        return envelope.draft(self.id, self._data("base", "offset"))

    def _data(self, base: str, offset: str) -> bytes:
        if not self.path:
            return b'{"%s":%d,"end":true}' % (base.encode(), self.base)
        what = b'"value":%s' % self.value if self.text is None else b'"text":%s' % orjson.dumps(self.text)
        return b'{"%s":%d,"path":%s,"%s":%d,%s}' % (
            base.encode(), self.base, self.path, offset.encode(), self.offset, what,
        )  # fmt: skip


def read_draft(item_id: str | None, event: bytes) -> Draft | None:
    """The draft that an event is. None: it is another event, or none that is understood here."""
    if item_id is None or not event.startswith(BEGINS):
        return None
    match orjson.loads(event).get("data"):
        case {"rev": int(base), "end": True}:
            return Draft(item_id, base, b"", 0, None, None, 0)
        case {"rev": int(base), "path": list(path), "at": int(offset), "text": str(text)}:
            return Draft(item_id, base, orjson.dumps(path), offset, text, None, text_units(text))
        case {"rev": int(base), "path": list(path), "at": int(offset), "value": value}:
            return Draft(item_id, base, orjson.dumps(path), offset, None, orjson.dumps(value), 1)
        case _:
            return None


@dataclass(slots=True)
class _Tail:
    """What came after one item's stored version."""

    base: int
    drafts: dict[bytes, list[Draft]] = field(default_factory=dict)
    """By path, in order. Texts are one each."""
    units: int = 0


class Tails:
    """What came after the stored versions of one group's items."""

    def __init__(self) -> None:
        self._tails: dict[str, _Tail] = {}

    def __len__(self) -> int:
        return len(self._tails)

    def add(self, draft: Draft) -> None:
        """Remember one. What it lacks before it is not known, then it is of no use to who joins late."""
        tail = self._tails.get(draft.id)
        if tail is None or tail.base < draft.base:
            if tail is None and len(self._tails) >= MOST_ITEMS:
                return
            tail = self._tails[draft.id] = _Tail(draft.base)
        if not draft.path:
            del self._tails[draft.id]
            return
        if draft.base < tail.base:
            return
        tail.units += len(draft.value or b"") + draft.units
        if tail.units > MOST_UNITS:
            # Nothing of it, and what comes later has a hole before it.
            tail.drafts.clear()
            return
        own = tail.drafts.setdefault(draft.path, [])
        if own and draft.follows(own[-1]):
            own[-1].grow(draft)
        else:
            # A copy: the other one may grow by what is told in the same turn.
            own.append(replace(draft))

    def stored(self, item_id: str, revision: int) -> None:
        """An item has a new version: what came before it is in it, or is not going to be."""
        tail = self._tails.get(item_id)
        if tail is not None and tail.base < revision:
            del self._tails[item_id]

    def of(self, item_id: str, revision: int) -> Iterator[Draft]:
        """What came after that version of an item."""
        tail = self._tails.get(item_id)
        if tail is not None and tail.base == revision:
            for drafts in tail.drafts.values():
                yield from drafts

    def ids(self) -> list[str]:
        return list(self._tails)

    def clear(self) -> None:
        self._tails.clear()
