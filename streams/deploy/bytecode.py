"""Compiled modules beside their sources, so that a cold start does not compile them.

The folder of a function cannot be written to: without these files Python
compiles everything anew at every cold start, which takes as long again as
the start itself.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from streams.deploy.interpreters import Interpreter
from streams.errors import BuildFailed

TASK_ROOT = "/var/task"
"""Where Lambda unpacks the zip: the paths that tracebacks show."""

_COMPILE_SECONDS = 600.0


def compile_modules(interpreter: Interpreter, tree: Path, parts: Iterable[Path]) -> None:
    """Compile the `parts` of a tree: folders and files in it.

    Hashes that nobody checks instead of times: a zip has none that would fit.

    Raises:
        BuildFailed: The Python cannot do it.
    """
    # One process and one order, because bytecode tells what else was compiled before it.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [
            *(interpreter.path, "-P", "-s", "-S", "-W", "ignore", "-m", "compileall", "-q", "-q", "-f"),
            *("--invalidation-mode", "unchecked-hash", "-s", tree, "-p", TASK_ROOT),
            *sorted(parts),
        ],
        cwd=tree,
        env={**clean, "PYTHONHASHSEED": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMPILE_SECONDS,
    )
    # 1: some file is no Python of this version. Packages bring such files, and nobody imports them.
    if done.returncode not in (0, 1) or "No module named compileall" in done.stderr:
        raise BuildFailed(f"{interpreter.path} cannot compile modules: {done.stderr.strip()[-300:]}")
