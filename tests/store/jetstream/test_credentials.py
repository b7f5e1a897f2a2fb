"""Every way to be let in by NATS: the right one gets in, a wrong one is refused at once, nothing is told."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from streams import StoreUnavailable, Stream, connected
from streams.dev.nats_server import NatsServer, embedded
from streams.errors import CredentialsNotUsable, CredentialsRefused
from streams.jetstream import connection as module
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.jetstream.credentials import Credentials, File
from streams.keys import Namespace
from tests.browser import SECONDS
from tests.store.jetstream.secrets import FORMS, PASSWORD, Form, Key, creds, password_form, written

todo = Stream("todo", dict)


@pytest.fixture(params=list(FORMS))
def form(request: pytest.FixtureRequest, tmp_path: Path) -> Form:
    """Each way in turn."""
    made: Form = FORMS[request.param](tmp_path)
    return made


@pytest.fixture
async def guarded(form: Form, tmp_path: Path, opened: AsyncExitStack) -> NatsServer:
    """A server that lets nobody in without."""
    return await opened.enter_async_context(embedded(tmp_path / "nats", settings=form.settings))


async def test_who_has_them_reads_and_writes(guarded: NatsServer, form: Form):
    async with connected_to(guarded.url, credentials=form.right) as connection:
        await provision(connection, Namespace(), "todo")

    async with connected(guarded.url, credentials=form.right):
        await todo.set("inbox", "1", {"text": "Milk"})
        assert await todo.get("inbox", "1") == {"id": "1", "text": "Milk"}


async def test_who_shows_others_is_refused_at_once(guarded: NatsServer, form: Form):
    before = time.monotonic()

    with pytest.raises(CredentialsRefused, match=f"NATS at {guarded.url} refuses ") as refused:
        async with connected_to(guarded.url, credentials=form.wrong):
            pass

    # Not after the time that a server has that does not answer.
    assert time.monotonic() - before < module.CONNECT_SECONDS / 2
    assert form.wrong.forms[0] in str(refused.value)


async def test_who_shows_nothing_is_told_what_could_be_shown(guarded: NatsServer):
    with pytest.raises(
        CredentialsRefused, match="no credentials are given; give a user and a password, a token"
    ):
        async with connected_to(guarded.url):
            pass


async def test_they_are_shown_again_when_the_server_comes_back(guarded: NatsServer, form: Form):
    async with connected_to(guarded.url, credentials=form.right) as connection:
        await provision(connection, Namespace(), "todo")
    async with connected(guarded.url, credentials=form.right):
        await todo.set("inbox", "1", {"text": "Milk"})

        guarded.kill()
        await guarded.restart()

        async with asyncio.timeout(SECONDS):
            assert await todo.get("inbox", "1") == {"id": "1", "text": "Milk"}


async def test_no_error_no_log_and_no_repr_tells_them(
    guarded: NatsServer, form: Form, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    told: list[object] = [repr(form.right), repr(form.wrong)]
    with pytest.raises(CredentialsRefused) as refused:
        async with connected_to(guarded.url, credentials=form.wrong):
            pass
    async with connected_to(guarded.url, credentials=form.right) as connection:
        guarded.kill()
        await guarded.restart()
        await connection.request("$JS.API.INFO")
        told += [connection.url, vars(connection)]

    told += [repr(error) for error in (refused.value, refused.value.__cause__)]
    told += [record.getMessage() for record in caplog.records]
    assert [secret for secret in form.secrets if secret in "\n".join(map(str, told))] == []


@pytest.mark.parametrize("address", ["nats://{user}:{password}@{host}", "{user}:{password}@{host}"])
async def test_a_user_and_a_password_may_be_in_the_address(tmp_path: Path, address: str):
    form = password_form(tmp_path)
    async with embedded(tmp_path / "nats", settings=form.settings) as nats:
        host = nats.url.removeprefix("nats://")
        url = address.format(user="ann", password=quote(PASSWORD, safe=""), host=host)

        async with connected_to(url) as connection:
            assert connection.url.removeprefix("nats://") == host
            nats.kill()
            await nats.restart()
            async with asyncio.timeout(SECONDS):
                await connection.request("$JS.API.INFO")


async def test_a_token_may_be_in_the_address(tmp_path: Path):
    async with embedded(tmp_path, settings='authorization { token: "a:b" }') as nats:
        async with connected_to(nats.url.replace("//", "//a%3Ab@")) as connection:
            await connection.request("$JS.API.INFO")

        with pytest.raises(CredentialsRefused) as refused:
            async with connected_to(nats.url.replace("//", "//guessed@")):
                pass
        assert "guessed" not in str(refused.value)


async def test_a_server_that_is_away_is_named_without_what_its_address_holds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.2)

    with pytest.raises(StoreUnavailable) as away:
        async with connected_to(f"nats://ann:{PASSWORD}@127.0.0.1:1"):
            pass

    assert str(away.value).startswith("NATS at nats://127.0.0.1:1 does not answer")


async def test_who_is_shut_out_while_connected_tries_on_until_let_in_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(module, "CONNECT_SECONDS", 1.0)
    caplog.set_level(logging.INFO)
    form, users = password_form(tmp_path), tmp_path / "users.conf"
    written(users, form.settings)
    # An included file is looked for beside the one that includes it, however deep that is.
    included = f'include "{"../" * 20}{users}"'
    async with embedded(tmp_path / "nats", settings=included) as nats:
        async with connected_to(nats.url, credentials=form.right) as connection:
            written(users, form.settings.replace("ann", "bob"))
            os.kill(nats.pid, signal.SIGHUP)
            async with asyncio.timeout(SECONDS):
                while "cannot connect again, trying on" not in caplog.text:
                    await asyncio.sleep(0.01)

            with pytest.raises(StoreUnavailable, match=r"cannot be reached .*refuses the user 'ann'"):
                await connection.request("$JS.API.INFO")

            written(users, form.settings)
            os.kill(nats.pid, signal.SIGHUP)
            async with asyncio.timeout(SECONDS):
                while "connected again" not in caplog.text:
                    await asyncio.sleep(0.01)
            await connection.request("$JS.API.INFO")
        assert PASSWORD not in caplog.text


async def test_files_that_are_renewed_while_connected_are_read_again(tmp_path: Path):
    form = FORMS["nkey"](tmp_path)
    changing = written(tmp_path / "changing.nk", form.secrets[0])
    async with (
        embedded(tmp_path / "nats", settings=form.settings) as nats,
        connected_to(nats.url, credentials=Credentials(nkey=changing)) as connection,
    ):
        nats.kill()
        changing.unlink()
        await nats.restart()
        written(changing, form.secrets[0])

        async with asyncio.timeout(SECONDS):
            await connection.request("$JS.API.INFO")


@pytest.mark.parametrize("kind", ["nkey", "creds", "tls_ca", "tls_cert"])
async def test_a_file_that_is_not_there_is_named_before_anything_is_tried(tmp_path: Path, kind: str):
    with pytest.raises(
        CredentialsNotUsable, match=r"nowhere cannot be read \(No such file or directory\); name another"
    ):
        async with connected_to(
            "nats://127.0.0.1:1", credentials=Credentials(**{kind: tmp_path / "nowhere"})
        ):
            pass


@pytest.mark.parametrize("kind", ["nkey", "creds", "tls_ca", "tls_cert"])
@pytest.mark.parametrize("content", ["", "SUnotAseed", "password: hunter2\n" * 3, "\0\xff"])
async def test_a_file_that_is_something_else_is_named_and_not_shown(tmp_path: Path, kind: str, content: str):
    file = written(tmp_path / "other", content)

    with pytest.raises(CredentialsNotUsable, match=str(file)) as refused:
        async with connected_to("nats://127.0.0.1:1", credentials=Credentials(**{kind: file})):
            pass

    assert not content.strip() or content.strip() not in str(refused.value)


async def test_a_file_without_end_is_not_read_to_its_end():
    with pytest.raises(CredentialsNotUsable, match="has more than 1000000 bytes"):
        async with connected_to("nats://127.0.0.1:1", credentials=Credentials(creds="/dev/zero")):
            pass


async def test_creds_without_the_seed_are_refused(tmp_path: Path):
    half = written(tmp_path / "half.creds", creds("a.b.c", Key("user")).partition("****")[0])

    with pytest.raises(CredentialsNotUsable, match="does not hold the seed of a user's nkey"):
        async with connected_to("nats://127.0.0.1:1", credentials=Credentials(creds=half)):
            pass


async def test_creds_with_the_line_ends_of_windows_get_in(tmp_path: Path):
    form = FORMS["creds"](tmp_path)
    file = written_for_windows(form.right.creds)

    async with (
        embedded(tmp_path / "nats", settings=form.settings) as nats,
        connected_to(nats.url, credentials=Credentials(creds=file)) as connection,
    ):
        await connection.request("$JS.API.INFO")


async def test_the_missing_package_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    form = FORMS["nkey"](tmp_path)
    monkeypatch.setitem(sys.modules, "nkeys", None)

    with pytest.raises(CredentialsNotUsable, match=r"pip install 'realtime-streams\[nkeys\]'"):
        async with connected_to("nats://127.0.0.1:1", credentials=form.right):
            pass


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"user": "ann"}, "a user for NATS is given without a password"),
        ({"password": "x"}, "a password for NATS is given without a user"),
        ({"user": "ann", "password": "x", "token": "t"}, "the user 'ann' with a password, a token"),
        ({"creds": "a.creds", "nkey": "a.nk"}, "the nkey in a.nk, the .creds file a.creds"),
        ({"tls_key": "a.key"}, "the TLS key a.key is of no use without its certificate"),
    ],
)
def test_what_is_given_twice_or_by_half_is_refused(given: dict[str, str], problem: str):
    with pytest.raises(CredentialsNotUsable, match=problem) as refused:
        Credentials(**given)

    assert "keep one of them" in str(refused.value) or "give" in str(refused.value)


async def test_an_address_that_holds_what_the_credentials_say_too_is_refused():
    with pytest.raises(CredentialsNotUsable, match="what its address holds before the @, a token"):
        async with connected_to("nats://ann:pw@127.0.0.1:1", credentials=Credentials(token="t")):
            pass


def test_tls_goes_with_each_of_them():
    tls = Credentials(tls_ca="ca.pem", tls_cert="us.pem", tls_key="us.key")

    assert replace(tls, token="t").forms == ["a token"]
    assert replace(tls, nkey="a.nk").names_tls


def written_for_windows(file: File | None) -> Path:
    assert file is not None
    path = Path(file)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    return path
