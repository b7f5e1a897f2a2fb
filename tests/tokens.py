"""Tokens for tests, and the verifier that takes them."""

from __future__ import annotations

import time
from typing import Any

import jwt

from streams.auth.keys import FixedKeys, secret_key
from streams.auth.tokens import TokenRules, Verifier

SECRET = "a-secret-for-tests-that-is-long-enough-for-hs512-as-well-0123456789"
ISSUER, AUDIENCE = "https://login.example.com", "streams-tests"
RULES = TokenRules(ISSUER, AUDIENCE, leeway_seconds=0)

VERIFIER = Verifier(FixedKeys([secret_key(SECRET)]), RULES)


def token(sub: str = "ann", *, lasts: float = 3600, made: float | None = None, **claims: Any) -> str:
    """A good token of `sub`, made now (or at `made`, in seconds since 1970) for so many seconds."""
    iat = time.time() if made is None else made
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "iat": iat, "exp": iat + lasts, **claims}
    return jwt.encode(said, SECRET, "HS256")
