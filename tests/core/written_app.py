"""Applications that tests write to disk, and what is found in them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from textwrap import dedent

import pytest

from streams.discovery import Application, discover
from streams.errors import DiscoveryFailed, Problem

_names = (f"discovered{number}" for number in count())

STREAM = """
    from streams import Stream

    {name} = Stream("{name}", dict)
"""
STEP = """
    from streams import StepConfig, http

    config = StepConfig(name="{name}", triggers=[http("{method}", "{path}")])

    async def handler(): ...
"""


class App:
    """An application that a test writes. Its folder's name is like no other module's."""

    def __init__(self, root: Path) -> None:
        self.folder = root / next(_names)
        self.folder.mkdir()

    def write(self, path: str, text: str = "") -> Path:
        """A file. Its first line is the first one that is not empty."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text).lstrip("\n"))
        return file

    def stream(self, path: str, name: str = "todo") -> Path:
        return self.write(path, STREAM.format(name=name))

    def step(self, path: str, name: str = "Create", method: str = "POST", route: str = "/todo") -> Path:
        return self.write(path, STEP.format(name=name, method=method, path=route))

    def found(self) -> Application:
        return discover(self.folder)

    def problems(self) -> list[Problem]:
        return problems_in(self.folder)

    def problem(self) -> Problem:
        (problem,) = self.problems()
        return problem


def names(application: Application) -> tuple[list[str], list[str]]:
    return [stream.name for stream in application.streams], [step.config.name for step in application.steps]


def problems_in(folder: Path) -> list[Problem]:
    with pytest.raises(DiscoveryFailed) as failed:
        discover(folder)
    return list(failed.value.problems)


@contextmanager
def forgotten(app: App) -> Iterator[App]:
    """The application for the length of the block; afterwards Python knows nothing of it."""
    path_before = list(sys.path)
    yield app
    sys.path[:] = path_before
    for name in [name for name in sys.modules if name.partition(".")[0] == app.folder.name]:
        del sys.modules[name]
