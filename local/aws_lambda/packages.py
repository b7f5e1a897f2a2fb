"""What the Python runtime of Lambda has of its own, laid out from what is installed here."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

PACKAGES = (
    "awslambdaric",
    "snapshot-restore-py",
    "simplejson",
    "boto3",
    "botocore",
    "s3transfer",
    "jmespath",
    "python-dateutil",
    "six",
    "urllib3",
)
"""awslambdaric and boto3 with what they need: all that a function finds besides its own files."""


class RuntimeMissing(Exception):
    """A function cannot be run here as on Lambda. The text says what is missing."""


def link_packages(folder: Path) -> None:
    """Make `folder` and in it a link to each of `PACKAGES`, and to nothing else of this environment.

    Raises:
        RuntimeMissing: One is not installed here.
    """
    # The compiled files of single modules lie beside each other; those of packages are within them.
    (folder / "__pycache__").mkdir(parents=True)
    for name in PACKAGES:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError as error:
            raise RuntimeMissing(
                f"{name} is not installed, and functions on Lambda have it; "
                "install this project with its extra 'test'"
            ) from error
        tops = {Path(*file.parts[: 2 if file.parts[0] == "__pycache__" else 1]) for file in files}
        for top in tops - {Path("..")}:
            (folder / top).symlink_to(Path(str(distribution(name).locate_file(top))).resolve())


def interpreter(python: Path | None) -> tuple[Path, str]:
    """The interpreter to run functions with, and its version as Lambda writes it ("3.13").

    Raises:
        RuntimeMissing: It does not run, or the packages here are for another version.
    """
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if python is None:
        return Path(sys.executable), ours
    asked = "import sys; print(sys.executable); print('%d.%d' % sys.version_info[:2])"
    try:
        said = subprocess.run(
            [python, "-I", "-S", "-c", asked], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeMissing(f"{python} does not run as a Python interpreter: {error}") from error
    executable, theirs = said.stdout.splitlines()
    if theirs != ours:
        raise RuntimeMissing(
            f"{python} is Python {theirs}, but awslambdaric is installed here for Python {ours}, "
            f"and is compiled for one version; give a Python {ours}, "
            f"or run this in an environment that was made with Python {theirs}"
        )
    return Path(executable), theirs
