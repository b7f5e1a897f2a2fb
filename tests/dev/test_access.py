"""Who gets in while an application is developed: `streams dev`, `streams token`, `streams revoke`."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.browser import Browser, Tab
from tests.dev.commands import Dev, developing, free_port, running

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
    write(tmp_path, "stream_auth.py", AUTH)
    write(tmp_path, "room_stream.py", OWN_ROOM)
    write(tmp_path, "news_stream.py", NEWS)
    write(tmp_path, "who_step.py", WHO)
    write(tmp_path, "write_step.py", WRITE)
    return tmp_path


def write(project: Path, path: str, text: str) -> Path:
    file = project / "functions" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text).lstrip("\n"))
    return file


async def token(project: Path, sub: str, *options: str) -> str:
    """What `streams token` prints there."""
    async with running("token", "--sub", sub, *options, cwd=project) as command:
        return (await command.says("ey")).strip()


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


async def test_a_guarded_stream_is_for_those_whom_its_rule_lets_and_an_open_one_for_all(
    project: Path, opened
):
    async with developing(project) as dev:
        browser = Browser(dev.socket_url, opened)
        nobody, ann = await browser.open(), await opened_as(browser, await token(project, "ann"))

        assert await answer_to_join(nobody, "room", "ann") == "STREAM_ACCESS_DENIED"
        assert await answer_to_join(nobody, "news", "today") == "sync"
        assert await answer_to_join(ann, "room", "bob") == "STREAM_ACCESS_DENIED"
        assert await answer_to_join(ann, "room", "ann") == "sync"


async def test_a_token_that_is_not_good_opens_nothing(project: Path, opened):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        good = await token(project, "ann")
        bad = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")

        assert await status_of_opening(Browser(dev.socket_url, opened), bearer(bad)) == 401
        assert (await http.get("/who", headers=bearer(bad))).status_code == 401
        assert (await http.get("/streams/news/today", headers=bearer(bad))).status_code == 401


async def test_items_over_http_are_for_those_whom_the_rule_lets(project: Path):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        ann = bearer(await token(project, "ann"))

        answers = [
            await http.get("/streams/room/ann", headers=ann),
            await http.get("/streams/room/bob", headers=ann),
            await http.get("/streams/room/ann"),
            await http.get("/streams/news/today"),
        ]

        assert [answer.status_code for answer in answers] == [200, 403, 401, 200]


async def test_a_step_is_told_who_calls(project: Path):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        ann = await token(project, "ann", "--claim", "role=admin")

        assert (await http.get("/who", headers=bearer(ann))).json() == {"name": "ann", "role": "admin"}
        assert (await http.get("/who")).json() is None


async def test_watch_shows_a_guarded_stream_to_who_has_a_token(project: Path, monkeypatch):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        ann, address = await token(project, "ann"), ("--url", dev.socket_url)

        async with running("watch", "room", "ann", *address, cwd=project) as watch:
            await watch.says("you may not see this")
            assert await watch.ends() == 1
        async with running("watch", "room", "ann", "--token", ann, *address, cwd=project) as watch:
            await watch.says("room/ann  0 items")
            await http.post("/room/ann", json={"text": "hello"})
            await watch.says("hello")
        monkeypatch.setenv("STREAMS_TOKEN", ann)
        async with running("watch", "room", "ann", *address, cwd=project) as watch:
            await watch.says("room/ann  1 item")


async def test_a_rule_that_is_saved_takes_rooms_from_open_sockets_and_leaves_the_others(
    project: Path, opened
):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        browser = Browser(dev.socket_url, opened)
        ann = await opened_as(browser, await token(project, "ann"))
        bob = await opened_as(browser, await token(project, "bob"))
        for tab, name in ((ann, "ann"), (bob, "bob")):
            assert await answer_to_join(tab, "room", name) == "sync"
        assert await answer_to_join(ann, "news", "today") == "sync"

        write(project, "room_stream.py", OWN_ROOM.replace("return ", 'return context["name"] != "ann" and '))

        assert await next_answer(ann) == "STREAM_ACCESS_DENIED"
        await http.post("/room/ann", json={"text": "private"})
        await http.post("/room/bob", json={"text": "private"})
        await http.post("/news/today", json={"text": "public"})
        assert (await bob.next_event())["data"]["text"] == "private"
        assert (await ann.next_event())["data"]["text"] == "public"
        assert await answer_to_join(ann, "room", "ann") == "STREAM_ACCESS_DENIED"


async def test_an_authenticate_that_is_saved_counts_for_open_sockets(project: Path, opened):
    async with developing(project) as dev:
        ann = await opened_as(Browser(dev.socket_url, opened), await token(project, "ann"))
        assert await answer_to_join(ann, "room", "ann") == "sync"

        write(project, "stream_auth.py", AUTH.replace("claims.sub", "claims.sub.upper()"))

        assert await next_answer(ann) == "STREAM_ACCESS_DENIED"
        assert await answer_to_join(ann, "room", "ANN") == "sync"


async def test_a_stream_that_gets_a_rule_is_closed_to_whom_it_does_not_let(project: Path, opened):
    async with developing(project) as dev:
        browser = Browser(dev.socket_url, opened)
        nobody = await browser.open()
        assert await answer_to_join(nobody, "news", "today") == "sync"

        write(project, "news_stream.py", OWN_ROOM.replace("room", "news"))

        assert await loses_its_room(nobody)
        ann = await opened_as(browser, await token(project, "ann"))
        assert await answer_to_join(await browser.open(), "news", "today") == "STREAM_ACCESS_DENIED"
        assert await answer_to_join(ann, "news", "ann") == "sync"


async def test_a_broken_file_keeps_closed_what_was_until_it_is_mended(project: Path, opened):
    async with developing(project) as dev:
        browser, ann = Browser(dev.socket_url, opened), bearer(await token(project, "ann"))
        watching = await browser.open(additional_headers=ann)
        assert await answer_to_join(watching, "room", "ann") == "sync"

        write(project, "who_step.py", "def (:\n")
        await dev.command.says("Save a file to try again")
        assert await answer_to_join(watching, "room", "ann") == "STREAM_ACCESS_DENIED"
        assert await answer_to_join(watching, "news", "today") == "sync"
        assert await status_of_opening(browser, ann) == 503

        write(project, "who_step.py", WHO)
        await dev.command.says("functions started anew")
        assert await answer_to_join(watching, "room", "ann") == "sync"
        assert await answer_to_join(await browser.open(additional_headers=ann), "room", "ann") == "sync"


async def test_what_was_closed_is_closed_where_the_files_were_broken_from_the_start(project: Path, opened):
    (project / "functions/stream_auth.py").unlink()
    async with developing(project):
        pass
    good = (project / "functions/who_step.py").read_text()
    write(project, "who_step.py", "def (:\n")
    port = free_port()

    async with running("dev", "functions", "--port", str(port), cwd=project) as command:
        await command.says("Save a file to try again")
        browser = Browser(f"ws://127.0.0.1:{port}/", opened)
        # Nobody knows yet whether somebody is asked who callers are.
        assert await status_of_opening(browser, {}) == 503
        write(project, "who_step.py", good)
        await command.says("Ctrl-C ends everything")
        assert await answer_to_join(await browser.open(), "room", "ann") == "STREAM_ACCESS_DENIED"


async def test_a_revoked_user_loses_its_sockets_and_gets_no_others(project: Path, opened):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        browser, token_of_ann = Browser(dev.socket_url, opened), await token(project, "ann")
        ann = await opened_as(browser, token_of_ann)
        bob = await opened_as(browser, await token(project, "bob"))
        for tab, name in ((ann, "ann"), (bob, "bob")):
            assert await answer_to_join(tab, "room", name) == "sync"

        nats = ("--nats", nats_of(dev))
        async with running("revoke", "--sub", "ann", *nats, cwd=project) as revoke:
            assert await revoke.ends() == 0

        assert (await ann.closed())[0] == 4401
        assert await status_of_opening(browser, bearer(token_of_ann)) == 401
        assert (await http.get("/who", headers=bearer(token_of_ann))).status_code == 401
        assert await bob.nothing_came()


async def test_the_screen_says_how_to_get_a_token_where_one_matters(project: Path):
    async with developing(project) as dev:
        assert re.search(r"token +streams token --sub ann *$", "".join(dev.command.said), re.MULTILINE)

    for name in ("stream_auth.py", "room_stream.py"):
        (project / "functions" / name).unlink()
    async with developing(project) as dev:
        assert "streams token" not in "".join(dev.command.said)


async def test_the_secret_stands_where_no_one_commits_it_wherever_the_data_is(project: Path):
    async with developing(project, "--data", "elsewhere/nats") as dev:
        ann = await token(project, "ann")

        assert (project / ".streams/.gitignore").read_text() == "*\n"
        assert (project / ".streams/jwt-secret").stat().st_mode & 0o077 == 0
        async with httpx.AsyncClient(base_url=dev.url, trust_env=False) as http:
            assert (await http.get("/who", headers=bearer(ann))).status_code == 200


async def test_with_a_secret_of_ones_own_no_other_one_is_made_and_its_tokens_count(
    project: Path, monkeypatch: pytest.MonkeyPatch, opened
):
    monkeypatch.setenv("STREAMS_JWT_SECRET", "a secret of one's own, long enough")
    async with developing(project) as dev:
        ann = await opened_as(Browser(dev.socket_url, opened), await token(project, "ann"))

        assert await answer_to_join(ann, "room", "ann") == "sync"
        assert not (project / ".streams/jwt-secret").exists()
        assert "streams token" not in "".join(dev.command.said)


async def test_keys_of_two_kinds_are_refused_before_anything_starts(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STREAMS_JWT_SECRET", "a secret of one's own, long enough")
    monkeypatch.setenv("STREAMS_JWT_JWKS_URL", "https://issuer.example/jwks.json")
    async with running("dev", "functions", "--port", str(free_port()), cwd=project) as command:
        await command.says("keep one of them")
        assert await command.ends() == 1


async def test_no_token_and_no_query_is_in_the_log(project: Path, opened):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        ann = await token(project, "ann")
        browser = Browser(f"{dev.socket_url}?authToken={ann}&secret=query", opened)
        assert await answer_to_join(await browser.open(), "room", "ann") == "sync"
        assert await answer_to_join(await browser.open(), "room", "bob") == "STREAM_ACCESS_DENIED"
        await http.get("/who", params={"secret": "query"}, headers=bearer(ann))
        await http.get("/nowhere", params={"secret": "query"}, headers=bearer(ann + "x"))
        await http.get("/streams/room/bob", params={"secret": "query"}, headers=bearer(ann))

        dev.command.process.terminate()
        await dev.command.ends()
        said = "".join(dev.command.said)

    assert "GET /who 200" in said
    assert "room/bob" in said
    assert "secret" not in said
    assert ann not in said
    assert ann.split(".")[1] not in said


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
async def test_the_secret_is_in_no_arguments_and_no_environment(project: Path):
    async with developing(project):
        secret = (project / ".streams/jwt-secret").read_bytes().strip()
        seen = [part for process in processes_in(project) for part in process]

        assert any(b"functions_process" in part for part in seen)
        assert not any(secret in part for part in seen)


def processes_in(folder: Path) -> list[tuple[bytes, bytes]]:
    """Arguments and environment of every process that runs there."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == folder:
                found.append(((entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()))
    return found


def nats_of(dev: Dev) -> str:
    (line,) = (line for line in dev.command.said if re.search(r"\bnats +nats://", line))
    found = re.search(r"nats://\S+", line)
    assert found is not None
    return found[0]
