"""Imports a package as Lambda will, before it is shipped: only what is in it is there."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path

from streams.deploy.dependencies import IN_THE_RUNTIME
from streams.deploy.interpreters import Interpreter
from streams.errors import BuildFailed

_PROGRAM = Path(__file__).with_name("trial_run.py")
_SECONDS = 120.0

_MISSING = re.compile(r"ModuleNotFoundError: No module named '([^']+)'")
_THERE = {name.replace("-", "_") for name in IN_THE_RUNTIME}


def try_out(interpreter: Interpreter, tree: Path, folder: str, application: Path) -> None:
    """Load the application in the `folder` of an unpacked package. `application` is where it came from.

    Raises:
        BuildFailed: Names every module that cannot be imported, and who imports it.
    """
    with tempfile.TemporaryDirectory() as work:
        answer = Path(work, "answer.json")
        try:
            done = subprocess.run(
                [interpreter.path, "-I", "-S", "-B", _PROGRAM, tree, folder, answer],
                cwd=work,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise BuildFailed(
                f"what was built does not load within {_SECONDS:g} s; a module of {application.name} waits "
                "for something when it is imported"
            ) from error
        if done.returncode != 0 or not answer.exists():
            last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise BuildFailed(f"what was built does not load in {interpreter.path}: {last}")
        problems: list[tuple[str, int, str]] = json.loads(answer.read_text())
    lines = [line for problem in problems if (line := _line(problem, application))]
    if lines:
        raise BuildFailed("what was built would not start on Lambda:\n" + "\n".join(lines))


def _line(problem: tuple[str, int, str], application: Path) -> str | None:
    """What is wrong, and what to do; None: Lambda has what is missing here."""
    where, number, message = problem
    place = f"{where}:{number}" if number else where
    missing = _MISSING.match(message)
    if missing is None:
        return f"  {place}: {message}"
    top = missing[1].partition(".")[0]
    if top in _THERE:
        return None
    beside = application.parent / top
    if beside.is_dir() or beside.with_suffix(".py").is_file():
        return (
            f"  {place} imports {missing[1]!r}, which is beside {application.name}/ and not in it; "
            f"move it to {application.name}/{top}, because only that folder is shipped"
        )
    return (
        f"  {place} imports {missing[1]!r}, which is not in the package; "
        f"add what it is part of to {application.name}/requirements.txt"
    )
