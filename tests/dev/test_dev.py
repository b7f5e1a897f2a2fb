"""`streams dev` as a developer uses it: processes, ports, and files that are saved."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.browser import SECONDS, Browser
from tests.dev.commands import developing, free_port, processes, running
from tests.dev.todo_app import project as project


async def test_saving_a_step_restarts_the_functions_and_leaves_sockets_open(project: Path, opened):
    step = project / "functions/todo/create_todo_step.py"
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        tab = await Browser(dev.socket_url, opened).join("todo", "inbox")

        step.write_text(
            step.read_text().replace("description=description,", "description=description.upper(),")
        )
        await dev.command.says("functions started anew")
        await http.post("/todo", json={"description": "call mum"})

        assert (await tab.next_event())["data"]["description"] == "CALL MUM"


async def test_a_file_that_cannot_be_loaded_is_named_and_mended_by_the_next_save(project: Path, opened):
    step = project / "functions/todo/create_todo_step.py"
    good = step.read_text()
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        tab = await Browser(dev.socket_url, opened).join("todo", "inbox")

        step.write_text(good + "\ndef (:\n")
        await dev.command.says(f"create_todo_step.py:{len(good.splitlines()) + 2}: SyntaxError")
        broken = await http.post("/todo", json={"description": "call mum"})
        step.write_text(good)
        await dev.command.says("functions started anew")
        mended = await http.post("/todo", json={"description": "call mum"})

        assert (broken.status_code, mended.status_code) == (500, 200)
        assert "create_todo_step.py" in broken.text
        assert (await tab.next_event())["type"] == "create"


async def test_a_new_stream_is_provisioned_when_its_file_is_saved(project: Path, opened):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        (project / "functions/note_stream.py").write_text(
            'from streams import Stream\nnote = Stream("note", dict)\n'
        )
        await dev.command.says("note_stream.py")
        (project / "functions/note_step.py").write_text(
            "from streams import Context, StepConfig, http\n"
            'config = StepConfig("Note", [http("POST", "/note")])\n'
            "async def handler(body: dict, context: Context):\n"
            '    return await context.streams.note.set("g", "a", body)\n'
        )
        await dev.command.says("/note")
        tab = await Browser(dev.socket_url, opened).join("note", "g")

        await http.post("/note", json={"text": "hello"})

        assert (await tab.next_event())["data"] == {"id": "a", "text": "hello"}


async def test_a_file_saved_while_the_functions_start_is_not_overlooked(project: Path):
    (project / "functions/hasty_step.py").write_text(
        "from pathlib import Path\nfrom streams import StepConfig, http\n"
        'config = StepConfig("Hasty", [http("GET", "/hasty")])\n'
        "async def handler():\n    return 'first'\n"
        "path = Path(__file__)\n"
        "path.write_text(path.read_text().replace(\"'first'\", \"'second'\"))\n"
    )
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        await dev.command.says("functions started anew")

        assert (await http.get("/hasty")).json() == "second"


async def test_todos_are_kept_between_runs(project: Path):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        await http.post("/todo", json={"description": "call mum"})

    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        todos = (await http.get("/todos")).json()

    assert [todo["description"] for todo in todos] == ["call mum"]
    assert (project / ".streams/.gitignore").read_text() == "*\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_ends_everything_and_tells_sockets_to_come_back(
    project: Path, opened, number: signal.Signals
):
    async with developing(project) as dev:
        tab = await Browser(dev.socket_url, opened).join("todo", "inbox")

        dev.command.process.send_signal(number)

        assert (await tab.closed())[0] == 1012
        assert await dev.command.ends() == 0


async def test_ctrl_c_does_not_wait_for_a_client_that_never_answers(project: Path, opened):
    async with developing(project) as dev:
        tab = await Browser(dev.socket_url, opened).join("todo", "inbox")
        tab.socket.transport.pause_reading()

        dev.command.process.send_signal(signal.SIGINT)

        async with asyncio.timeout(5):
            assert await dev.command.process.wait() == 0
        tab.socket.transport.abort()


async def test_a_port_in_use_is_named_with_a_way_out(project: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with running("dev", "functions", "--port", str(port), cwd=project) as command:
            await command.says(f"port {port} cannot be used")
            assert await command.ends() == 1


async def test_a_local_module_streams_is_named_with_a_way_out(project: Path):
    (project / "streams.py").write_text("")
    async with running("dev", "functions", "--port", str(free_port()), cwd=project) as command:
        await command.says("rename it")


async def test_a_folder_that_does_not_exist_is_named(tmp_path: Path):
    async with running("dev", "nowhere", "--port", str(free_port()), cwd=tmp_path) as command:
        await command.says("there is no folder 'nowhere'")
        assert await command.ends() == 1


async def test_a_step_that_ends_its_process_is_reported_and_the_next_save_brings_it_back(project: Path):
    step = project / "functions/crash_step.py"
    step.write_text(
        "import os\nfrom streams import StepConfig, http\n"
        'config = StepConfig("Crash", [http("POST", "/crash")])\n'
        "async def handler():\n    os._exit(3)\n"
    )
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        crashed = await http.post("/crash")
        await dev.command.says("exit code 3")
        step.write_text(step.read_text().replace("os._exit(3)", "return 1"))
        await dev.command.says("functions started anew")

        assert crashed.status_code == 502
        assert (await http.post("/crash")).json() == 1


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for the server in /proc")
async def test_a_nats_server_that_ends_is_started_again_and_sockets_stay_open(project: Path, opened):
    async with developing(project) as dev, httpx.AsyncClient(base_url=dev.url) as http:
        tab = await Browser(dev.socket_url, opened).join("todo", "inbox")

        (server,) = processes("nats-server", project)
        os.kill(server, signal.SIGKILL)
        await dev.command.says("starting it again")
        answer = await http.post("/todo", json={"description": "call mum"}, timeout=SECONDS)

        assert answer.status_code == 200
        assert (await tab.next_event())["data"]["description"] == "call mum"


async def test_watch_waits_for_a_gateway_that_is_not_there_yet(project: Path):
    port = free_port()
    async with running("watch", "todo", "inbox", "--url", f"ws://127.0.0.1:{port}/", cwd=project) as watch:
        await watch.says("cannot be reached")

        async with running("dev", "functions", "--port", str(port), cwd=project) as dev:
            await dev.says("Ctrl-C ends everything")
            await watch.says("todo/inbox  0 items")
