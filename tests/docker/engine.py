"""A container engine of our own, for as long as a command runs: `python -m tests.docker.engine COMMAND...`.

Needs root and `dockerd` (Debian's docker.io), and no registry: the image of
NATS is made of the nats-server that is installed beside this Python, and tests
that build images make what these are built on (base_images.py). The engine's
files, containers and volumes are in a temporary folder, and go with it. Exit
code: the command's, or 75 where no engine can be started.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import docker

from streams.dev.nats_container import IMAGE
from streams.dev.nats_server import find_binary

START_SECONDS = 30.0
STOP_SECONDS = 20.0
NO_ENGINE = 75


class NoEngine(Exception):
    """No engine can be started. The sentence says why."""


@contextmanager
def engine() -> Iterator[str]:
    """An engine that has the image of NATS. Yields its address, for DOCKER_HOST."""
    program = shutil.which("dockerd", path=os.pathsep.join([*os.get_exec_path(), "/usr/sbin"]))
    if program is None:
        raise NoEngine("dockerd is not installed: apt-get install -y --no-install-recommends docker.io")
    if os.geteuid() != 0:
        raise NoEngine("dockerd needs root")
    # A short name: the path of a Unix socket has at most 107 bytes.
    with TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        host = f"unix://{folder}/docker.sock"
        with (folder / "log").open("wb") as log:
            daemon = subprocess.Popen(
                [
                    program, "--data-root", folder / "data", "--exec-root", folder / "exec",
                    "--pidfile", folder / "pid", "-H", host,
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command; the engine ends after it.
            )  # fmt: skip
        try:
            client = _answering(daemon, host, folder / "log")
            _make_image(client)
            yield host
            for container in client.containers.list(all=True, ignore_removed=True):
                container.remove(force=True)
            client.close()
        finally:
            daemon.terminate()
            try:
                daemon.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _answering(daemon: subprocess.Popen[bytes], host: str, log: Path) -> docker.DockerClient:
    deadline = time.monotonic() + START_SECONDS
    while daemon.poll() is None and time.monotonic() < deadline:
        try:
            client = docker.DockerClient(base_url=host)
            client.ping()
            return client
        except docker.errors.DockerException:
            time.sleep(0.1)
    words = log.read_text(errors="replace").splitlines()[-4:]
    raise NoEngine("\n  ".join(["dockerd does not start; it says:", *words]))


def _make_image(client: docker.DockerClient) -> None:
    """What is called like the official image here: nats-server and nothing else."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        files.add(find_binary().resolve(), "nats-server")
    repository, _, tag = IMAGE.partition(":")
    client.api.import_image_from_data(
        layer.getvalue(),
        repository=repository,
        tag=tag,
        changes=['ENTRYPOINT ["/nats-server"]', "EXPOSE 4222"],
    )


def main(command: list[str]) -> int:
    # The engine ends with us, however we are told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with engine() as host:
            environment = {**os.environ, "DOCKER_HOST": host, "STREAMS_TEST_BASE_IMAGES": "local"}
            return subprocess.run(command, env=environment).returncode
    except NoEngine as error:
        print(f"no container engine: {error}", file=sys.stderr)
        return NO_ENGINE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["docker", "info"]))
