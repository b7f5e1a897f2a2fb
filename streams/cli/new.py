"""`streams new`: a project that runs, in six files."""

from __future__ import annotations

import errno
import keyword
import os
import re
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.text import Text

from streams.cli.printing import print_line
from streams.cli.running import CommandRefused

app = typer.Typer()

STARTER = (
    "pyproject.toml",
    "functions/__init__.py",
    "functions/poll/choice_stream.py",
    "functions/poll/vote_step.py",
    "functions/poll/web/index.html",
    "test_poll.py",
)
"""What a project begins with. Kept as `starter/*.txt`: it is not a part of this library for any tool."""

_NAME = re.compile("[A-Za-z]([A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")


@app.command("new")
def new_project(
    name: Annotated[
        str, typer.Argument(metavar="NAME", show_default=False, help="The project, and its new folder.")
    ],
) -> None:
    """Make a folder with a small live application, its page and its test."""
    make_project(name)
    print_line(Text.assemble((name, "bold"), f" is there: a live poll in {len(STARTER)} files. Next:\n"))
    print_line(Text(f"  cd {name}", "bold"))
    print_line(Text.assemble("  ", ("streams dev", "bold"), ("   runs it; open its page twice", "dim")))
    print_line(Text.assemble("  ", ("pytest", "bold"), ("        runs its test, without a server", "dim")))


def make_project(name: str) -> None:
    """Make the folder `name` in the current one: all of it, or nothing.

    Raises:
        CommandRefused: It cannot have that name, it is there already, or it cannot be written.
    """
    _check(name)
    try:
        # Written out of sight, and put in its place by one rename: whatever happens, no half of it is there.
        with TemporaryDirectory(prefix=".streams-new-", dir=".") as place:
            _write(Path(place, name), name)
            # Replaces an empty folder, and nothing else.
            os.rename(Path(place, name), name)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            problem = "it is there already, and no empty folder; choose another name, or move it away"
        else:
            problem = f"{error.strerror}; go to a folder where it can be written"
        raise CommandRefused(f"{name} was not made: {problem}") from error


def _check(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        problem = (
            "is no name for a project: up to 64 letters, digits, - and _, "
            "beginning with a letter and ending with a letter or digit"
        )
    elif keyword.iskeyword(name):
        problem = "is a word of Python's own; choose another"
    elif name == "streams":
        problem = "is the name of the library, which it would hide; choose another"
    else:
        return
    raise CommandRefused(f"{name!r} {problem}, as in `streams new hello`")


def _write(folder: Path, name: str) -> None:
    starter = files("streams.cli").joinpath("starter")
    for path in STARTER:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        text = starter.joinpath(f"{path}.txt").read_text(encoding="utf-8")
        file.write_text(text.replace("PROJECT", name), encoding="utf-8", newline="\n")
