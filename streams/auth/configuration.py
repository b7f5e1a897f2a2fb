"""How tokens are checked here, as whoever runs a process says it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from streams.errors import DefinitionRefused

if TYPE_CHECKING:
    from streams.auth.keys import FixedKeys
    from streams.auth.tokens import TokenRules, Verifier

_MAX_FILE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """Which tokens are accepted: signed with what, from whom, for whom."""

    secret: str | None = field(default=None, repr=False)
    public_key: str | None = None
    """PEM file with one public key or several."""
    jwks_url: str | None = None
    issuer: str | None = None
    audience: str | None = None
    no_audience: bool = False
    """Tokens that were made for another service are accepted too. It must be said."""
    leeway_seconds: float = 10

    @property
    def has_keys(self) -> bool:
        """Whether there is anything to check a token with. If not, every caller is anonymous."""
        return any((self.secret, self.public_key, self.jwks_url))


ANONYMOUS_ONLY = TokenSettings()


def verifier(settings: TokenSettings, *, is_dev: bool) -> AbstractAsyncContextManager[Verifier]:
    """What checks tokens by these settings, for the length of a block.

    Everything that can be wrong with the settings is found before the block
    begins. Only a JWKS URL does anything inside it.

    Raises:
        DefinitionRefused: There are keys of two kinds, a key cannot be used,
            or outside development nobody says whose tokens they are.
    """
    # Here, and not above: who has no tokens needs neither PyJWT nor cryptography.
    from streams.auth.tokens import TokenRules, Verifier

    kinds = [kind for kind, given in _kinds(settings).items() if given]
    if len(kinds) > 1:
        raise DefinitionRefused(
            f"tokens are checked with one of these, not with all: {', '.join(kinds)}; keep one of them"
        )
    rules = TokenRules(settings.issuer, settings.audience, settings.leeway_seconds)
    _check_audience(settings)
    if not settings.has_keys:
        return _opened(Verifier.without_keys())
    if not is_dev:
        _check_whose(settings)
    if settings.jwks_url:
        from streams.auth.jwks import checked_jwks_url

        return _opened_with_jwks(checked_jwks_url(settings.jwks_url), rules)
    return _opened(Verifier(_fixed_keys(settings), rules))


def _kinds(settings: TokenSettings) -> dict[str, str | None]:
    return {
        "a secret (STREAMS_JWT_SECRET)": settings.secret,
        "a file with public keys (--jwt-public-key or STREAMS_JWT_PUBLIC_KEY)": settings.public_key,
        "a JWKS URL (--jwks-url or STREAMS_JWT_JWKS_URL)": settings.jwks_url,
    }


def _check_audience(settings: TokenSettings) -> None:
    if settings.audience and settings.no_audience:
        raise DefinitionRefused(
            f"the audience {settings.audience!r} and --no-audience cannot both be; leave one of them out"
        )


def _check_whose(settings: TokenSettings) -> None:
    if not settings.issuer:
        raise DefinitionRefused(
            "nobody says who makes the tokens; give their `iss` with --issuer or in STREAMS_JWT_ISSUER"
        )
    if not settings.audience and not settings.no_audience:
        raise DefinitionRefused(
            "nobody says for whom the tokens are made; give their `aud` with --audience or in "
            "STREAMS_JWT_AUDIENCE, or say --no-audience to accept those for other services too"
        )


def _fixed_keys(settings: TokenSettings) -> FixedKeys:
    from streams.auth.keys import FixedKeys, pem_keys, secret_key

    if settings.secret:
        return FixedKeys([secret_key(settings.secret)])
    path = Path(settings.public_key or "")
    try:
        with path.open("rb") as file:
            # Whoever names a log by mistake does not wait for it.
            text = file.read(_MAX_FILE_BYTES).decode("ascii", "replace")
        return FixedKeys(pem_keys(text))
    except OSError as error:
        raise DefinitionRefused(f"the public keys in {path} cannot be read: {error.strerror}") from error
    except DefinitionRefused as error:
        raise DefinitionRefused(f"the public keys in {path} cannot be used: {error}") from error


@asynccontextmanager
async def _opened(verifier: Verifier) -> AsyncIterator[Verifier]:
    yield verifier


@asynccontextmanager
async def _opened_with_jwks(url: str, rules: TokenRules) -> AsyncIterator[Verifier]:
    from streams.auth.jwks import Jwks
    from streams.auth.tokens import Verifier

    async with Jwks.kept(url) as keys:
        yield Verifier(keys, rules)
