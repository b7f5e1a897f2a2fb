"""Who we are to NATS, and how we know that it is NATS. Opens no connection and reads no file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from streams.errors import CredentialsNotUsable

File: TypeAlias = str | PathLike[str]

# To the last @: what is not percent-encoded as it should be is no less secret.
_SECRET = re.compile(r"((?:[A-Za-z]+://)?)(.*)@(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What NATS wants to see, in one of four forms, or in none; and what TLS needs beside it.

    Files are read when they are needed, at every connect: they may be renewed meanwhile.
    """

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    nkey: File | None = None
    """File with the seed of a user's nkey."""
    creds: File | None = None
    """`.creds` file: a user's JWT and the seed that goes with it."""
    tls_ca: File | None = None
    """PEM file with the authorities that the server's certificate may be of; None: this machine's."""
    tls_cert: File | None = None
    """PEM file with our own certificate, for a server that wants to see one."""
    tls_key: File | None = None
    """PEM file with the certificate's key; None: it is in the same file."""

    def __post_init__(self) -> None:
        if (self.user is None) != (self.password is None):
            given, missing = ("user", "password") if self.password is None else ("password", "user")
            raise CredentialsNotUsable(f"a {given} for NATS is given without a {missing}; give both")
        forms = self.forms
        if len(forms) > 1:
            raise CredentialsNotUsable(
                f"NATS takes one of these, not all: {', '.join(forms)}; keep one of them"
            )
        if self.tls_key is not None and self.tls_cert is None:
            raise CredentialsNotUsable(
                f"the TLS key {self.tls_key} is of no use without its certificate; give it, too"
            )

    @property
    def forms(self) -> list[str]:
        """What is shown to NATS, in words that may be printed. At most one; empty: nothing."""
        forms = {
            f"the user {self.user!r} with a password": self.user,
            "a token": self.token,
            f"the nkey in {self.nkey}": self.nkey,
            f"the .creds file {self.creds}": self.creds,
        }
        return [words for words, given in forms.items() if given is not None]

    @property
    def names_tls(self) -> bool:
        """TLS is wanted, whatever the server says."""
        return self.tls_ca is not None or self.tls_cert is not None


NOBODY = Credentials()
"""None at all."""


@dataclass(frozen=True, slots=True)
class Server:
    """A NATS server, and how to get in. `server_at` makes it of an address."""

    url: str
    """Its address without a user and a password, so it may be printed."""
    credentials: Credentials

    @property
    def wants_tls(self) -> bool:
        """Nothing may be said to it that is not encrypted."""
        return self.url.startswith("tls://") or self.credentials.names_tls


def server_at(url: str, credentials: Credentials = NOBODY) -> Server:
    """The server of an address such as `nats://HOST:4222`, `tls://USER:PASSWORD@HOST` or `nats://TOKEN@HOST`.

    Raises:
        CredentialsNotUsable: The address names a user or a token, and `credentials` do so, too.
    """
    found = _SECRET.fullmatch(url)
    if found is None:
        return Server(url, credentials)
    scheme, secret, host = found.groups()
    user, colon, password = secret.partition(":")
    if colon:
        credentials = _with(credentials, user=unquote(user), password=unquote(password))
    else:
        credentials = _with(credentials, token=unquote(user))
    return Server(f"{scheme}{host}", credentials)


def is_address(url: str) -> bool:
    """Whether it can be the address of a NATS server."""
    try:
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        return parts.scheme in ("nats", "tls") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def printable(url: str) -> str:
    """An address, or what was meant to be one, without what only NATS may see."""
    return _SECRET.sub(r"\1***@\3", url)


def _with(credentials: Credentials, **secret: str) -> Credentials:
    if credentials.forms:
        raise CredentialsNotUsable(
            f"NATS takes one of these, not all: what its address holds before the @, {credentials.forms[0]}; "
            "keep one of them"
        )
    return replace(credentials, **secret)
