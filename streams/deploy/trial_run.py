"""Run by a Python without packages: imports what Lambda would from an unpacked package.

Arguments: the package's root, the application's folder in it, the file that
what failed is written to. Nothing else of this library may be imported before the root is
known, so this is a program and no module.
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
from pathlib import Path


def _main(root: Path, folder: str, answer: Path) -> None:
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(root))
    failed = [problem for name in _imported_by_entry(root) if (problem := _problem_of(name)) is not None]
    # What is wrong with the library would be wrong with every step.
    failed = failed or _problems_of_application(root / folder)
    answer.write_text(json.dumps(failed))


def _imported_by_entry(root: Path) -> list[str]:
    """Modules that the entry imports. Not itself: it starts to serve."""
    entry = root / "streams/faas/aws_lambda.py"
    names = {"mangum", "streams.faas.asgi"}
    for node in ast.parse(entry.read_bytes()).body:
        match node:
            case ast.Import(names=aliases):
                names.update(alias.name for alias in aliases)
            case ast.ImportFrom(module=str(name), level=0):
                names.add(name)
    return sorted(names)


def _problem_of(name: str) -> tuple[str, int, str] | None:
    try:
        importlib.import_module(name)
    except Exception as error:
        return name, 0, f"{type(error).__name__}: {error}"
    return None


def _problems_of_application(folder: Path) -> list[tuple[str, int, str]]:
    from streams.discovery import discover
    from streams.errors import DiscoveryFailed
    from streams.faas.asgi import functions_app
    from streams.memory import MemoryStore

    try:
        functions_app(discover(folder), MemoryStore())
    except DiscoveryFailed as failed:
        return [
            (_relative(problem.path, folder), problem.line, problem.message) for problem in failed.problems
        ]
    return []


def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder.parent) if path.is_relative_to(folder.parent) else path)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
