"""What our images are built on where nothing can be pulled: packages of Debian, unpacked.

`mmdebstrap` does that in a quarter of a minute. A system that is set up too
would take minutes, and Python, a shell and a proxy run without.
"""

from __future__ import annotations

import ast
import io
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import docker

from streams.dev.nats_server import find_binary

PACKAGES = (
    "python3", "python3-venv", "dash", "coreutils", "busybox-static", "haproxy",
    # Instead of a program that moves folders about, and needs all of Perl for it.
    "usr-is-merged",
)  # fmt: skip
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")


@dataclass(frozen=True, slots=True)
class BaseImages:
    """Names of images that are there."""

    python: str
    """In place of the official image of Python."""
    nats: str
    """nats-server and busybox, as in the official image of NATS."""
    proxy: str
    """In place of the official image of HAProxy."""

    @property
    def build_args(self) -> dict[str, str]:
        return {"PYTHON_IMAGE": self.python, "NATS_IMAGE": self.nats}


class NoBaseImages(Exception):
    """They cannot be made. The sentence says why."""


def make_base_images(client: docker.DockerClient) -> BaseImages:
    """Make them in an engine.

    Raises:
        NoBaseImages: The tools are missing, or the packages cannot be had.
    """
    made = BaseImages("streams-test/python:3", "streams-test/nats:2", "streams-test/haproxy:2")
    with TemporaryDirectory(prefix="base-") as folder:
        tree = Path(folder, "tree.tar")
        _unpack_packages(tree)
        with tarfile.open(tree) as files:
            busybox = files.extractfile("./bin/busybox")
            assert busybox is not None  # It is a file.
            _import(client, made.nats, _nats(busybox.read()), 'CMD ["nats-server"]')
        with tarfile.open(tree, "a") as files:
            _add(files, "./etc/nsswitch.conf", b"hosts: files dns\n")
            # As it is called in the official image.
            _link(files, "./usr/bin/python", "python3")
            _add_way_to_packages(files)
        _import(client, made.python, tree, 'CMD ["python3"]')
    proxy = f'FROM {made.python}\nCMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]\nUSER 99:99\n'
    client.images.build(fileobj=io.BytesIO(proxy.encode()), tag=made.proxy)
    return made


def _unpack_packages(into: Path) -> None:
    program = shutil.which("mmdebstrap")
    if program is None:
        raise NoBaseImages(
            "mmdebstrap is not installed: apt-get install -y --no-install-recommends mmdebstrap"
        )
    command = [
        program, "--quiet", "--variant=extract", f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT), "bookworm", str(into),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoBaseImages(f"mmdebstrap ended with {done.returncode}:\n{done.stderr}")


def _nats(busybox: bytes) -> bytes:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        files.add(find_binary().resolve(), "usr/local/bin/nats-server")
        _add(files, "bin/busybox", busybox, mode=0o755)
        for name in ("sh", "wget"):
            _link(files, f"bin/{name}", "busybox")
    return layer.getvalue()


def _add_way_to_packages(files: tarfile.TarFile) -> None:
    """What pip is told on this machine: where packages are, and whose certificates to trust there."""
    settings = _pip_settings()
    for name in ("cert", "find-links"):
        for path in map(Path, settings.get(name, "").split()):
            if path.exists():
                files.add(path.resolve(), f".{path}")
    lines = "".join(f"{name} = {' '.join(value.split())}\n" for name, value in settings.items())
    _add(files, "./etc/pip.conf", f"[global]\n{lines}".encode())


def _pip_settings() -> dict[str, str]:
    said = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings = {}
    for line in said.splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    return settings


def _add(files: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    files.addfile(entry, io.BytesIO(content))


def _link(files: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    files.addfile(entry)


def _import(client: docker.DockerClient, name: str, tree: Path | bytes, *changes: str) -> None:
    repository, _, tag = name.rpartition(":")
    path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    options = {"repository": repository, "tag": tag, "changes": [path, *changes]}
    if isinstance(tree, bytes):
        client.api.import_image_from_data(tree, **options)
    else:
        client.api.import_image_from_file(str(tree), **options)
