"""Whoever runs a deployment: one secret, sent as `Authorization: Bearer <token>`."""

from __future__ import annotations

import hashlib
import hmac

from streams.errors import DefinitionRefused

MIN_TOKEN_BYTES = 16
"""Shortest operator token. `openssl rand -hex 32` makes a good one."""


class Operator:
    """Knows the operator by the token.

    Raises:
        DefinitionRefused: The token is too short to keep anybody out.
    """

    __slots__ = ("_digest",)

    def __init__(self, token: str) -> None:
        if len(token.encode()) < MIN_TOKEN_BYTES:
            raise DefinitionRefused(
                f"the operator token has {len(token.encode())} bytes, and {MIN_TOKEN_BYTES} is the least; "
                "make one with `openssl rand -hex 32`"
            )
        self._digest = _digest(token.encode())

    def is_meant_by(self, authorization: bytes | None) -> bool:
        """Whether this `Authorization` header (None: there is none) is the operator's."""
        scheme, _, token = (authorization or b"").strip().partition(b" ")
        if scheme.lower() != b"bearer":
            return False
        # Of digests, so that the time it takes says nothing of the token, not even how long it is.
        return hmac.compare_digest(_digest(token.strip()), self._digest)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
