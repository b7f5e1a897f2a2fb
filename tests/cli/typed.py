"""Commands as they are typed, and what they say."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Any

import orjson
from typer.testing import CliRunner

from streams.cli.commands import app
from tests.browser import SECONDS
from tests.dev.commands import STREAMS


@dataclass(frozen=True)
class Said:
    """What a command that ended has said."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of its answer."""
        (line,) = self.lines
        return line

    @property
    def lines(self) -> list[str]:
        assert (self.code, self.err) == (0, ""), self
        return self.out.splitlines()

    @property
    def document(self) -> Any:
        """The one JSON document of its answer, which is all that it has said."""
        return orjson.loads(self.line)

    @property
    def refusal(self) -> str:
        """The one sentence of a command that failed, which is all that it has said."""
        assert (self.code, self.out) == (1, ""), self
        (sentence,) = self.err.splitlines()
        return sentence


class Typed:
    """Runs commands against one server and one namespace, in this process."""

    def __init__(self, nats_url: str, namespace: str) -> None:
        self.env = {"STREAMS_NATS_URL": nats_url, "STREAMS_NAMESPACE": namespace}

    def __call__(self, *words: object, stdin: str | bytes = b"", **env: str) -> Said:
        done = CliRunner(env={"FORCE_COLOR": None, **self.env, **env}).invoke(
            app, [str(word) for word in words], input=stdin, catch_exceptions=False
        )
        return Said(done.exit_code, done.stdout, done.stderr)

    async def inside(self, *words: object) -> Said:
        """The same from inside a loop. In a thread: the command has a loop of its own."""
        return await asyncio.to_thread(self, *words)

    async def run(self, *words: str, stdin: bytes | int = b"") -> Said:
        """The same in a process of its own. `stdin` is what it reads, or the file it reads from."""
        process = await asyncio.create_subprocess_exec(
            str(STREAMS),
            *words,
            env={**os.environ, **self.env},
            stdin=asyncio.subprocess.PIPE if isinstance(stdin, bytes) else stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said = asyncio.create_task(process.communicate(stdin if isinstance(stdin, bytes) else None))
        ended, _ = await asyncio.wait([said], timeout=2 * SECONDS)
        if not ended:
            process.kill()
        out, err = await said
        assert ended, f"{words} did not end after {out!r} {err!r}"
        return Said(await process.wait(), out.decode(), err.decode())
