"""What has to be installed beside the functions, in the versions that are installed here.

What was tested is what is shipped: every package that this environment has is
held to its version.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from streams.errors import BuildFailed

LIBRARY = "realtime-streams"
EXTRAS = ("lambda", "nkeys")

_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w.-]+)['\"]")
_PLAIN = re.compile(r"\s*(#|$|[A-Za-z0-9][^/@]*$)")


@dataclass(frozen=True, slots=True)
class Requirements:
    """What pip is told."""

    metadata: str
    """Of this library as it is on Lambda: what it needs there, and nothing else."""
    version: str
    """Of this library."""
    pins: dict[str, str]
    """Packages that are installed here, by their normalized names, and their versions."""
    file: Path | None
    """The application's own."""

    @property
    def constraints(self) -> str:
        return "".join(f"{name}=={version}\n" for name, version in sorted(self.pins.items()))

    @property
    def own(self) -> str:
        """The text of the application's file."""
        return "" if self.file is None else self.file.read_text(encoding="utf-8")

    @property
    def are_plain(self) -> bool:
        """Whether the file says all there is: it names no other file, no folder and no address."""
        return all(_PLAIN.match(line) for line in self.own.splitlines())


def requirements_of(folder: Path, named: Path | None) -> Requirements:
    """What the application in `folder` needs on Lambda: `named`, or the folder's own requirements.txt.

    Raises:
        BuildFailed: There is no such file.
    """
    beside = folder / "requirements.txt"
    file = named or (beside if beside.is_file() else None)
    if file is not None and not file.is_file():
        raise BuildFailed(f"--requirements {file}: there is no such file")
    library = distribution(LIBRARY)
    return Requirements(_metadata(library), library.version, _pins(), file and file.resolve())


def normalized(name: str) -> str:
    """One spelling for all of a package's names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def write_library_wheel(requirements: Requirements, folder: Path) -> None:
    """This library as a wheel without modules, for pip to see what it needs.

    So pip reads conditions such as `python_version < "3.12"`, and an
    application that requires this library itself gets this version of it.
    """
    name = f"{LIBRARY.replace('-', '_')}-{requirements.version}"
    files = {
        f"{name}.dist-info/METADATA": requirements.metadata,
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: streams\nRoot-Is-Purelib: true\n"
        "Build: 1\nTag: py3-none-any\n",
    }
    record = [f"{path},{_digest(text)},{len(text.encode())}\n" for path, text in files.items()]
    files[f"{name}.dist-info/RECORD"] = "".join([*record, f"{name}.dist-info/RECORD,,\n"])
    # With a build number it goes before one of the same version from elsewhere.
    with zipfile.ZipFile(folder / f"{name}-1-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(zipfile.ZipInfo(path), text)


def _metadata(library: Distribution) -> str:
    needed = [line for line in library.requires or () if _is_needed(line)]
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {LIBRARY}",
        f"Version: {library.version}",
        # All that there are: an application may ask for one that is of no use on Lambda.
        *(f"Provides-Extra: {extra}" for extra in library.metadata.get_all("Provides-Extra") or ()),
        *(f"Requires-Dist: {line}" for line in needed),
    ]
    return "\n".join(lines) + "\n"


def _is_needed(line: str) -> bool:
    extras = _EXTRA.findall(line)
    return not extras or any(extra in EXTRAS for extra in extras)


def _pins() -> dict[str, str]:
    pins: dict[str, str] = {}
    for installed in distributions():
        name = normalized(installed.name)
        # One that came from a folder or an address has a version that means nothing elsewhere.
        if name != LIBRARY and installed.read_text("direct_url.json") is None:
            pins.setdefault(name, installed.version.partition("+")[0])
    return pins


def _digest(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"
