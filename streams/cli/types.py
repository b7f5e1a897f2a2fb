"""`streams types`: what a frontend may know of an application, as one TypeScript file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from streams.cli.arguments import application_in
from streams.cli.printing import counted, print_line
from streams.cli.provisioning import FUNCTIONS, PANEL, Folder
from streams.cli.running import CommandRefused
from streams.deploy.whole_files import write_text

app = typer.Typer()


@app.command("types", rich_help_panel=PANEL)
def write_types(
    folder: Folder = FUNCTIONS,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="The file, such as web/src/streams.gen.ts. Without it, the types are printed.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing. Fail if the file is not as the models are.")
    ] = False,
) -> None:
    """Write the TypeScript types of all items, and of what steps take and answer."""
    # Here, and not above: reading steps loads FastAPI, which takes as long as the other commands do.
    from streams.typescript.document import types_of

    if check and out is None:
        raise CommandRefused("--check looks at a file; name it with --out")
    application = application_in(folder)
    if not application.streams:
        raise CommandRefused(
            f"no file below {folder} ends in _stream.py, so there are no types to write; name the folder "
            "that has the streams"
        )
    wanted = types_of(application)
    if out is None:
        typer.echo(wanted, nl=False)
        return
    there = _read(out)
    if check:
        _check(out, there, wanted, folder)
    elif there != wanted:
        _write(out, there, wanted)
    outcome = ("unchanged", "dim") if there == wanted else ("written", "green")
    of = f"{counted(len(application.streams), 'stream')}, {counted(len(application.steps), 'step')}"
    print_line(Text.assemble((str(out), "bold"), "  ", outcome, f"  {of}"))


def _check(out: Path, there: str | None, wanted: str, folder: Path) -> None:
    if there == wanted:
        return
    command = ["streams", "types", *([] if folder == FUNCTIONS else [str(folder)]), "--out", str(out)]
    state = "is not there" if there is None else "is not as the models are"
    raise CommandRefused(f"{out} {state}; run `{shlex.join(command)}`, and commit it")


def _read(out: Path) -> str | None:
    try:
        return out.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CommandRefused(
            f"{out} cannot be read: {error.strerror}; name another file with --out"
        ) from error


def _write(out: Path, there: str | None, text: str) -> None:
    from streams.typescript.document import HEADER

    if there and HEADER not in there:
        raise CommandRefused(
            f"{out} is something else, and would be lost; name another file with --out, or delete it"
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(text, out)
    except OSError as error:
        raise CommandRefused(
            f"{out} cannot be written: {error.strerror}; name another file with --out"
        ) from error
