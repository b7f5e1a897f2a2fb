"""A client that reads every stamp, answers pings as clients do, and notices what does not come as it must."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.benchmarks.clients import MARK, STAMP_BYTES, Socket, Tally, client_frame, frame_bounds, incoming
from tests.benchmarks.targets import Target

_CLOSE, _PING, _PONG = 0x88, 0x89, 0x8A
"""First bytes of control frames."""


class Seen:
    """What one client saw of every item. Write n is of item n modulo `items`, in the order of n."""

    def __init__(self, items: int, copies: int) -> None:
        self.newest: dict[int, int] = {}
        """By the number of an item, the newest write of it that was shown."""
        self.delivered = 0
        self.skipped = 0
        """Writes that never were shown, but a newer one was. Where a server conflates, that is no fault."""
        self.repeated = 0
        self.disordered = 0
        """Writes that were shown after a newer one of the same item."""
        self.latencies_ns: list[int] = []
        self._items, self._copies = items, copies
        self._times: dict[int, int] = {}

    def know(self, sequence: int) -> None:
        """A state has this write's item."""
        item = sequence % self._items
        if sequence > self.newest.get(item, -1):
            self.newest[item], self._times[item] = sequence, 1

    def see(self, sequence: int, latency_ns: int) -> None:
        """This write was told."""
        item = sequence % self._items
        before = self.newest.get(item)
        if before is None or sequence > before:
            if before is not None:
                self.skipped += (sequence - before) // self._items - 1
            self.newest[item], times = sequence, 1
        elif sequence == before:
            times = self._times[item] + 1
        else:
            self.disordered += 1
            return
        self._times[item] = times
        if times > self._copies:
            self.repeated += 1
        elif times == self._copies:
            self.delivered += 1
            self.latencies_ns.append(latency_ns)


class FollowingSocket(Socket):
    """One client as a page has it. It parses frames, so it is for thousands of messages a second, no more."""

    def __init__(
        self,
        group: str,
        tally: Tally,
        target: Target,
        items: int,
        *,
        further: Sequence[str] = (),
    ) -> None:
        super().__init__(group, tally, target, further=further)
        self.seen = Seen(items, target.copies)
        self.pings = 0
        self.bytes = 0
        """Read since it joined."""
        self.joined_ns = 0
        self._items = items
        self._rest = self._cut = b""

    def again(self) -> FollowingSocket:
        """Another one like it, which is not connected yet."""
        first, *further = self.groups
        return FollowingSocket(first, self.tally, self.target, self._items, further=further)

    def _know(self, state: bytes) -> None:
        self._read(state, None)
        self.joined_ns = time.monotonic_ns()

    def _take(self, nbytes: int) -> None:
        now, received = time.monotonic_ns(), bytes(incoming[:nbytes])
        self.bytes += nbytes
        before = self.seen.delivered
        self._read(received, now)
        if self.seen.delivered > before:
            self.tally.add(self.seen.delivered - before)
        if self.target.is_pinging and (payload := self.target.answer(received)) is not None:
            self.pings += 1
            self.transport.write(client_frame(payload))

    def _read(self, received: bytes, now: int | None) -> None:
        received, start = self._rest + received, 0
        while (frame := frame_bounds(received, start)) is not None:
            payload, end = frame
            if received[start] == _PING:
                self.pings += 1
                self.transport.write(client_frame(received[payload:end], _PONG))
            elif received[start] != _CLOSE:
                self._text(received[payload:end], now)
            start = end
        self._rest = received[start:]

    def _text(self, text: bytes, now: int | None) -> None:
        # NATS cuts its messages where its buffers end, so a stamp may go on in the next frame.
        text = self._cut + text
        start = text.find(MARK)
        while start >= 0 and start + STAMP_BYTES <= len(text):
            sequence = int(text[start + 23 : start + STAMP_BYTES])
            if now is None:
                self.seen.know(sequence)
            else:
                self.seen.see(sequence, now - int(text[start + 2 : start + 22]))
            start = text.find(MARK, start + STAMP_BYTES)
        self._cut = text[start:] if start >= 0 else text[-1:] if text.endswith(b"@") else b""
