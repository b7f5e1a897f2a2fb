"""Pythons on this machine: one of the runtime's version makes bytecode for it, and tries what was built."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streams.deploy.targets import Target
from streams.errors import BuildFailed

_ANSWER_SECONDS = 20.0

_ASKED = (
    "import json, platform, sys; print(json.dumps([platform.python_version(), sys.implementation.name, "
    "platform.system(), platform.machine()]))"
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that was run and has answered."""

    path: Path
    version: str
    """With its patch: `3.13.0`."""
    system: str
    machine: str

    def makes_bytecode_for(self, target: Target) -> bool:
        return self.version.startswith(f"{target.python}.")

    def could_run(self, target: Target) -> bool:
        """Whether what is built for `target` runs with it on this machine."""
        same = _MACHINES.get(self.machine.lower(), self.machine) == target.architecture.machine
        return self.makes_bytecode_for(target) and self.system == "Linux" and same


_MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}


def interpreter_for(target: Target, named: Path | None) -> Interpreter | None:
    """A Python of the runtime's version: the one that is named, else the running one, else one on PATH.

    Raises:
        BuildFailed: The one that is named is of another version, or none at all.
    """
    if named is not None:
        return _named(named, target)
    running = Interpreter(
        Path(sys.executable), platform.python_version(), platform.system(), platform.machine()
    )
    if running.makes_bytecode_for(target) and sys.implementation.name == "cpython":
        return running
    for path in _on_path(target.runtime):
        found = _asked(path)
        if found is not None and found.makes_bytecode_for(target):
            return found
    return None


def _named(path: Path, target: Target) -> Interpreter:
    # As it stands: where a link leads to is another Python, without the packages of a venv.
    found = _asked(path.absolute())
    if found is None:
        raise BuildFailed(
            f"--python {path} does not run as a Python; name an executable of CPython {target.python}"
        )
    if not found.makes_bytecode_for(target):
        raise BuildFailed(
            f"--python {path} is {found.version}, and {target.runtime} loads bytecode of "
            f"{target.python} only; name one of that version, or choose another --runtime"
        )
    return found


def _on_path(name: str) -> Iterator[Path]:
    # All of them: the first may be a shim for a version that is not chosen here, which only complains.
    for folder in os.get_exec_path():
        path = Path(folder, name)
        if os.access(path, os.X_OK) and path.is_file():
            yield path.absolute()


def _asked(path: Path) -> Interpreter | None:
    """What a Python says of itself; None: it is none, or not the one that AWS Lambda runs."""
    try:
        answer = subprocess.run(
            [path, "-I", "-S", "-c", _ASKED],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=True,
            timeout=_ANSWER_SECONDS,
        )
        version, implementation, system, machine = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Interpreter(path, version, system, machine) if implementation == "cpython" else None
