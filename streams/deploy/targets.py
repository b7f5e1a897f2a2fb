"""Where a package is to run: the runtimes and machines that AWS Lambda has."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum

from streams.errors import BuildFailed

_NEWEST_GLIBC = {"python3.11": 26, "python3.12": 34, "python3.13": 34, "python3.14": 34}
"""The x of glibc 2.x there: Amazon Linux 2 for the first, 2023 for the others. Newer wheels do not load."""

RUNTIMES = tuple(_NEWEST_GLIBC)

MAX_UNZIPPED_BYTES = 250 * 1024 * 1024
"""Lambda's limit of what a zip holds."""

MAX_UPLOAD_BYTES = 50 * 1024 * 1024
"""Lambda's limit of a zip that is uploaded to it; a larger one goes by way of S3."""


class Architecture(StrEnum):
    """A machine, by Lambda's name for it."""

    ARM64 = "arm64"
    X86_64 = "x86_64"

    @property
    def machine(self) -> str:
        """The same by Linux's name, which is that of wheels."""
        return "aarch64" if self is Architecture.ARM64 else "x86_64"


@dataclass(frozen=True, slots=True)
class Target:
    """One runtime on one machine."""

    runtime: str
    architecture: Architecture

    def __post_init__(self) -> None:
        if self.runtime not in RUNTIMES:
            raise BuildFailed(f"AWS Lambda has no runtime {self.runtime!r} for us; use {_either(RUNTIMES)}")

    @property
    def python(self) -> str:
        """The version of Python without its patch: `3.13`."""
        return self.runtime.removeprefix("python")

    @property
    def wheel_platforms(self) -> list[str]:
        """Tags of the wheels that load there. The older C library comes first: it has been tried longer."""
        machine, newest = self.architecture.machine, _NEWEST_GLIBC[self.runtime]
        newer = [f"manylinux_2_{minor}_{machine}" for minor in range(17, newest + 1)]
        older = [f"manylinux_2_{minor}_{machine}" for minor in range(16, 4, -1)]
        return [f"manylinux2014_{machine}", *newer, *older]

    def __str__(self) -> str:
        return f"{self.runtime} on {self.architecture.value}"


def runtime_here() -> str:
    """The runtime with the Python that is running.

    Raises:
        BuildFailed: Lambda does not have it.
    """
    here = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if here not in RUNTIMES:
        raise BuildFailed(f"AWS Lambda has no runtime {here}; choose one with --runtime: {_either(RUNTIMES)}")
    return here


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
