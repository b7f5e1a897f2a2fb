"""Tokens for development: the secret of this machine, and what is signed with it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from streams.errors import DefinitionRefused

SECRET_FILE = Path(".streams/jwt-secret")
"""Where `streams dev` and `streams token` meet."""

_SECRET_BYTES = 32
_MAX_FILE_BYTES = 4096


def development_secret(path: Path = SECRET_FILE) -> str:
    """The secret in the file, made now when there is no file yet.

    The file is for its owner only. Processes that come at once all get the same.

    Raises:
        DefinitionRefused: The file can be neither read nor made, or holds less than 32 bytes.
    """
    try:
        if not path.exists():
            _make(path)
        with path.open("rb") as file:
            secret = file.read(_MAX_FILE_BYTES).decode().strip()
    except OSError as error:
        raise DefinitionRefused(
            f"the secret for tokens in {path} can be neither read nor made: {error.strerror}"
        ) from error
    except UnicodeDecodeError:
        secret = ""
    if len(secret.encode()) < _SECRET_BYTES:
        raise DefinitionRefused(
            f"{path} holds no secret of at least {_SECRET_BYTES} bytes; "
            "delete it, and the next command makes a new one"
        )
    return secret


def signed(claims: Mapping[str, Any], secret: str) -> str:
    """A token with these claims, HS256.

    Raises:
        DefinitionRefused: The secret has less than 32 bytes, or is a key of another kind.
    """
    # Here, and not above: every command loads this file, and only one of them signs.
    import jwt

    from streams.auth.keys import secret_key

    secret_key(secret)
    return jwt.encode(dict(claims), os.fsencode(secret), "HS256")


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written out of sight, readable by us only, and then given its name: nobody reads half of it.
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-") as file:
        file.write(f"{secrets.token_urlsafe(_SECRET_BYTES)}\n")
        file.flush()
        try:
            os.link(file.name, path)
        except FileExistsError:
            # Another process was faster; its secret counts.
            return
