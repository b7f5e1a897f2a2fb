"""What the environment says. Only what starts a process reads it, never the library.

| variable | what |
|---|---|
| STREAMS_NATS_URL | the address of NATS, `nats://HOST:PORT` or `tls://HOST:PORT` |
| STREAMS_NATS_USER, STREAMS_NATS_PASSWORD | a user and a password |
| STREAMS_NATS_TOKEN | a token |
| STREAMS_NATS_NKEY | file with the seed of a user's nkey |
| STREAMS_NATS_CREDS | `.creds` file |
| STREAMS_NATS_TLS_CA | PEM file with the authorities that the server's certificate may come from |
| STREAMS_NATS_TLS_CERT, STREAMS_NATS_TLS_KEY | PEM files with our own certificate and its key |
| STREAMS_NATS_IMAGE | image of the container of `streams dev --nats container` |
| STREAMS_JWT_SECRET | the secret that tokens are signed with, 32 bytes or more |
| STREAMS_JWT_PUBLIC_KEY | in its place, PEM file with the public keys that they are signed with |
| STREAMS_JWT_JWKS_URL | in its place, where these public keys are published |
| STREAMS_JWT_ISSUER, STREAMS_JWT_AUDIENCE | what `iss` and `aud` of a token must be |
| STREAMS_JWT_LEEWAY | seconds that clocks may differ by, 0 to 60; 10 when it is not set |
| STREAMS_OPERATOR_TOKEN | the secret of whoever runs the deployment, who may write items over HTTP |
| PORT | where `streams functions` listens, as hosts of containers say it |

One that is empty counts as one that is not set. Address and image are options
of commands, which read them by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.auth.configuration import TokenSettings
from streams.errors import DefinitionRefused
from streams.jetstream.credentials import Credentials

NATS_URL = "nats://127.0.0.1:4222"

_PREFIX = "STREAMS_NATS_"
_CREDENTIALS = ("user", "password", "token", "nkey", "creds", "tls_ca", "tls_cert", "tls_key")
_TOKEN_KEYS = ("secret", "public_key", "jwks_url")


def operator_token(environ: Mapping[str, str]) -> str | None:
    """The operator's secret, where one is set."""
    return environ.get("STREAMS_OPERATOR_TOKEN") or None


def nats_credentials(environ: Mapping[str, str], **given: str | None) -> Credentials:
    """Credentials from the environment, and from options that count in its place.

    With an option that says who we are (`nkey`, `creds`), whatever the
    environment says of that does not count; with `tls_cert`, its key.

    Raises:
        CredentialsNotUsable: They are given twice, or by half.
    """
    options = {name: value for name, value in given.items() if value is not None}
    found = {name: environ.get(_PREFIX + name.upper()) or None for name in _CREDENTIALS}
    if "nkey" in options or "creds" in options:
        found |= dict.fromkeys(("user", "password", "token", "nkey", "creds"))
    if "tls_cert" in options:
        found["tls_key"] = None
    return Credentials(**(found | options))


def token_settings(
    environ: Mapping[str, str],
    *,
    public_key: str | None = None,
    jwks_url: str | None = None,
    issuer: str | None = None,
    audience: str | None = None,
    no_audience: bool = False,
) -> TokenSettings:
    """How tokens are checked, from the environment, and from options that count in its place.

    With an option that says where keys are, whatever the environment says of
    keys does not count; with `no_audience`, its audience.

    Raises:
        DefinitionRefused: STREAMS_JWT_LEEWAY is no number.
    """
    found = {name: environ.get(f"STREAMS_JWT_{name.upper()}") or None for name in _TOKEN_KEYS}
    if public_key or jwks_url:
        found = {"public_key": public_key, "jwks_url": jwks_url}
    if not audience and not no_audience:
        audience = environ.get("STREAMS_JWT_AUDIENCE")
    return TokenSettings(
        **found,
        issuer=issuer or environ.get("STREAMS_JWT_ISSUER") or None,
        audience=audience or None,
        no_audience=no_audience,
        leeway_seconds=_leeway_seconds(environ.get("STREAMS_JWT_LEEWAY")),
    )


def _leeway_seconds(text: str | None) -> float:
    try:
        return float(text or 10)
    except ValueError:
        raise DefinitionRefused(
            f"STREAMS_JWT_LEEWAY={text!r} is not a number of seconds; unset it to use 10"
        ) from None
