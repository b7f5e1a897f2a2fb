"""`streams sync`: the list of functions that `serverless.yml` takes, kept as the steps are."""

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
from streams.deploy.functions_list import Mode, differences, functions_list, mode_of
from streams.deploy.whole_files import write_text
from streams.errors import DefinitionRefused

app = typer.Typer()

LIST = Path("infra/functions.json")
_SHOWN = 5


@app.command("sync", rich_help_panel=PANEL)
def sync_functions(
    folder: Folder = FUNCTIONS,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The list, to be committed.")] = LIST,
    per_step: Annotated[
        bool | None,
        typer.Option(
            "--per-step/--router",
            show_default=False,
            help="A function for every step, or one for all of them. Without either: as the list was, else "
            "one for all.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing. Fail if the list is not as the steps are.")
    ] = False,
) -> None:
    """Write the list of functions that serverless.yml takes: a route for every http trigger."""
    there = _read(out)
    application = application_in(folder)
    mode = _mode(per_step, out, there, is_check=check)
    wanted = functions_list(application, mode)
    if check:
        _check(out, there, wanted, _command(folder, out, per_step))
    elif there != wanted:
        _write(out, wanted)
    outcome = ("unchanged", "dim") if there == wanted else ("written", "green")
    of = "one function" if mode == "router" else "a function for each"
    steps = counted(len(application.steps), "step")
    print_line(Text.assemble((str(out), "bold"), "  ", outcome, f"  {steps}, {of}"))


def _mode(per_step: bool | None, out: Path, there: str | None, *, is_check: bool) -> Mode:
    if per_step is not None:
        return "per-step" if per_step else "router"
    if there is None:
        return "router"
    try:
        return mode_of(there)
    except DefinitionRefused as error:
        raise CommandRefused(
            f"{out} does not say how it was made: {error}; say --router or --per-step"
            + (", and without --check, to replace it" if is_check else ", to replace it")
        ) from error


def _check(out: Path, there: str | None, wanted: str, command: str) -> None:
    if there is None:
        raise CommandRefused(f"{out} is not there; run `{command}`, and commit it")
    try:
        said = differences(there, wanted)
    except DefinitionRefused as error:
        said = [str(error)]
    if said:
        more = [f"{len(said) - _SHOWN} more"] if len(said) > _SHOWN else []
        listed = "; ".join([*said[:_SHOWN], *more])
        raise CommandRefused(f"{out} is not as the steps are: {listed}. Run `{command}`, and commit it")


def _command(folder: Path, out: Path, per_step: bool | None) -> str:
    """What would write the list that was asked for."""
    words = ["streams", "sync"]
    if folder != FUNCTIONS:
        words.append(str(folder))
    if out != LIST:
        words += ["--out", str(out)]
    if per_step is not None:
        words.append("--per-step" if per_step else "--router")
    return shlex.join(words)


def _read(out: Path) -> str | None:
    try:
        return out.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise CommandRefused(f"{out} cannot be read: {reason}; name another file with --out") from error


def _write(out: Path, text: str) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(text, out)
    except OSError as error:
        raise CommandRefused(
            f"{out} cannot be written: {error.strerror}; name another file with --out"
        ) from error
