"""Whether a gateway may be sent new clients: one rule, for load balancers and for those who run it. Pure.

All gateways lose NATS in the same second, as when one of its servers starts
again, and serve the clients that they have all the same. If each said at once
that it is not ready, a load balancer would have nowhere to send anybody. So
what is missing for less than a grace does not count, to a gateway that was ready.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.gateway.revoked import TRUSTED_SECONDS

GRACE_SECONDS = 10.0
"""How long a gateway that was ready stays so without NATS."""

REVOCATIONS_SECONDS = 8.0
"""How old the knowledge of revocations gets while all is well: they are asked for every 5 seconds or so."""

FEEDS_SECONDS = 30.0
"""How old a comparison with the buckets gets while all is well: a loss is found within this time."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What is seen of a gateway at one moment."""

    is_connected: bool
    """Whether the line to NATS stands. One that died without a word still does, and nothing is answered."""
    revocations_seconds: float
    """How long ago it was known last what was revoked, by an answer of NATS."""
    feeds_seconds: float
    """How long ago any bucket was compared with: that one of them cannot be read is no reason to turn away
    the clients of all others. 0: none is watched."""
    is_leaving: bool
    """Whether it is about to end."""


class Health:
    """Whether a gateway is ready, over its life.

    It is not from its start until it is without any grace, and so again
    after each time that a grace was not enough.
    """

    def __init__(self, grace_seconds: float = GRACE_SECONDS) -> None:
        self.grace_seconds = grace_seconds
        self._was_ready = False

    def not_ready(self, signs: Signs) -> list[str]:
        """Why new clients had better go elsewhere; empty: they need not. Words that anybody may read."""
        reasons = self._missing(signs)
        self._was_ready = not reasons
        if signs.is_leaving:
            reasons.append("this gateway is about to end")
        return reasons

    def _missing(self, signs: Signs) -> list[str]:
        grace = self.grace_seconds if self._was_ready else 0.0
        # However long a grace is: above this age nobody is let in.
        longest = min(REVOCATIONS_SECONDS + grace, TRUSTED_SECONDS)
        is_known = signs.revocations_seconds <= longest
        if not signs.is_connected and not (is_known and self._was_ready):
            # The others follow from it.
            return ["NATS is away"]
        reasons = []
        if not is_known:
            reasons.append("it is not known what was revoked")
        if signs.feeds_seconds > FEEDS_SECONDS + grace:
            reasons.append("it is not known whether changes were missed")
        return reasons
