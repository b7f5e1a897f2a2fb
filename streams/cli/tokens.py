"""Which tokens a command accepts, and `streams token`, which makes one for development."""

from __future__ import annotations

import json as json_module
import os
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeAlias

import typer

from streams.auth.configuration import TokenSettings
from streams.auth.development import SECRET_FILE, development_secret, signed
from streams.cli.arguments import AsJson, json_from
from streams.cli.options import Option, together
from streams.cli.printing import print_json, print_line
from streams.cli.running import CommandRefused, until_done
from streams.errors import NotLetIn
from streams.ops import kind_of
from streams.settings import token_settings

app = typer.Typer()
PANEL = "Tokens"

MAX_DAYS = 30
_RESERVED = ("sub", "iat", "exp")
_CLAIMS = '{"role": "admin"}'


def _text(metavar: str, help: str) -> Any:
    return typer.Option(metavar=metavar, show_default=False, help=help, rich_help_panel=PANEL)


Issuer: TypeAlias = Annotated[
    str | None, _text("TEXT", "Who makes the tokens: exactly their `iss`. Or STREAMS_JWT_ISSUER.")
]
Audience: TypeAlias = Annotated[
    str | None, _text("TEXT", "For whom they are made: among their `aud`. Or STREAMS_JWT_AUDIENCE.")
]

# A secret is for the environment only: what was typed is in the list of processes, for everyone on the
# machine to see.
_OPTIONS = {
    "jwt_public_key": Option(
        Annotated[
            str | None,
            _text(
                "FILE",
                "PEM file with the public keys that tokens are signed with. Or STREAMS_JWT_PUBLIC_KEY, "
                "or STREAMS_JWT_JWKS_URL, or STREAMS_JWT_SECRET.",
            ),
        ]
    ),
    "jwks_url": Option(
        Annotated[str | None, _text("URL", "Where those keys are published. Or STREAMS_JWT_JWKS_URL.")]
    ),
    "issuer": Option(Issuer),
    "audience": Option(Audience),
    "no_audience": Option(
        Annotated[
            bool,
            typer.Option(
                "--no-audience",
                help="Accept tokens whoever they are made for.",
                rich_help_panel=PANEL,
            ),
        ],
        False,
    ),
}


def _settings(jwt_public_key: str | None, **given: Any) -> TokenSettings:
    return token_settings(os.environ, public_key=jwt_public_key, **given)


with_token_options = together("tokens", _OPTIONS, _settings)
"""Gives a command the options on tokens. It is called with the `tokens` (`TokenSettings`) made of them."""


@app.command("token")
def make_token(
    sub: Annotated[str, typer.Option(metavar="USER", show_default=False, help="Who it is for.")],
    claim: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            show_default=False,
            help="Something else that it says. The value is JSON where it can be, else text. "
            "May be given several times.",
        ),
    ] = None,
    claims: Annotated[
        str, typer.Option(metavar="JSON", show_default=False, help="The same at once; - is stdin.")
    ] = "{}",
    expires_in: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, max=MAX_DAYS * 86_400, help="How long it lasts.")
    ] = 3600,
    issuer: Issuer = None,
    audience: Audience = None,
    secret_file: Annotated[
        Path,
        typer.Option(
            help="What it is signed with unless STREAMS_JWT_SECRET is set: "
            "the secret of `streams dev`, which is made when there is none."
        ),
    ] = SECRET_FILE,
    json: AsJson = False,
) -> None:
    """Print a token for development: TOKEN=$(streams token --sub ann)."""
    settings = token_settings(os.environ, issuer=issuer, audience=audience)
    values = _said(claims, claim or [], settings)
    now = int(time.time())
    values |= {"sub": sub, "iat": now, "exp": now + expires_in}
    secret = settings.secret or development_secret(secret_file)
    token = signed(values, secret)
    _check(token, secret, settings)
    if json:
        print_json({"token": token, "claims": values})
    else:
        print_line(token)


def _said(text: str, single: list[str], settings: TokenSettings) -> dict[str, Any]:
    """What the token says beside who and when; what is said last counts."""
    values: dict[str, Any] = {}
    if settings.issuer:
        values["iss"] = settings.issuer
    if settings.audience:
        values["aud"] = settings.audience
    given = json_from(text, "--claims", _CLAIMS)
    if not isinstance(given, dict):
        raise CommandRefused(f"--claims is a JSON object such as '{_CLAIMS}', not {kind_of(given)}")
    given |= dict(map(_claim, single))
    for name in _RESERVED:
        if name in given:
            raise CommandRefused(f"the claim {name!r} is set by --sub and --expires-in, and not as a claim")
    return values | given


def _claim(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise CommandRefused(f"--claim {text!r} is no claim; expected NAME=VALUE, such as role=admin")
    try:
        return name, json_module.loads(value, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return name, value


def _no_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _check(token: str, secret: str, settings: TokenSettings) -> None:
    # Here, and not above: the other commands check no tokens.
    from streams.auth.keys import FixedKeys, secret_key
    from streams.auth.tokens import TokenRules, Verifier

    rules = TokenRules(settings.issuer, settings.audience, settings.leeway_seconds)
    try:
        until_done(Verifier(FixedKeys([secret_key(secret)]), rules).claims(token))
    except NotLetIn as error:
        raise CommandRefused(f"such a token would be refused: {error.reason}") from error
