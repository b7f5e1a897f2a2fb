"""An application with rules that is developed, and what its visitors are told."""

from __future__ import annotations

import asyncio
from contextlib import chdir
from pathlib import Path
from textwrap import dedent

import pytest
from typer.testing import CliRunner, Result
from websockets.exceptions import ConnectionClosed, InvalidStatus

from streams.cli.commands import app
from tests.browser import Browser, Tab

AUTH = """
    async def authenticate(request, claims):
        return None if claims is None else {"name": claims.sub, "role": claims.get("role")}
"""
OWN_ROOM = """
    from streams import Stream

    def can_access(subscription, context):
        return context is not None and subscription.group == context["name"]

    room = Stream("room", dict, can_access=can_access)
"""
NEWS = """
    from streams import Stream

    news = Stream("news", dict, public=True)
"""
WHO = """
    from streams import Context, StepConfig, http

    config = StepConfig("Who", [http("GET", "/who")])

    async def handler(context: Context):
        return context.auth
"""
WRITE = """
    from streams import Context, StepConfig, http

    config = StepConfig("Write", [http("POST", "/{stream}/{group}")])

    async def handler(stream: str, group: str, body: dict, context: Context):
        return await context.streams[stream].set(group, "1", body)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An application in which everybody has a room of their own, and all have the news."""
    return written(tmp_path)


def written(project: Path) -> Path:
    write(project, "stream_auth.py", AUTH)
    write(project, "room_stream.py", OWN_ROOM)
    write(project, "news_stream.py", NEWS)
    write(project, "who_step.py", WHO)
    write(project, "write_step.py", WRITE)
    return project


def write(project: Path, path: str, text: str) -> Path:
    file = project / "functions" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text).lstrip("\n"))
    return file


async def token(project: Path, sub: str) -> str:
    """What `streams token` prints there."""
    # In this process: a process of its own takes longer to start than most tests to run. Not in this
    # thread: the command has a loop of its own.
    done = await asyncio.to_thread(_typed, project, "token", "--sub", sub)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def _typed(project: Path, *words: str) -> Result:
    with chdir(project):
        return CliRunner().invoke(app, words, catch_exceptions=False)


async def opened_as(browser: Browser, token: str) -> Tab:
    return await browser.open(additional_headers=bearer(token))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def answer_to_join(tab: Tab, stream: str, group: str) -> str:
    """`sync`, or the code of the refusal."""
    await tab.join(stream, group)
    return await next_answer(tab)


async def next_answer(tab: Tab) -> str:
    event = await tab.next_event()
    if event["type"] == "event" and event["event"]["type"] == "error":
        assert (await tab.next_event())["type"] == "unauthorized"
        code: str = event["event"]["data"]["code"]
        return code
    kind: str = event["type"]
    return kind


async def loses_its_room(tab: Tab) -> bool:
    """Whether it is refused now, or told to come back, whichever of the two is first."""
    try:
        return await next_answer(tab) == "STREAM_ACCESS_DENIED"
    except ConnectionClosed:
        return tab.socket.close_code == 1012


async def status_of_opening(browser: Browser, headers: dict[str, str]) -> int:
    try:
        await browser.open(additional_headers=headers)
    except InvalidStatus as error:
        return error.response.status_code
    return 101
