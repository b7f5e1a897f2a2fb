"""Our own files in a package: this library without what never runs on Lambda, and the application."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import streams
from streams.discovery import Application
from streams.errors import BuildFailed

LEFT_OUT = frozenset({"__main__.py", "cli", "client", "deploy", "dev", "gateway", "py.typed", "typescript"})
"""Parts of this library that no function imports."""

_SKIPPED = frozenset({"__pycache__", "node_modules", "venv", "web", "tests", "conftest.py"})


@dataclass(frozen=True, slots=True)
class Shipped:
    """Where the application is in a package."""

    top: str
    """The name of the folder in the package's root that it is in."""
    folder: str
    """The application's folder as a path from the package's root. The same as `top`, if it is no package
    inside another one."""


def shipped_folder(application: Application) -> str:
    """Where the application's folder is in its package, as a path from the package's root.

    If it is a package inside others, the path begins with the outermost one:
    the names of its modules do, too.
    """
    folder = application.folder
    return folder.relative_to(_outermost(folder).parent).as_posix()


def ship_library(tree: Path) -> None:
    """Copy the parts of this library that functions need.

    Raises:
        BuildFailed: A package brings modules of the same name.
    """
    ours = Path(streams.__file__).parent
    if (tree / ours.name).exists():
        raise BuildFailed(
            f"a package that the functions need has modules called {ours.name!r}, as this library has; "
            "do without it"
        )
    for path in sorted(ours.rglob("*")):
        relative = path.relative_to(ours)
        if path.is_file() and relative.parts[0] not in LEFT_OUT and "__pycache__" not in relative.parts:
            _copy(path, tree / ours.name / relative)


def ship_application(application: Application, tree: Path) -> Shipped:
    """Copy the application's folder under its own name: no pages, no tests, nothing hidden.

    If it is a package inside others, the outermost one is copied: the names
    of its modules begin there.

    Raises:
        BuildFailed: Its name is taken, or a file of a step would be missing.
    """
    top = _outermost(application.folder)
    if (tree / top.name).exists():
        raise BuildFailed(
            f"{top.name!r} is the name of a package that the functions need, too; rename the folder {top}"
        )
    for path in _files(top):
        _copy(path, tree / top.name / path.relative_to(top))
    shipped = Shipped(top.name, shipped_folder(application))
    for path in _imported_from(top):
        if not (tree / path.relative_to(top.parent)).is_file():
            raise BuildFailed(
                f"{path} is imported, and would not be shipped: its name, or that of a folder it is in, "
                "is one of tests or pages; move or rename it"
            )
    return shipped


def _imported_from(top: Path) -> list[Path]:
    """The files that loading the application has imported."""
    files = {Path(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
    # A venv may be in there.
    return sorted(path for path in files if path.is_relative_to(top) and "site-packages" not in path.parts)


def _outermost(folder: Path) -> Path:
    while (folder / "__init__.py").exists() and (folder.parent / "__init__.py").exists():
        folder = folder.parent
    return folder


def _files(top: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not _is_skipped(name))
        for name in sorted(files):
            path = Path(folder, name)
            if not _is_skipped(name) and not _is_test(path) and path.is_file():
                yield path


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED


def _is_test(path: Path) -> bool:
    return path.suffix == ".pyc" or (path.suffix == ".py" and path.name.startswith("test_"))


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)
