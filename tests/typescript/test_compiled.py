"""TypeScript's own compiler on what is written, with files that use it well and badly."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from pydantic_core import to_json

from streams import Address, bound_to
from streams.changes import with_id
from streams.discovery import Application, discover
from streams.faas.asgi import functions_app
from streams.memory import MemoryStore
from streams.typescript.calls import calls_of
from streams.typescript.document import types_of
from tests.clients.npm import installed
from tests.dev.commands import REPOSITORY
from tests.typescript.kinds import APPLICATION, ITEMS, REQUESTS

pytestmark = pytest.mark.node

HERE = Path(__file__).parent
USES = HERE / "uses"
OPTIONS = [
    "--noEmit",
    "--strict",
    "--noUncheckedIndexedAccess",
    "--exactOptionalPropertyTypes",
    "--verbatimModuleSyntax",
    "--isolatedModules",
    *("--target", "es2022"),
    *("--module", "nodenext"),
    # No browser and no Node: types are of no place.
    *("--lib", "es2022"),
]


def compiled(folder: Path, *files: str) -> list[str]:
    """What the compiler complains of, a line each."""
    compiler = installed(HERE) / "typescript/bin/tsc"
    (folder / "package.json").write_text('{"type": "module"}')
    done = subprocess.run(
        ["node", compiler, *OPTIONS, *files],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    complaints = done.stdout.splitlines()
    assert (done.returncode == 0) == (complaints == []), done
    return complaints


def todo_app() -> Application:
    return discover(REPOSITORY / "functions")


@pytest.mark.parametrize("use", ["todo", "kinds"])
def test_the_compiler_takes_what_fits_and_refuses_what_does_not(use: str, tmp_path: Path):
    application = todo_app() if use == "todo" else APPLICATION
    (tmp_path / "types.ts").write_text(types_of(application))
    shutil.copy(USES / f"{use}.ts", tmp_path)

    assert compiled(tmp_path, "types.ts", f"{use}.ts") == []


def test_every_wrong_line_is_refused_by_the_compiler_itself(tmp_path: Path):
    (tmp_path / "types.ts").write_text(types_of(todo_app()))
    marked = (USES / "todo.ts").read_text()
    plain, wrong_lines = re.subn(r"// @ts-expect-error.*", "//", marked)
    (tmp_path / "todo.ts").write_text(plain)

    complaints = compiled(tmp_path, "types.ts", "todo.ts")

    assert len([line for line in complaints if line.startswith("todo.ts(")]) == wrong_lines > 5


async def test_what_is_on_the_wire_is_what_the_types_say(tmp_path: Path):
    values = [*await items_on_the_wire(), *await answers_on_the_wire()]
    lines = [f"export const value{number}: {type} = {json}" for number, (type, json) in enumerate(values)]
    (tmp_path / "types.ts").write_text(types_of(APPLICATION))
    imports = "import type { Steps, Streams } from './types.js'\n"
    (tmp_path / "wire.ts").write_text(imports + "\n".join(lines))

    # Where a value stands as it is, the compiler takes no field either that the type does not have.
    assert compiled(tmp_path, "types.ts", "wire.ts") == []


async def items_on_the_wire() -> list[tuple[str, str]]:
    """Types of items, and JSON that must fit: what was written, and what a gateway makes of it."""
    store, values = MemoryStore(), []
    with bound_to(store):
        for stream in APPLICATION.streams:
            written = {"id": "1", **ITEMS[stream.name]}
            await stream.set("all", "1", written)
            found = await store.get(Address(stream.name, "all", "1"))
            assert found is not None
            values.append((f"Streams[{stream.name!r}]['input']", to_json(written).decode()))
            values.append((f"Streams[{stream.name!r}]['item']", with_id("1", found.value).decode()))
    return values


async def answers_on_the_wire() -> list[tuple[str, str]]:
    """Types of what steps take and answer, and JSON that must fit."""
    app, values = functions_app(APPLICATION, MemoryStore()), []
    methods = {call.name: call.method for call in calls_of(APPLICATION)}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://steps") as http:
        for name, path, sent in REQUESTS:
            answer = await http.request(methods[name], path, **sent)
            assert answer.status_code == 200, answer.text
            values.append((f"Steps[{name!r}]['response']", answer.text))
            if "json" in sent:
                values.append((f"Steps[{name!r}]['body']", to_json(sent["json"]).decode()))
    return values
