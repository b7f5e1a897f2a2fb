"""Commands log in to NATS with options, or with what the environment says."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from streams.dev.nats_server import embedded
from tests.cli.typed import Typed
from tests.core.written_app import App
from tests.store.jetstream.secrets import (
    PASSWORD,
    Authority,
    creds_form,
    nkey_form,
    password_form,
    tls_settings,
)

EVERY_COMMAND = [
    ["ls"],
    ["ls", "todo"],
    ["ls", "todo", "inbox"],
    ["get", "todo", "inbox", "1"],
    ["set", "todo", "inbox", "1", "{}"],
    ["update", "todo", "inbox", "1", "[]"],
    ["send", "todo", "inbox", "typing"],
    ["delete", "todo", "inbox", "1"],
    ["delete", "todo", "inbox", "--yes"],
    ["revoke", "--sub", "ann"],
    ["revoke", "--list"],
]


async def test_every_command_logs_in_as_it_is_told_to(app: App, tmp_path: Path, opened: AsyncExitStack):
    app.stream("todo_stream.py")
    form = creds_form(tmp_path)
    nats = await opened.enter_async_context(embedded(tmp_path / "nats", settings=form.settings))
    streams = Typed(nats.url, "streams")
    right, wrong = ("--creds", str(form.right.creds)), ("--creds", str(form.wrong.creds))

    provisioned = await streams.inside("provision", str(app.folder), *right)
    await streams.inside("set", "todo", "inbox", "1", "{}", *right)
    done = {" ".join(words): await streams.inside(*words, *right) for words in EVERY_COMMAND}
    refused = [await streams.inside(*words, *wrong) for words in (["ls"], ["provision", str(app.folder)])]

    assert provisioned.lines[1].startswith("todo  created")
    assert {words: said for words, said in done.items() if said.code != 0} == {}
    for said in refused:
        assert said.refusal.startswith(f"NATS at {nats.url} refuses the .creds file {form.wrong.creds}")
        assert said.refusal.endswith("or in STREAMS_NATS_TOKEN")


async def test_the_environment_counts_where_no_option_is_given(tmp_path: Path, opened: AsyncExitStack):
    form = password_form(tmp_path)
    nats = await opened.enter_async_context(embedded(tmp_path / "nats", settings=form.settings))
    streams = Typed(nats.url, "streams")

    nobody = await streams.inside("ls", "--json")
    streams.env |= {"STREAMS_NATS_USER": "ann", "STREAMS_NATS_PASSWORD": PASSWORD}

    assert "no credentials are given" in nobody.refusal
    assert (await streams.inside("ls", "--json")).document == []


async def test_an_nkey_and_an_authority_are_options_too(tmp_path: Path, opened: AsyncExitStack):
    authority, form = Authority(tmp_path), nkey_form(tmp_path)
    settings = form.settings + "\n" + tls_settings(authority.certificate("server", "127.0.0.1"))
    nats = await opened.enter_async_context(embedded(tmp_path / "nats", settings=settings))
    streams = Typed(nats.url, "streams")

    said = await streams.inside(
        "ls", "--json", "--nkey", str(form.right.nkey), "--tls-ca", str(authority.file)
    )

    assert said.document == []


async def test_a_password_in_the_address_is_printed_nowhere(tmp_path: Path, opened: AsyncExitStack):
    form = password_form(tmp_path)
    nats = await opened.enter_async_context(embedded(tmp_path / "nats", settings=form.settings))
    host, password = nats.url.removeprefix("nats://"), quote(PASSWORD, safe="")

    let_in = await Typed(f"nats://ann:{password}@{host}", "streams").run("ls")
    refused = await Typed(f"nats://ann:guessed@{host}", "streams").run("ls")
    away = await Typed(f"nats://ann:{password}@127.0.0.1:1", "streams").run("ls")

    assert let_in.err.startswith(f"there are no streams at {nats.url} in namespace")
    assert refused.refusal.startswith(f"NATS at {nats.url} refuses the user 'ann' with a password")
    assert away.refusal.startswith("NATS at nats://127.0.0.1:1 does not answer")
    said = "".join(said.out + said.err for said in (let_in, refused, away))
    assert [secret for secret in (PASSWORD, password, "guessed") if secret in said] == []


@pytest.mark.parametrize(
    "url", ["nats://ann:secret@", "nats://ann:secret@h:port", "ws://ann:secret@127.0.0.1"]
)
def test_nor_is_one_in_an_address_that_cannot_be(streams: Typed, url: str):
    refusal = streams("ls", "--nats", url).refusal

    assert refusal.startswith("--nats '")
    assert "***@" in refusal
    assert "secret" not in refusal


def test_what_is_given_twice_is_refused_before_anything_is_tried(streams: Typed):
    said = streams("ls", STREAMS_NATS_USER="ann", STREAMS_NATS_PASSWORD="pw", STREAMS_NATS_TOKEN="t")

    assert said.refusal == (
        "NATS takes one of these, not all: the user 'ann' with a password, a token; keep one of them"
    )
