"""Functions on Lambda: how long the first answer takes, from a zip, from a snapshot, and on a dead line.

Beside ours stands what one writes without it, of the same packages: FastAPI
and Mangum, and a connection of nats-py that lives as long as the module.
Both are run by Lambda's own runtime client, which `local.aws_lambda` runs as
Lambda does. Memory, and CPU by memory, are not those of Lambda.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any

from rich.table import Table

from local.aws_lambda.emulator import Lambda
from local.aws_lambda.events import HttpRequest, Shape, to_event
from streams.dev.nats_server import embedded
from streams.faas.hosting import PAUSE_SECONDS
from streams.jetstream.bucket import provision
from streams.jetstream.connection import connected_to
from streams.keys import REVOKED_STREAM, Namespace
from tests.benchmarks.tables import cell
from tests.deploy.built import built_zip, target_here
from tests.store.jetstream.proxy import Line, line_to

WARM = 200
LOSSES = 20
NAIVE_SECONDS = 8.0
"""How long the naive function may take. It waits five seconds for an answer that does not come."""

_CREATE = to_event(
    HttpRequest.of(
        "POST",
        "/todo",
        headers={"content-type": "application/json", "host": "example.com"},
        body='{"description": "Milk"}',
    ),
    Shape.HTTP_API,
)

_NAIVE = """
    import asyncio
    import json
    import os
    import uuid

    import nats
    from fastapi import FastAPI
    from mangum import Mangum
    from pydantic import BaseModel

    app = FastAPI()
    bucket = None


    class NewTodo(BaseModel):
        description: str


    @app.post("/todo")
    async def create(body: NewTodo):
        global bucket
        if bucket is None:
            client = await nats.connect(os.environ["STREAMS_NATS_URL"])
            bucket = await client.jetstream().key_value("naive")
        id = uuid.uuid4().hex
        await bucket.put(id, json.dumps({"id": id, **body.model_dump()}).encode())
        return {"id": id}


    handler = Mangum(app, lifespan="off")
"""
_NOTHING = "def handler(event, context):\n    return {'statusCode': 200}\n"


@dataclass(frozen=True)
class Kind:
    """A function, and where it is."""

    name: str
    root: Path
    handler: str


def run(rounds: int, *, is_quick: bool) -> tuple[Table, bool]:
    """The table, and whether every request was answered that must be."""
    return asyncio.run(_run(1 if is_quick else max(3, rounds), 2 if is_quick else LOSSES))


async def _run(rounds: int, losses: int) -> tuple[Table, bool]:
    zipped = built_zip()
    with TemporaryDirectory() as folder:
        kinds = _kinds(zipped, Path(folder))
        async with embedded(Path(folder, "nats")) as nats, line_to(nats.url) as line:
            await _provisioned(nats.url)
            found: dict[tuple[str, str], list[float]] = {}
            failed: dict[tuple[str, str], int] = {}
            for _ in range(rounds):
                for kind in kinds:
                    await _starts(kind, nats.url, found)
            for kind in kinds[:2]:
                for lost in (Line.cut, Line.forget):
                    await _losses(kind, line, lost, losses, found, failed)
    ours_failed = sum(number for (kind, _), number in failed.items() if kind == kinds[0].name)
    return _table(zipped, kinds, found, failed, losses), ours_failed == 0


def _kinds(zipped: Path, folder: Path) -> list[Kind]:
    unpacked = folder / "ours"
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(unpacked)
    naive, nothing = folder / "naive", folder / "nothing"
    naive.mkdir()
    for entry in unpacked.iterdir():
        if entry.name not in ("functions", "streams"):
            (naive / entry.name).symlink_to(entry)
    (naive / "naive.py").write_text(dedent(_NAIVE))
    nothing.mkdir()
    (nothing / "nothing.py").write_text(_NOTHING)
    return [
        Kind("Streams", zipped, "streams.faas.aws_lambda.handler"),
        Kind("FastAPI, Mangum, nats-py", naive, "naive.handler"),
        Kind("nothing", nothing, "nothing.handler"),
    ]


async def _provisioned(url: str) -> None:
    async with connected_to(url) as connection:
        namespace = Namespace("streams")
        await provision(connection, namespace, "todo")
        await provision(connection, namespace, REVOKED_STREAM, guarded=True)
        client = await connection.client()
        await client.jetstream().create_key_value(bucket="naive")


@asynccontextmanager
async def _running(kind: Kind, url: str, **options: Any) -> AsyncIterator[Lambda]:
    environment = {"STREAMS_NATS_URL": url}
    async with Lambda.running(
        kind.root, handler=kind.handler, environment=environment, init_timeout=60, **options
    ) as function:
        yield function


async def _starts(kind: Kind, url: str, found: dict[tuple[str, str], list[float]]) -> None:
    def note(what: str, value: float) -> None:
        found.setdefault((kind.name, what), []).append(value)

    async with _running(kind, url, timeout=30) as function:
        note("first answer from zip, ms", await _asked_ms(function))
        (environment,) = function.environments
        note("CPU of it, ms", _cpu_ms(environment.pid))
        warm = [await _asked_ms(function) for _ in range(WARM)]
        note("warm, p50, ms", statistics.median(warm))
        note("memory, MB", _memory_mb(environment.pid))
    async with _running(kind, url, timeout=30, snap_start=True) as function:
        note("first answer from snapshot, ms", await _asked_ms(function))


async def _losses(
    kind: Kind,
    line: Line,
    lose: Callable[[Line], None],
    times: int,
    found: dict[tuple[str, str], list[float]],
    failed: dict[tuple[str, str], int],
) -> None:
    what = f"first call on a line that was {'cut' if lose is Line.cut else 'forgotten'}, max of {times}, ms"
    took, errors = [], 0
    async with _running(kind, line.url, timeout=NAIVE_SECONDS, freeze=True) as function:
        await _asked_ms(function)
        for _ in range(times):
            lose(line)
            await asyncio.sleep(PAUSE_SECONDS)
            began = time.perf_counter()
            answer = await function.invoke(_CREATE)
            took.append((time.perf_counter() - began) * 1e3)
            errors += answer.error is not None or answer.payload["statusCode"] != 200
            if errors > 2:
                break
    found[kind.name, what] = [max(took)]
    failed[kind.name, what] = errors


async def _asked_ms(function: Lambda) -> float:
    began = time.perf_counter()
    answer = await function.invoke(_CREATE)
    took = (time.perf_counter() - began) * 1e3
    assert answer.error is None, answer.logs
    assert answer.payload["statusCode"] == 200, answer.body
    return took


def _cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 10.0


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


def _table(
    zipped: Path,
    kinds: list[Kind],
    found: dict[tuple[str, str], list[float]],
    failed: dict[tuple[str, str], int],
    losses: int,
) -> Table:
    package = json.loads(zipped.with_suffix(".json").read_text())
    megabytes = f"{package['bytes'] / 1e6:.1f} MB, {package['unzipped_bytes'] / 1e6:.1f} MB unzipped"
    table = Table(title=f"Functions on Lambda ({target_here()}); zip: {megabytes}", title_justify="left")
    table.add_column("median \\[min–max]")
    for kind in kinds:
        table.add_column(kind.name, justify="right")
    for what in dict.fromkeys(what for _, what in found):
        cells = []
        for kind in kinds:
            values = found.get((kind.name, what), [])
            errors = failed.get((kind.name, what), 0)
            cells.append(cell(values, ".1f") + (f", {errors} failed" if errors else ""))
        table.add_row(what, *cells)
    return table
