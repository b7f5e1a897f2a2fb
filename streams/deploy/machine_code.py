"""Whether compiled files in a folder are for the machine and the Python that they are to run on."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

from streams.deploy.targets import Target

_MACHINES = {62: "x86_64", 183: "aarch64", 3: "x86", 40: "arm", 243: "riscv", 21: "ppc64le", 22: "s390x"}
"""`e_machine` of an ELF file."""

_MADE_FOR = re.compile(r"\.cpython-(?P<python>\d+)\w*-(?P<machine>[^-]+)-linux-(?P<libc>\w+)\.so$")
_LIBRARY = re.compile(r"\.so(\.\d+)*$")


def unfit_files(tree: Path, target: Target) -> Iterator[tuple[Path, str]]:
    """Shared libraries below `tree` that the target cannot load, and what each of them is for."""
    for path in sorted(tree.rglob("*.so*")):
        if path.is_file() and _LIBRARY.search(path.name) and (reason := _unfit(path, target)):
            yield path, reason


def is_library(name: str) -> bool:
    """Whether a file of that name is a shared library."""
    return _LIBRARY.search(name) is not None


def _unfit(path: Path, target: Target) -> str | None:
    machine = _machine_of(path)
    if machine != target.architecture.machine:
        return f"is for {machine}" if machine else "is no library for 64-bit Linux"
    named = _MADE_FOR.search(path.name)
    if named is None:
        return None
    if named["python"] != target.python.replace(".", ""):
        return f"is for Python {named['python'][0]}.{named['python'][1:]}"
    return None if named["libc"] == "gnu" else f"is for a Linux with {named['libc']}"


def _machine_of(path: Path) -> str | None:
    with path.open("rb") as file:
        header = file.read(20)
    # Of the class 64-bit, in little-endian order: what both of Lambda's machines are.
    if len(header) < 20 or not header.startswith(b"\x7fELF\x02\x01"):
        return None
    (number,) = struct.unpack_from("<H", header, 18)
    return _MACHINES.get(number, f"machine {number}")
