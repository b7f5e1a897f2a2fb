"""`streams functions` as it is deployed: a process, a port, tokens, pages of other addresses, proxies."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from streams.dev.nats_server import NatsServer
from tests.auth.issued import AUDIENCE, ISSUER, SECRET
from tests.browser import SECONDS
from tests.cli.typed import Typed
from tests.core.written_app import App
from tests.dev.commands import Command, free_port, running
from tests.tokens import token

PAGE = "https://app.example.com"
WHOSE = ("--issuer", ISSUER, "--audience", AUDIENCE)

Start = Callable[..., AbstractAsyncContextManager["Deployed"]]


@dataclass
class Deployed:
    """A process that serves steps."""

    command: Command
    http: httpx.AsyncClient

    async def until_ready(self, status: int) -> httpx.Response:
        """Ask until /readyz answers with that status."""
        async with asyncio.timeout(SECONDS):
            while (answer := await self.http.get("/readyz")).status_code != status:
                await asyncio.sleep(0.02)
        return answer


@pytest.fixture
def steps(app: App) -> App:
    """An application with a stream, and steps that write, tell who calls, and take their time."""
    app.stream("note_stream.py", "note")
    app.write(
        "write_step.py",
        """
        from streams import Context, StepConfig, http

        config = StepConfig(name="Write", triggers=[http("POST", "/note/{id}")])

        async def handler(id: str, context: Context):
            return await context.streams.note.set("inbox", id, {"text": "call mum"})
        """,
    )
    app.write(
        "who_step.py",
        """
        from fastapi import Request
        from streams import Context, StepConfig, http

        config = StepConfig(name="Who", triggers=[http("GET", "/who", auth="optional")])

        async def handler(context: Context, request: Request):
            at = request.client.host, request.url.scheme
            return {"auth": context.auth, "at": at}
        """,
    )
    app.write(
        "stream_auth.py",
        """
        async def authenticate(request, claims):
            return {"sub": claims and claims.sub, "address": request.address}
        """,
    )
    app.write(
        "slow_step.py",
        """
        import asyncio
        from streams import StepConfig, http

        config = StepConfig(name="Slow", triggers=[http("GET", "/slow")])

        async def handler():
            print("slow has begun", flush=True)
            await asyncio.sleep(0.5)
            return "done"
        """,
    )
    return app


@pytest.fixture
def start(streams: Typed, steps: App, monkeypatch: pytest.MonkeyPatch) -> Start:
    for name, value in streams.env.items():
        monkeypatch.setenv(name, value)

    @asynccontextmanager
    async def started(*options: str, provision: bool = True) -> AsyncIterator[Deployed]:
        if provision:
            assert (await streams.run("provision", str(steps.folder))).code == 0
        port = free_port()
        monkeypatch.setenv("PORT", str(port))
        async with (
            running("functions", steps.folder.name, *options, cwd=steps.folder.parent) as command,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
        ):
            await command.says(f"at http://127.0.0.1:{port}; Ctrl-C ends it")
            yield Deployed(command, http)

    return started


def of(sub: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(sub)}"}


async def test_steps_are_served_on_the_port_that_the_host_of_the_container_names(
    start: Start, streams: Typed
):
    async with start() as deployed:
        written = await deployed.http.post("/note/1")
        document = (await deployed.http.get("/openapi.json")).json()

    assert written.json()["new_value"] == {"id": "1", "text": "call mum"}
    assert (await streams.run("get", "note", "inbox", "1")).document == {"id": "1", "text": "call mum"}
    assert set(document["paths"]) == {"/note/{id}", "/who", "/slow"}


async def test_it_says_that_it_runs_and_that_it_is_ready(start: Start):
    async with start() as deployed:
        assert (await deployed.http.get("/healthz")).text == "ok\n"
        assert (await deployed.http.get("/readyz")).text == "ready\n"


async def test_it_is_not_ready_while_nats_is_away(
    start: Start, own_nats: NatsServer, streams: Typed, monkeypatch: pytest.MonkeyPatch
):
    streams.env["STREAMS_NATS_URL"] = own_nats.url
    monkeypatch.setenv("STREAMS_NATS_URL", own_nats.url)
    async with start() as deployed:
        own_nats.kill()
        away = await deployed.until_ready(503)
        runs = await deployed.http.get("/healthz")
        await own_nats.restart()
        await deployed.until_ready(200)

        assert (away.text, runs.status_code) == ("NATS is away\n", 200)
        assert (await deployed.http.post("/note/1")).status_code == 200


async def test_a_stream_that_is_not_provisioned_is_said_at_start_and_answered_without_its_inside(
    start: Start, streams: Typed
):
    async with start(provision=False) as deployed:
        await deployed.command.says("run `streams provision`")
        refused = await deployed.http.post("/note/1")
        runs = await deployed.http.get("/slow")

        assert (refused.status_code, refused.json()["code"]) == (500, "INTERNAL_ERROR")
        assert runs.status_code == 200


async def test_what_was_asked_is_answered_before_it_ends(start: Start):
    async with start() as deployed:
        asked = asyncio.create_task(deployed.http.get("/slow"))
        await deployed.command.says("slow has begun")
        deployed.command.process.send_signal(signal.SIGTERM)

        assert (await asked).json() == "done"
        assert await deployed.command.ends() == 0
        with pytest.raises(httpx.TransportError):
            await deployed.http.get("/healthz")


async def test_callers_are_who_their_tokens_say_and_bad_tokens_are_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STREAMS_JWT_SECRET", SECRET)
    async with start(*WHOSE) as deployed:
        ann = await deployed.http.get("/who", headers=of("ann"))
        nobody = await deployed.http.get("/who")
        bad = await deployed.http.get("/who", headers={"Authorization": "Bearer x"})

        assert ann.json()["auth"]["sub"] == "ann"
        assert nobody.json()["auth"]["sub"] is None
        assert (bad.status_code, bad.json()["code"]) == (401, "TOKEN_REFUSED")


async def test_without_keys_every_token_is_refused(start: Start):
    async with start() as deployed:
        assert "no keys: every caller is anonymous" in "".join(deployed.command.said)
        assert (await deployed.http.get("/who", headers=of("ann"))).status_code == 401


async def test_a_proxy_says_who_calls_only_where_it_is_trusted(start: Start):
    said = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    async with start() as deployed:
        untold = (await deployed.http.get("/who", headers=said)).json()
    async with start("--trust-proxy", "127.0.0.0/8") as deployed:
        told = (await deployed.http.get("/who", headers=said)).json()

    assert untold == {"auth": {"sub": None, "address": "127.0.0.1"}, "at": ["127.0.0.1", "http"]}
    assert told == {"auth": {"sub": None, "address": "203.0.113.9"}, "at": ["203.0.113.9", "https"]}


async def test_pages_of_listed_origins_may_ask_and_those_of_this_machine_only_by_name(start: Start):
    async with start("--origin", PAGE) as deployed:
        asked = {"Access-Control-Request-Method": "POST"}
        listed, local, health = [
            await deployed.http.options(path, headers={**asked, "Origin": origin})
            for path, origin in (
                ("/note/1", PAGE),
                ("/note/1", "http://localhost:3000"),
                ("/readyz", "https://evil.example"),
            )
        ]

        assert listed.headers["Access-Control-Allow-Origin"] == PAGE
        assert "Access-Control-Allow-Origin" not in {*local.headers, *health.headers}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--trust-proxy", "10.0.0.7/8"), "has host bits set"),
        (("--trust-proxy", "proxy.internal"), "is not the address of a proxy"),
        (("--trust-proxy", "10.0.0.0/8", "--trust-proxy", "*"), "--trust-proxy * is whoever connects"),
        (("--origin", "*"), "is not the origin of a page"),
    ],
)
def test_what_would_never_be_the_case_is_refused(
    streams: Typed, steps: App, options: tuple[str, ...], sentence: str
):
    assert sentence in streams("functions", steps.folder, *options).refusal


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_step_cannot_have_a_path_that_says_how_the_process_is(streams: Typed, app: App, path: str):
    app.step("health_step.py", "Health", "GET", path)

    assert f"step 'Health': {path} is taken" in streams("functions", app.folder).err


def test_tokens_of_nobody_in_particular_are_not_accepted(streams: Typed, steps: App):
    said = streams("functions", steps.folder, STREAMS_JWT_SECRET=SECRET)

    assert "nobody says who makes the tokens" in said.refusal


def test_without_nats_it_does_not_start(streams: Typed, steps: App):
    said = streams("functions", steps.folder, "--port", "0", "--nats", f"nats://127.0.0.1:{free_port()}")

    assert "does not answer" in said.refusal


def test_a_port_that_is_no_number_is_refused(streams: Typed, steps: App):
    said = streams("functions", steps.folder, PORT="80a")

    assert (said.code, "PORT" in said.err) == (2, True)
