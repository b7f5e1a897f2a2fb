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
| STREAMS_OPERATOR_TOKEN | the secret of whoever runs the deployment: `streams resources` serves nobody else |

One that is empty counts as one that is not set. Address and image are options
of commands, which read them by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.jetstream.credentials import Credentials

NATS_URL = "nats://127.0.0.1:4222"

_PREFIX = "STREAMS_NATS_"
_CREDENTIALS = ("user", "password", "token", "nkey", "creds", "tls_ca", "tls_cert", "tls_key")


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
