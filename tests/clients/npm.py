"""The npm packages that a folder's package.json names, put beside it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

SECONDS = 50
"""How long an installation may take. Shorter than a test's limit: it is part of the first test."""


def installed(folder: Path, seconds: float = SECONDS) -> Path:
    """The `node_modules` of `folder`, with what its package.json asks for.

    Installs only when package.json is not the one that was installed last.
    Where that cannot be done the test is skipped, and fails with
    `STREAMS_TEST_ALL`.
    """
    wanted, modules = folder / "package.json", folder / "node_modules"
    # The lock lets a second run of the tests wait until the first has installed.
    with wanted.open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        package = locked.read()
        # Kept in full and not by its time: a checkout makes every file new.
        done = modules / ".installed-package.json"
        if not (done.exists() and done.read_text() == package):
            _install(folder, seconds)
            done.write_text(package)
    return modules


def _install(folder: Path, seconds: float) -> None:
    npm = shutil.which("npm")
    if npm is None:
        left_out("npm is not installed")
    try:
        subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        left_out(f"npm install in {folder.name} took more than {seconds:g} s")
    except subprocess.CalledProcessError as error:
        complaints = error.stderr.strip().splitlines() or [f"exit status {error.returncode}"]
        left_out(f"npm install in {folder.name} failed: {complaints[0]}")


def left_out(reason: str) -> NoReturn:
    """Name what cannot be tested here; with `STREAMS_TEST_ALL`, fail of it."""
    if "STREAMS_TEST_ALL" in os.environ:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
