"""`streams build`: the functions as a zip for AWS Lambda."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from streams.cli.arguments import AsJson, application_in
from streams.cli.printing import counted, err, print_json, print_line, print_note
from streams.cli.provisioning import FUNCTIONS, PANEL, Folder
from streams.deploy.targets import MAX_UPLOAD_BYTES, Architecture, Target, runtime_here

if TYPE_CHECKING:
    from streams.deploy.build import Built

app = typer.Typer()


@app.command("build", rich_help_panel=PANEL)
def build_functions(
    folder: Folder = FUNCTIONS,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The zip. What it is made of is said in a .json beside it.")
    ] = Path(".build/functions.zip"),
    arch: Annotated[
        Architecture, typer.Option(help="The machine that it is to run on.")
    ] = Architecture.ARM64,
    runtime: Annotated[
        str | None,
        typer.Option(
            metavar="python3.13",
            show_default=False,
            help="Lambda's runtime. Without it: the one with the Python that runs this.",
        ),
    ] = None,
    python: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            show_default=False,
            help="A Python of the runtime's version. Without it, one is looked for on PATH.",
        ),
    ] = None,
    requirements: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="What your files import besides. Without it: the folder's requirements.txt, if it has one.",
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Make a zip for AWS Lambda: your steps, this library and all they need, for Lambda's machines.

    The same input makes the same bytes. Packages that are installed here are
    shipped in the versions that they have here.
    """
    # Here, and not above: it loads FastAPI, which takes as long as the other commands do.
    from streams.deploy.build import build

    began = time.monotonic()
    target = Target(runtime or runtime_here(), arch)
    application = application_in(folder)
    if not json:
        print_note(f"building {folder} for {target}")
    built = build(application, target, out, python=python, requirements=requirements)
    package, seconds = built.package, time.monotonic() - began
    if json:
        print_json(_document(built, seconds))
    else:
        size = f"{_megabytes(package.bytes)}, {_megabytes(package.unzipped_bytes)} unzipped"
        packages = counted(len(package.packages), "package")
        print_line(
            Text.assemble(
                (str(out), "bold"),
                f"  {size}  {target}  {packages}  sha256 {package.sha256[:12]}  ",
                (f"{seconds:.1f} s", "dim"),
            )
        )
        _print_notes(built)
    if not package.has_pyc:
        # With --json as well: who reads that may not look for it.
        err.print(Text(_WITHOUT_BYTECODE.format(target), "bold yellow"), soft_wrap=True)


def _document(built: Built, seconds: float) -> dict[str, Any]:
    document = asdict(built)
    return {**document.pop("package"), **document, "seconds": round(seconds, 1)}


_WITHOUT_BYTECODE = (
    "WARNING: no {0.runtime} is installed here, so the package has no compiled modules, and every cold start "
    "compiles them anew: it takes about twice as long. Nor was it tried whether all modules are there. "
    "Install {0.runtime}, or name one with --python, or choose the --runtime that runs here"
)


def _print_notes(built: Built) -> None:
    if built.left_out:
        print_note(f"left out, because Lambda has them: {', '.join(built.left_out)}")
    if built.unpinned:
        print_note(
            f"not installed here, so pip chose their versions: {', '.join(built.unpinned)}; "
            "install them, and the versions that you test with are shipped"
        )
    if built.package.bytes > MAX_UPLOAD_BYTES:
        print_note(
            f"Lambda takes no upload of more than {_megabytes(MAX_UPLOAD_BYTES)}: deploy it by way of S3"
        )
    if built.package.has_pyc and not built.was_tried:
        print_note("not tried: this machine cannot run what is built for that one")


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MB"
