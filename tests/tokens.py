"""Good tokens of a user, and the verifier that takes them. Any others are made by tests/auth/issued.py."""

from __future__ import annotations

import time
from typing import Any

from streams.auth.keys import FixedKeys, secret_key
from streams.auth.tokens import TokenRules, Verifier
from tests.auth import issued
from tests.auth.issued import AUDIENCE, ISSUER, SECRET

VERIFIER = Verifier(FixedKeys([secret_key(SECRET)]), TokenRules(ISSUER, AUDIENCE, leeway_seconds=0))
"""It has no leeway, so that a test need not wait for the end of one."""


def token(sub: str = "ann", *, lasts: float = 3600, made: float | None = None, **claims: Any) -> str:
    """A good token of `sub`, made now (or at `made`, in seconds since 1970) for so many seconds."""
    iat = time.time() if made is None else made
    return issued.token(issued.claims(sub=sub, iat=iat, exp=iat + lasts, **claims))
