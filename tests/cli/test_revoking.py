"""`streams revoke` lets tokens count no more."""

from __future__ import annotations

import re
import time

import pytest

from streams.auth.revocations import Revocation, revocations, revoke
from streams.jetstream.binding import connected
from tests.cli.typed import Typed
from tests.core.written_app import App

AT = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"


@pytest.fixture
def provisioned(streams: Typed, app: App) -> Typed:
    """Types commands. The bucket of the revocations is there."""
    assert streams("provision", app.folder).code == 0
    return streams


@pytest.mark.parametrize(
    ("options", "said", "listed"),
    [
        (["--sub", "ann"], f"tokens of ann made before {AT} do not count any more", "ann"),
        (
            ["--stream", "todo"],
            f"tokens made before {AT} do not count any more in todo; without one, nobody gets in there",
            "everybody in todo",
        ),
        (
            ["--stream", "todo", "--group", "in box "],
            f'tokens made before {AT} do not count any more in todo/"in box "; '
            "without one, nobody gets in there",
            'everybody in todo/"in box "',
        ),
        (
            ["--sub", "a\nb", "--stream", "chat", "--group", "room 1/a"],
            f'tokens of "a\\\\nb" made before {AT} do not count any more in chat/room 1/a',
            r'"a\nb" in chat/room 1/a',
        ),
    ],
    ids=["user", "stream", "group", "user in a group"],
)
def test_what_holds_from_now_on_is_said_and_listed_until_it_is_taken_back(
    provisioned: Typed, options: list[str], said: str, listed: str
):
    assert re.fullmatch(said, provisioned("revoke", *options).line)
    assert re.fullmatch(f"{re.escape(listed)}  tokens made before {AT}", provisioned("revoke", "--list").line)

    assert " count again" in provisioned("revoke", *options, "--undo").line
    assert " were not revoked" in provisioned("revoke", *options, "--undo").line
    assert provisioned("revoke", "--list").err == "nothing is revoked\n"


def test_revocations_are_told_as_json(provisioned: Typed):
    began = time.time()
    ann = provisioned("revoke", "--sub", "ann", "--json").document
    room = provisioned("revoke", "--stream", "chat", "--group", "room", "--json").document

    assert ann == {"sub": "ann", "stream": None, "group": None, "not_before": ann["not_before"]}
    assert began <= ann["not_before"] <= room["not_before"] <= time.time()
    assert provisioned("revoke", "--list", "--json").document == [ann, room]
    assert provisioned("revoke", "--sub", "ann", "--undo", "--json").document == {
        "sub": "ann",
        "stream": None,
        "group": None,
        "was_revoked": True,
    }


async def test_one_that_says_a_later_moment_is_kept_and_shown(provisioned: Typed):
    url, namespace = provisioned.env["STREAMS_NATS_URL"], provisioned.env["STREAMS_NAMESPACE"]
    async with connected(url, namespace=namespace) as store:
        # In milliseconds, which is a year that no calendar knows.
        far = await revoke(store, Revocation("ann", None, None, 1.8e12))

        said = await provisioned.inside("revoke", "--sub", "ann")

        assert said.line == "tokens of ann made before second 1.8e+12 since 1970 do not count any more"
        assert await revocations(store) == [far]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "name whose tokens are meant: --sub USER, --stream STREAM, or --stream STREAM --group GROUP; "),
        (["--undo"], "name whose tokens are meant: "),
        (["--group", "inbox"], "name whose tokens are meant: "),
        (["--sub", "ann", "--group", "inbox"], "group 'inbox' is of no stream; name the stream too"),
        (["--sub", ""], "user '' is empty; give it at least one character"),
        (["--stream", "no stream"], "stream name 'no stream' must start with a letter"),
        (["--stream", "revoked"], "stream name 'revoked' is reserved; choose another"),
        (["--list", "--sub", "ann"], "--list prints everything that is revoked; give it alone"),
        (["--list", "--undo"], "--list prints everything that is revoked; give it alone"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_names_nobody_is_refused(streams: Typed, options: list[str], sentence: str):
    assert streams("revoke", *options).refusal.startswith(sentence)


@pytest.mark.parametrize("options", [["--sub", "ann"], ["--sub", "ann", "--undo"], ["--list"]], ids=" ".join)
def test_where_nothing_was_provisioned_it_says_how(streams: Typed, options: list[str]):
    namespace = streams.env["STREAMS_NAMESPACE"]

    assert streams("revoke", *options).refusal == (
        f"namespace {namespace!r} has no bucket for what is revoked; run `streams provision` first"
    )
