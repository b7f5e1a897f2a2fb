"""Whoever runs a deployment: one secret, sent as `Authorization: Bearer <token>`."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from streams.auth.requests import bearer_tokens
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

    def is_meant_by(self, authorizations: Sequence[str]) -> bool:
        """Whether the `Authorization` headers of a request are the operator's. Several never are."""
        tokens = bearer_tokens(authorizations)
        if len(authorizations) != 1 or not tokens:
            return False
        # Of digests, so that the time it takes says nothing of the token, not even how long it is.
        return hmac.compare_digest(_digest(tokens[0].encode("latin-1")), self._digest)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
