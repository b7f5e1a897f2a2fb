"""The package of this repository's functions: built once in a run, for all tests that want one."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import uuid
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from streams.deploy.build import build
from streams.deploy.targets import Architecture, Target, runtime_here
from streams.discovery import discover
from streams.errors import BuildFailed
from tests.clients.npm import left_out
from tests.dev.commands import REPOSITORY

SECONDS = 300
"""How long a test may take that is the first to want it: pip downloads thirty packages."""

HERE = REPOSITORY / ".build" / "tests"
CACHE = HERE / "cache"
"""What was installed in earlier runs."""

ARCHITECTURE = Architecture.ARM64 if platform.machine() in ("aarch64", "arm64") else Architecture.X86_64
"""This machine's, so that the package runs here."""

T = TypeVar("T")

_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex


def target_here() -> Target:
    """The runtime and the machine that the tests run on."""
    return Target(runtime_here(), ARCHITECTURE)


@cache
def built_zip() -> Path:
    """The zip of `functions/`, for the Python and the machine that the tests run on.

    Where the package index cannot be reached, the test is skipped; with
    `STREAMS_TEST_ALL` it fails. Mark a test that calls this
    `pytest.mark.timeout(SECONDS)`.
    """
    HERE.mkdir(parents=True, exist_ok=True)
    # Workers that run tests side by side wait here for the one that builds.
    with (HERE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        zipped, made_in = HERE / "functions.zip", HERE / "made-in"
        if not (made_in.exists() and made_in.read_text() == _RUN):
            made_in.unlink(missing_ok=True)
            with_index(lambda: build(discover(REPOSITORY / "functions"), target_here(), zipped, cache=CACHE))
            shutil.rmtree(HERE / "unpacked", ignore_errors=True)
            with zipfile.ZipFile(zipped) as archive:
                archive.extractall(HERE / "unpacked")
            made_in.write_text(_RUN)
        return zipped


def unpacked() -> Path:
    """The same as a folder, to be read only: what is at /var/task on Lambda."""
    return built_zip().parent / "unpacked"


def with_index(work: Callable[[], T]) -> T:
    """Do what asks the package index, or leave the test out where there is none."""
    try:
        return work()
    except BuildFailed as error:
        if "the package index cannot be reached" in str(error):
            left_out("the package index cannot be reached")
        raise
