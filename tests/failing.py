"""A store that does nothing but fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NoReturn

from streams.changes import Change, ItemSet
from streams.keys import Address
from streams.messages import Room
from streams.store import FOREVER, Decide, Delta, Lifetime, Position, Records, Written


class Failing:
    """A `Store` and a `Feed` that raise the same at every call.

    Without an error they fail the test: nobody may touch them.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.calls: list[str] = []

    async def get(self, address: Address) -> ItemSet | None:
        self._fail("get")

    async def get_group(self, stream: str, group: str) -> list[ItemSet]:
        self._fail("get_group")

    async def list_groups(self, stream: str) -> list[str]:
        self._fail("list_groups")

    async def write(
        self, address: Address, decide: Decide, *, lifetime: Lifetime = FOREVER, is_blind: bool = False
    ) -> Written:
        self._fail("write")

    async def delete_group(self, stream: str, group: str) -> int:
        self._fail("delete_group")

    async def send(
        self, stream: str, group: str, item_id: str | None, event: bytes, *, is_awaited: bool = True
    ) -> None:
        self._fail("send")

    def listening(
        self, room: Room, deliver: Callable[[Change], None], lost: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        self._fail("listening")

    async def end(self, stream: str) -> Position:
        self._fail("end")

    async def is_guarded(self, stream: str) -> bool:
        self._fail("is_guarded")

    async def changes(self, room: Room, after: int, at_least: Position) -> Delta:
        self._fail("changes")

    async def changes_of(self, stream: str, rooms: Sequence[Room], after: int, at_least: Position) -> Records:
        self._fail("changes_of")

    async def recent(self, stream: str, after: int, at_least: Position) -> Records | None:
        self._fail("recent")

    def _fail(self, call: str) -> NoReturn:
        self.calls.append(call)
        raise self._error or AssertionError(f"{call} of a store that nobody may touch")
