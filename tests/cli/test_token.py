"""`streams token` makes a token for development, and commands are told which tokens to accept."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from streams.access import Claims
from streams.auth.configuration import TokenSettings
from streams.auth.development import SECRET_FILE, development_secret
from streams.auth.keys import FixedKeys, secret_key
from streams.auth.tokens import TokenRules, Verifier
from streams.cli.tokens import with_token_options
from streams.errors import DefinitionRefused
from tests.auth.issued import SECRET, claims_of
from tests.browser import SECONDS
from tests.cli.typed import Typed

streams = Typed("nats://127.0.0.1:1", "streams")
"""Types commands. There is no server, and none is needed."""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the current one. The environment says nothing of tokens."""
    for name in [name for name in os.environ if name.startswith("STREAMS_JWT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checked(token: str, secret: str, rules: TokenRules | None = None) -> Claims:
    return claims_of(Verifier(FixedKeys([secret_key(secret)]), rules or TokenRules()), token)


def test_a_token_is_printed_alone_and_signed_with_the_secret_of_dev(place: Path):
    said = streams("token", "--sub", "ann")

    found = checked(said.line, development_secret(place / SECRET_FILE))
    assert set(found) == {"sub", "iat", "exp"}
    assert (found.sub, found.exp - found.iat) == ("ann", 3600)
    assert abs(found.iat - time.time()) < SECONDS


def test_the_secret_of_the_environment_counts_when_there_is_one(place: Path):
    said = streams("token", "--sub", "ann", STREAMS_JWT_SECRET=SECRET)

    assert checked(said.line, SECRET).sub == "ann"
    assert os.listdir(place) == []


def test_a_token_says_what_it_is_told_to_say():
    words = ["--claim", "role=admin", "--claim", "level=3", "--claim", 'rooms=["a", "b"]', "--claim", "x=a=b"]
    words += ["--claim", "none=", "--claim", "odd=NaN", "--claims", '{"role": "guest", "team": {"id": 1}}']

    document = streams("token", "--sub", "ann", "--json", *words).document

    assert (
        document["claims"].items()
        >= {
            "role": "admin",
            "level": 3,
            "rooms": ["a", "b"],
            "x": "a=b",
            "none": "",
            "odd": "NaN",
            "team": {"id": 1},
        }.items()
    )
    assert checked(document["token"], development_secret()) == document["claims"]


def test_claims_may_come_from_standard_input():
    said = streams("token", "--sub", "ann", "--claims", "-", "--json", stdin='{"role": "admin"}')

    assert said.document["claims"]["role"] == "admin"


def test_issuer_and_audience_are_those_that_the_gateway_expects():
    environ = {"STREAMS_JWT_SECRET": SECRET, "STREAMS_JWT_ISSUER": "a", "STREAMS_JWT_AUDIENCE": "b"}

    of_environment = streams("token", "--sub", "ann", **environ)
    of_options = streams("token", "--sub", "ann", "--issuer", "c", "--audience", "d", **environ)

    assert checked(of_environment.line, SECRET, TokenRules("a", "b")).sub == "ann"
    assert checked(of_options.line, SECRET, TokenRules("c", "d")).sub == "ann"


def test_a_token_lasts_as_long_as_is_said():
    found = streams("token", "--sub", "ann", "--expires-in", 30, "--json").document["claims"]

    assert found["exp"] - found["iat"] == 30


@pytest.mark.parametrize("seconds", ["0", "-1", "2592001", "soon"])
def test_a_token_lasts_from_a_second_to_30_days(seconds: str):
    said = streams("token", "--sub", "ann", "--expires-in", seconds)

    assert (said.code, said.out) == (2, "")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--claim", "exp=99999999999"], "the claim 'exp' is set by --sub and --expires-in"),
        (["--claim", "iat=1"], "the claim 'iat' is set by"),
        (["--claim", "sub=bob"], "the claim 'sub' is set by"),
        (["--claims", '{"sub": "bob"}'], "the claim 'sub' is set by"),
        (["--claim", "role"], "--claim 'role' is no claim; expected NAME=VALUE, such as role=admin"),
        (["--claim", "=admin"], "--claim '=admin' is no claim"),
        (["--claims", "[]"], '--claims is a JSON object such as \'{"role": "admin"}\', not an array'),
        (["--claims", "{role: 1}"], "--claims is not JSON: Expecting property name"),
        (["--sub", ""], "such a token would be refused: sub '' is empty"),
        (["--sub", "x" * 257], "such a token would be refused: sub 'xxx"),
        (["--sub", "\udcff"], "such a token would be refused: its payload is not JSON"),
        (["--claim", f"more={'x' * 9000}"], "such a token would be refused: it is longer than 8192 bytes"),
        (["--claim", "aud=other", "--audience", "streams"], "such a token would be refused: aud is 'other'"),
    ],
)
def test_a_token_that_nobody_would_accept_is_not_made(words: list[str], problem: str):
    assert streams("token", "--sub", "ann", *words).refusal.startswith(problem)


def test_a_short_secret_is_refused():
    refusal = streams("token", "--sub", "ann", STREAMS_JWT_SECRET="secret").refusal

    assert refusal == (
        "the secret for tokens has 6 bytes, and 32 is the least; make one with `openssl rand -hex 32`"
    )


async def test_a_token_is_made_without_loading_a_web_server():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "importtime", "-m", "streams", "token", "--sub", "ann"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(2 * SECONDS):
        out, err = await process.communicate()

    loaded = {line.rpartition("|")[2].strip() for line in err.decode().splitlines()}
    assert out.count(b".") == 2
    assert "jwt" in loaded
    assert not loaded & {"fastapi", "starlette", "uvicorn", "httpx"}


def test_the_secret_of_dev_is_made_once_and_is_for_its_owner_only(place: Path):
    path = place / "a" / "b" / "secret"
    umask = os.umask(0)
    try:
        made = development_secret(path)
    finally:
        os.umask(umask)

    assert development_secret(path) == made
    assert len(made) == 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["secret"]


async def test_all_who_come_at_once_get_the_same_secret(place: Path):
    program = (
        "import sys; from streams.auth.development import *; print(development_secret(Path(sys.argv[1])))"
    )

    async def found() -> bytes:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, str(place / "new" / "secret")), stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(2 * SECONDS):
            return (await process.communicate())[0]

    secrets = await asyncio.gather(*(found() for _ in range(8)))

    assert len(set(secrets)) == 1
    assert os.listdir(place / "new") == ["secret"]


@pytest.mark.parametrize("held", [b"", b"short\n", b"x" * 31 + b" \n", b"\xff" * 40])
def test_a_file_with_no_secret_in_it_is_refused_and_kept(place: Path, held: bytes):
    path = place / "secret"
    path.write_bytes(held)

    refusal = streams("token", "--sub", "ann", "--secret-file", "secret").refusal

    assert refusal == (
        "secret holds no secret of at least 32 bytes; delete it, and the next command makes a new one"
    )
    assert path.read_bytes() == held


@pytest.mark.parametrize("name", [".", "file/secret"])
def test_where_no_secret_can_be_kept_it_says_so(place: Path, name: str):
    (place / "file").touch()

    with pytest.raises(DefinitionRefused, match="can be neither read nor made: "):
        development_secret(place / name)


def told(*words: str, **environ: str) -> TokenSettings:
    """What a command with these options is called with."""
    app, found = typer.Typer(), list[Any]()

    @app.command()
    @with_token_options
    def command(name: str, tokens: TokenSettings, loud: bool = False) -> None:
        found.extend([name, tokens, loud])

    done = CliRunner(env=environ).invoke(app, ["ann", "--loud", *words], catch_exceptions=False)
    assert (done.exit_code, found[0], found[2]) == (0, "ann", True), done.output
    settings: TokenSettings = found[1]
    return settings


def test_a_command_is_told_which_tokens_to_accept():
    words = ["--jwt-public-key", "a.pem", "--issuer", "b", "--no-audience"]

    assert told() == TokenSettings()
    assert told(*words) == TokenSettings(public_key="a.pem", issuer="b", no_audience=True)
    assert told("--jwks-url", "https://c", "--audience", "d") == TokenSettings(
        jwks_url="https://c", audience="d"
    )


def test_options_on_tokens_count_before_the_environment():
    environ = {"STREAMS_JWT_SECRET": SECRET, "STREAMS_JWT_ISSUER": "a", "STREAMS_JWT_LEEWAY": "5"}

    assert told(**environ) == TokenSettings(secret=SECRET, issuer="a", leeway_seconds=5)
    assert told("--issuer", "b", "--jwks-url", "https://c", **environ) == TokenSettings(
        jwks_url="https://c", issuer="b", leeway_seconds=5
    )
