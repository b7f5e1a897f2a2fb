"""Makes the package for AWS Lambda: one zip with the same bytes whenever the same goes into it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from streams.deploy.archive import write_archive
from streams.deploy.bytecode import compile_modules
from streams.deploy.contents import ship_application, ship_library
from streams.deploy.dependencies import dependencies
from streams.deploy.interpreters import interpreter_for
from streams.deploy.requirements import requirements_of
from streams.deploy.targets import MAX_UNZIPPED_BYTES, Target
from streams.deploy.trial import try_out
from streams.deploy.whole_files import write_text
from streams.discovery import Application
from streams.errors import BuildFailed
from streams.faas.asgi import functions_app
from streams.memory import MemoryStore


@dataclass(frozen=True, slots=True)
class Package:
    """What was built. All but `path` is what is written beside it, the same for the same bytes."""

    path: Path
    runtime: str
    architecture: str
    folder: str
    """The application's folder in it: STREAMS_FOLDER, unless that is `functions`."""
    sha256: str
    bytes: int
    unzipped_bytes: int
    has_pyc: bool
    """Whether modules are compiled. Without that, every cold start does it."""
    packages: dict[str, str]
    """What it depends on: names and versions."""


@dataclass(frozen=True, slots=True)
class Built:
    """A package, and what its builder should know of it."""

    package: Package
    unpinned: list[str]
    """Packages that are not installed here: pip chose their versions."""
    left_out: list[str]
    """Packages that something requires, and Lambda has itself."""
    was_tried: bool
    """Whether it was loaded once. Only a Python of the runtime's version can, on a machine like Lambda's."""


def build(
    application: Application,
    target: Target,
    out: Path,
    *,
    python: Path | None = None,
    requirements: Path | None = None,
    cache: Path | None = None,
) -> Built:
    """Write the package of an application to `out`, and what it is to a .json file beside it.

    Installed dependencies are kept in `cache` (`cache/` beside `out`), so
    that the next build needs no package index.

    Raises:
        BuildFailed: Says what is missing and what to do. What was at `out` before stays.
        DiscoveryFailed: Names every step that cannot become a route.
    """
    # Finds the handlers that FastAPI does not take.
    functions_app(application, MemoryStore())
    interpreter = interpreter_for(target, python)
    required = requirements_of(application.folder, requirements)
    out = out.absolute()
    _make_folder(out.parent)
    found = dependencies(required, target, interpreter, cache or out.parent / "cache")
    with tempfile.TemporaryDirectory(prefix=".package-", dir=out.parent) as work:
        tree = Path(work, "tree")
        shutil.copytree(found.tree, tree, copy_function=_link)
        ship_library(tree)
        shipped = ship_application(application, tree)
        if interpreter is not None:
            compile_modules(interpreter, tree, [tree / "streams", tree / shipped.top])
        unzipped = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
        if unzipped > MAX_UNZIPPED_BYTES:
            raise BuildFailed(_too_large(tree, unzipped))
        tried = interpreter is not None and interpreter.could_run(target)
        if interpreter is not None and tried:
            try_out(interpreter, tree, shipped.folder, application.folder)
        write_archive(tree, out)
    package = Package(
        path=out,
        runtime=target.runtime,
        architecture=target.architecture.value,
        folder=shipped.folder,
        sha256=_sha256(out),
        bytes=out.stat().st_size,
        unzipped_bytes=unzipped,
        has_pyc=interpreter is not None,
        packages=dict(sorted(found.packages.items())),
    )
    write_text(_document(package), out.with_suffix(".json"))
    unpinned = sorted(set(found.packages) - set(required.pins) - {"realtime-streams"})
    return Built(package, unpinned, found.left_out, tried)


def _make_folder(folder: Path) -> None:
    # Not asked for before: another build may make it at the same time.
    with suppress(FileExistsError):
        folder.mkdir(parents=True)
        # Nobody's source, and large.
        (folder / ".gitignore").write_text("*\n")


def _link(source: str, to: str) -> None:
    """Give a file of the cache a second name. Nothing writes to either."""
    try:
        os.link(source, to)
    except OSError:
        shutil.copyfile(source, to)


def _too_large(tree: Path, unzipped: int) -> str:
    sizes = {
        top.name: sum(path.stat().st_size for path in [top, *top.rglob("*")] if path.is_file())
        for top in tree.iterdir()
    }
    largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:3]
    named = ", ".join(f"{name} {sizes[name] / 1024 / 1024:.0f} MB" for name in largest)
    return (
        f"the package holds {unzipped / 1024 / 1024:.0f} MB and AWS Lambda takes "
        f"{MAX_UNZIPPED_BYTES // 1024 // 1024}; the largest parts are {named}. "
        "Require less, or deploy an image of a container"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _document(package: Package) -> str:
    described = asdict(package)
    del described["path"]
    return json.dumps(described, indent=2) + "\n"
