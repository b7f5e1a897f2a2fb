"""The packages that functions need, in a folder as Lambda sees them, and kept for the next build."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.metadata import Distribution, distributions
from pathlib import Path

from streams.deploy.bytecode import compile_modules
from streams.deploy.installing import Pip
from streams.deploy.interpreters import Interpreter
from streams.deploy.machine_code import unfit_files
from streams.deploy.requirements import EXTRAS, LIBRARY, Requirements, normalized, write_library_wheel
from streams.deploy.targets import Target
from streams.errors import BuildFailed

IN_THE_RUNTIME = frozenset(
    {"awslambdaric", "boto3", "botocore", "jmespath", "s3transfer", "snapshot-restore-py"}
)
"""Packages that Lambda has, by their normalized names. They are large, and kept up to date there."""

_FORM = 1
"""Grows when a folder that is made here looks different for the same packages."""

_KEPT = 4


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Installed packages."""

    tree: Path
    packages: dict[str, str]
    """Their names and versions."""
    left_out: list[str]
    """Those that Lambda has itself."""


def dependencies(
    requirements: Requirements, target: Target, interpreter: Interpreter | None, cache: Path
) -> Dependencies:
    """Install what is required, or find what an earlier build has installed for the same requirements.

    Raises:
        BuildFailed: pip cannot install it, or something of it does not run on the target.
    """
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / _key(requirements, target, interpreter)
    if not requirements.are_plain:
        shutil.rmtree(kept, ignore_errors=True)
    if not kept.is_dir():
        with tempfile.TemporaryDirectory(prefix=".installing-", dir=cache) as work:
            made = Path(work, "made")
            _install(requirements, target, interpreter, made)
            if not kept.is_dir():
                made.rename(kept)
    os.utime(kept)
    _forget_old(cache)
    found = json.loads((kept / "packages.json").read_text())
    return Dependencies(kept / "tree", found["packages"], found["left_out"])


def _install(requirements: Requirements, target: Target, interpreter: Interpreter | None, made: Path) -> None:
    tree, wheels = made / "tree", made / "wheels"
    tree.mkdir(parents=True)
    wheels.mkdir()
    write_library_wheel(requirements, wheels)
    constraints = made / "constraints.txt"
    constraints.write_text(requirements.constraints)
    wanted: list[str | Path] = ["--constraint", constraints]
    if requirements.file is not None:
        wanted += ["--requirement", requirements.file]
    ours = f"{LIBRARY}[{','.join(EXTRAS)}]=={requirements.version}"
    Pip(target, interpreter, wheels).install([*wanted, ours], tree)

    # Programs for a shell, each with the path of a Python that is not there.
    shutil.rmtree(tree / "bin", ignore_errors=True)
    left_out = _leave_out(tree)
    _refuse_unfit(tree, target)
    packages = {normalized(found.name): found.version for found in distributions(path=[str(tree)])}
    for found in tree.glob("*.dist-info"):
        _shorten(found)
    if interpreter is not None:
        compile_modules(interpreter, tree, [tree])
    (made / "packages.json").write_text(json.dumps({"packages": packages, "left_out": left_out}))


def _leave_out(tree: Path) -> list[str]:
    left_out: list[str] = []
    for found in list(distributions(path=[str(tree)])):
        if normalized(found.name) in IN_THE_RUNTIME:
            left_out.append(normalized(found.name))
            for file in _files_of(found, tree):
                file.unlink(missing_ok=True)
    for folder, _, _ in os.walk(tree, topdown=False):
        if not os.listdir(folder):
            Path(folder).rmdir()
    return sorted(left_out)


def _refuse_unfit(tree: Path, target: Target) -> None:
    owners = {
        file: f"{found.name} {found.version}"
        for found in distributions(path=[str(tree)])
        for file in _files_of(found, tree)
    }
    for path, reason in unfit_files(tree, target):
        raise BuildFailed(
            f"{owners.get(path, 'a package')} does not run on {target}: {path.relative_to(tree)} {reason}; "
            "use another version of it, or another --runtime or --arch"
        )


def _files_of(found: Distribution, tree: Path) -> list[Path]:
    return [tree / file for file in found.files or () if ".." not in file.parts]


def _shorten(metadata: Path) -> None:
    """Keep what `importlib.metadata` is asked for at run time: name, version, entry points."""
    for file in metadata.rglob("*"):
        if file.is_file() and file.relative_to(metadata).as_posix() not in ("METADATA", "entry_points.txt"):
            file.unlink()
    for folder in sorted((path for path in metadata.rglob("*") if path.is_dir()), reverse=True):
        folder.rmdir()
    file = metadata / "METADATA"
    headers = HeaderParser().parsestr(file.read_text(encoding="utf-8"))
    lines = [f"{name}: {value}" for name, value in headers.items() if name in _ASKED_FOR]
    file.write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]), encoding="utf-8")


_ASKED_FOR = ("Name", "Version", "Requires-Python", "Provides-Extra", "Requires-Dist")


def _key(requirements: Requirements, target: Target, interpreter: Interpreter | None) -> str:
    inputs = [
        _FORM,
        str(target),
        interpreter and interpreter.version,
        requirements.metadata,
        requirements.constraints,
        requirements.own,
    ]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:32]


def _forget_old(cache: Path) -> None:
    newest_first = sorted(
        (path for path in cache.iterdir() if (path / "packages.json").is_file()),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    for path in newest_first[_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
