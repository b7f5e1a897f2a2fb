"""The todo app, in a folder outside of this repository."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.dev.commands import REPOSITORY


def copied_to(folder: Path) -> Path:
    """The folder, with the todo app in it."""
    shutil.copytree(
        REPOSITORY / "functions", folder / "functions", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copied_to(tmp_path)
