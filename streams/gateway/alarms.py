"""Many deadlines, and one timer: what comes at nearly the same time comes together.

A timer of the event loop takes as much memory as all else that a silent
socket needs of ours, and most are set only to be taken back.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
from collections.abc import MutableMapping
from typing import Any, Protocol, TypeAlias

log = logging.getLogger(__name__)

EXACTNESS = 256
"""A deadline may be missed by this part of the time until then, and is never early."""


class Alarmed(Protocol):
    """Who has deadlines, one at a time."""

    def alarm(self) -> None:
        """It is time."""
        ...


Moment: TypeAlias = dict[Alarmed, None]
"""Those whose deadline it is. Who takes itself out has none any more."""


class Alarms:
    """The deadlines of one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._moments: dict[float, Moment] = {}
        """By the loop's clock."""
        self._ahead: list[float] = []
        """The same times, as a heap."""
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of(cls, state: MutableMapping[str, Any]) -> Alarms:
        """Those of a listener, by what it hands to all of its connections."""
        found = state.get("alarms")
        if not isinstance(found, cls):
            found = state["alarms"] = cls()
        return found

    def add(self, who: Alarmed, seconds: float) -> Moment:
        """Wake it after so many seconds, or a little later. Its deadline before is over, or taken back."""
        # A power of two, so that the same moment is the same number whoever computes it.
        step = 2.0 ** math.frexp(seconds / EXACTNESS)[1] / 2
        at = math.ceil((self._loop.time() + seconds) / step) * step
        moment = self._moments.get(at)
        if moment is not None:
            moment[who] = None
            return moment
        moment = self._moments[at] = {who: None}
        heapq.heappush(self._ahead, at)
        if self._ahead[0] == at:
            self._set_timer()
        return moment

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._ahead and not self._moments[self._ahead[0]]:
            # All have taken theirs back, as most do.
            del self._moments[heapq.heappop(self._ahead)]
        if self._ahead:
            self._timer = self._loop.call_at(self._ahead[0], self._ring)

    def _ring(self) -> None:
        now = self._loop.time()
        while self._ahead and self._ahead[0] <= now:
            moment = self._moments.pop(heapq.heappop(self._ahead))
            while moment:
                who, _ = moment.popitem()
                try:
                    who.alarm()
                except Exception:
                    # Of one; the others have theirs.
                    log.exception("what was due could not be done")
        self._set_timer()
