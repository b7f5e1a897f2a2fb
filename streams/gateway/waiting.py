"""What waits to be told of one group, and the form in which each dialect has it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streams.envelope import Envelope
from streams.gateway.backlog import Kind
from streams.gateway.drafts import Draft
from streams.gateway.frames import text_frame
from streams.gateway.watcher import Watcher

SAID_BY = b'{"from":{"session":"'
"""How the event of a client begins, in JSON text. That of a function begins with its type."""


class Waiting(NamedTuple):
    """A frame, before it is written."""

    item_id: str | None
    """What it is about; None: the whole group."""
    frame: bytes
    speaker: str | None
    """The session that it is from, if it is a client's."""
    kind: Kind | None
    """None: an event."""
    revision: int
    time_ms: int
    draft: Draft | None = None
    """What it is to be made of, for each dialect: until it is told, it may grow."""


class Told(NamedTuple):
    """What some sockets are told in one write."""

    watchers: list[Watcher]
    """Each at most once."""
    frames: bytes
    messages: int
    """How many frames these are."""


def forms(pending: list[Waiting], envelope: Envelope) -> dict[bool, list[Waiting]]:
    """What waits as each dialect has it, the extended one by True. Mostly that is the same."""
    if all(each.draft is None for each in pending):
        return {False: pending, True: pending}
    return {way: [_form(each, envelope, is_extended=way) for each in pending] for way in (False, True)}


def _form(waiting: Waiting, envelope: Envelope, *, is_extended: bool) -> Waiting:
    if waiting.draft is None:
        return waiting
    return waiting._replace(frame=text_frame(waiting.draft.told(envelope, is_extended=is_extended)))


def told(watchers: list[Watcher], waiting: Sequence[Waiting]) -> Told:
    """These frames to these watchers."""
    return Told(watchers, b"".join([each.frame for each in waiting]), len(waiting))


def speaker(event: bytes) -> str | None:
    """The session that an event is from; None: a function's."""
    if not event.startswith(SAID_BY):
        return None
    return event[len(SAID_BY) : event.index(b'"', len(SAID_BY))].decode()
