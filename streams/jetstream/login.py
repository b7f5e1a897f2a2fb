"""What nats-py is told so that NATS lets us in: credentials with their files read."""

from __future__ import annotations

import re
import ssl
from typing import Any, NoReturn

from nats.aio.client import RawCredentials

from streams.errors import CredentialsNotUsable
from streams.jetstream.credentials import Credentials, File, Server

MAX_FILE_BYTES = 1_000_000
"""No file with credentials is longer. Whoever names a log by mistake does not wait for it."""

_JWT = re.compile(r"-+BEGIN NATS USER JWT-+\s+([\w.-]+)\s+-+END")
_SEED = re.compile(r"-+BEGIN USER NKEY SEED-+\s+(\w+)\s+-+END")


def login_for(server: Server) -> dict[str, Any]:
    """Options of `nats.connect`. Reads every file now; nothing of it is in an error.

    Raises:
        CredentialsNotUsable: A file cannot be read, or is something else; or a package is missing.
    """
    credentials, login = server.credentials, dict[str, Any]()
    if credentials.user is not None:
        login |= {"user": credentials.user, "password": credentials.password}
    elif credentials.token is not None:
        login |= {"token": credentials.token}
    elif credentials.nkey is not None:
        login |= {"nkeys_seed_str": _seed_in(credentials.nkey)}
    elif credentials.creds is not None:
        login |= {"user_credentials": _creds_in(credentials.creds)}
    if server.wants_tls:
        login |= {"tls": _tls_context(credentials)}
    return login


def _seed_in(path: File) -> str:
    text = _text(path, "nkey seed file")
    # A seed alone, as `nk -gen user` prints it, or one between two lines that say what it is.
    found = _SEED.search(text)
    return _checked(found[1] if found else text.strip(), path, "nkey seed file")


def _creds_in(path: File) -> RawCredentials:
    text = _text(path, ".creds file")
    jwt, seed = _JWT.search(text), _SEED.search(text)
    # nats-py looks for the first of them for ever.
    if jwt is None or seed is None:
        missing = "a user's JWT" if jwt is None else "the seed of a user's nkey"
        raise CredentialsNotUsable(
            f"{path} is no .creds file, it does not hold {missing}; give one that `nsc generate creds` wrote"
        )
    return RawCredentials(
        f"-----BEGIN NATS USER JWT-----\n{jwt[1]}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{_checked(seed[1], path, '.creds file')}\n"
        "------END USER NKEY SEED------\n"
    )


def _checked(seed: str, path: File, what: str) -> str:
    try:
        import nkeys
    except ImportError as error:
        raise CredentialsNotUsable(
            f"the {what} {path} needs the package nkeys: pip install 'realtime-streams[nkeys]'"
        ) from error
    try:
        nkeys.from_seed(bytearray(seed.encode()))
    except (nkeys.NkeysError, ValueError):
        # Without the cause: it may show what was read.
        is_seed = False
    else:
        is_seed = seed.startswith("SU")
    if not is_seed:
        raise CredentialsNotUsable(
            f"the {what} {path} holds no seed of a user's nkey; such a seed is one word that begins with SU"
        )
    return seed


def _text(path: File, what: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        _cannot_read(path, what, error)
    if len(content) > MAX_FILE_BYTES:
        raise CredentialsNotUsable(
            f"{path} is no {what}, it has more than {MAX_FILE_BYTES} bytes; name another one"
        )
    return content.decode("utf-8", "replace")


def _tls_context(credentials: Credentials) -> ssl.SSLContext:
    ca, cert, key = credentials.tls_ca, credentials.tls_cert, credentials.tls_key
    try:
        context = ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise CredentialsNotUsable(
            f"the TLS CA file {ca} holds no certificate in PEM form; name another one"
        ) from error
    except OSError as error:
        _cannot_read(ca, "TLS CA file", error)
    if cert is None:
        return context

    def passphrase() -> NoReturn:
        # Without this, OpenSSL would ask on the terminal, and wait.
        raise CredentialsNotUsable(
            f"the TLS key {key or cert} has a passphrase, which nobody can be asked for; remove it"
        )

    try:
        context.load_cert_chain(cert, key, password=passphrase)
    except ssl.SSLError as error:
        raise CredentialsNotUsable(
            f"the TLS certificate {cert} and the key {key or cert} do not go together, "
            f"or are not in PEM form ({error.reason}); name others"
        ) from error
    except OSError as error:
        for path, what in ((cert, "TLS certificate"), (key, "TLS key")):
            if path is not None:
                _text(path, what)  # Says which of the two it is.
        _cannot_read(cert, "TLS certificate", error)
    return context


def _cannot_read(path: File | None, what: str, error: Exception) -> NoReturn:
    reason = error.strerror if isinstance(error, OSError) else error
    raise CredentialsNotUsable(f"the {what} {path} cannot be read ({reason}); name another one") from error
