"""Packages that tests make, and a pip that knows no others."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from streams.deploy.dependencies import Dependencies, dependencies
from streams.deploy.interpreters import Interpreter, interpreter_for
from streams.deploy.requirements import LIBRARY, Requirements
from streams.deploy.targets import Target
from tests.deploy.built import target_here

LIBRARY_METADATA = f"""\
Metadata-Version: 2.1
Name: {LIBRARY}
Version: 0.1.0
Provides-Extra: functions
Provides-Extra: lambda
Provides-Extra: nkeys
"""
"""Of a library that needs nothing."""


class Shop:
    """All packages that there are, for pips that this test starts."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root, self._wheels = folder, folder / "wheels"
        self._wheels.mkdir()
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(self._wheels))

    def wheel(
        self,
        name: str,
        version: str = "1.0",
        files: Mapping[str, str | bytes] | None = None,
        *,
        requires: str | None = None,
        tag: str = "py3-none-any",
    ) -> None:
        """A package with these files; without any, one module."""
        info = f"{name}-{version}.dist-info"
        content = {
            **(files if files is not None else {f"{name}.py": f"VERSION = {version!r}\n"}),
            f"{info}/METADATA": _metadata(name, version, requires),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
            f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
        }
        record = "".join(f"{path},,\n" for path in [*content, f"{info}/RECORD"])
        with zipfile.ZipFile(self._wheels / f"{name}-{version}-{tag}.whl", "w") as wheel:
            for path, text in {**content, f"{info}/RECORD": record}.items():
                wheel.writestr(path, text)

    def sources(self, name: str, version: str = "1.0") -> None:
        """A package that is published without a wheel. It brings what makes one of it."""
        files = {
            "PKG-INFO": _metadata(name, version, None),
            "pyproject.toml": _BUILT_BY_MAKER,
            "maker.py": _MAKER.format(name=name, version=version),
        }
        with tarfile.open(self._wheels / f"{name}-{version}.tar.gz", "w:gz") as archive:
            for path, text in files.items():
                entry = tarfile.TarInfo(f"{name}-{version}/{path}")
                entry.size = len(text.encode())
                archive.addfile(entry, io.BytesIO(text.encode()))

    def closes(self) -> None:
        """From now on there are no packages any more."""
        for package in self._wheels.iterdir():
            package.unlink()

    def installed(
        self,
        requirements: str,
        pins: Mapping[str, str] | None = None,
        *,
        target: Target | None = None,
        interpreter: Interpreter | None = None,
    ) -> Dependencies:
        """What a build installs for an application with this requirements.txt."""
        file = self._root / "requirements.txt"
        file.write_text(dedent(requirements))
        target = target or target_here()
        required = Requirements(LIBRARY_METADATA, "0.1.0", dict(pins or {}), file)
        return dependencies(
            required, target, interpreter or interpreter_for(target, None), self._root / "cache"
        )


def shared_library(machine: int) -> bytes:
    """The first bytes of a library for 64-bit Linux on a machine, by its number in ELF."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 3, machine, 1)


def files_in(tree: Path) -> set[str]:
    return {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}


def _metadata(name: str, version: str, requires: str | None) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    if requires is not None:
        lines.append(f"Requires-Dist: {requires}")
    return "\n".join([*lines, "", "A long description.", ""])


_BUILT_BY_MAKER = """
[build-system]
requires = []
build-backend = "maker"
backend-path = ["."]
"""

_MAKER = """
import zipfile

def build_wheel(folder, settings=None, metadata=None):
    info, file = "{name}-{version}.dist-info", "{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + file, "w") as wheel:
        wheel.writestr("{name}.py", "VERSION = '{version}'\\n")
        wheel.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        wheel.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "/RECORD", "{name}.py,,\\n" + info + "/METADATA,,\\n" + info + "/WHEEL,,\\n")
    return file
"""
