"""Two keys, the second of which replaces the first, and what comes of the tokens made with them."""

from __future__ import annotations

from streams.auth.jwks import Jwks
from streams.auth.tokens import Verifier
from streams.errors import NotLetIn
from tests.auth.issued import private, token

OLD, NEW = private("P-256", "old"), private("P-256", "new")
OF_OLD, OF_NEW = token(key=OLD, alg="ES256", kid="old"), token(key=NEW, alg="ES256", kid="new")


async def answered(verifier: Verifier, token: str) -> str:
    """Who it is, or why nobody is let in."""
    try:
        return (await verifier.claims(token)).sub
    except NotLetIn as error:
        return error.code


async def settled(jwks: Jwks) -> None:
    """Whatever question was under way is answered."""
    # A key that nobody has: whoever asks for it waits for the question that is there, and asks none too soon.
    await jwks.known("nobody's")
