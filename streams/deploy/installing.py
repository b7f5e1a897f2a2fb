"""Lets pip put packages for another machine into a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from streams.deploy.interpreters import Interpreter
from streams.deploy.targets import Target
from streams.errors import BuildFailed

_SECONDS = 900.0
_LAST_LINES = 6
_RETRYING = "after connection broken by"
_CONSTRAINT = "(constraint)"


@dataclass(frozen=True, slots=True)
class Pip:
    """pip, for one target."""

    target: Target
    interpreter: Interpreter | None
    """Of the target's version: conditions such as `python_version < "3.12"` are read with it."""
    wheels: Path
    """A folder with wheels that count beside those of the package index. More are put there."""

    def install(self, wanted: Iterable[str | Path], into: Path) -> None:
        """Put what is `wanted`, and all that it needs, into a folder. They are arguments of `pip install`.

        Raises:
            BuildFailed: pip cannot. Its last lines say why.
        """
        wanted = list(wanted)
        words = [
            "install",
            "--no-compile",
            "--no-warn-conflicts",
            "--implementation=cp",
            "--only-binary=:all:",
            f"--python-version={self.target.python}",
            *(f"--platform={platform}" for platform in self.target.wheel_platforms),
            f"--target={into}",
            f"--find-links={self.wheels}",
            *wanted,
        ]
        done = self._run(*words)
        if done.returncode != 0 and self._has_made_wheels(wanted):
            done = self._run(*words)
        if done.returncode != 0:
            raise BuildFailed(_why(done, self.target))

    def _has_made_wheels(self, wanted: Iterable[str | Path]) -> bool:
        """Make wheels of the packages that are published as sources only and have nothing to compile."""
        resolved = self._run(
            *("install", "--dry-run", "--ignore-installed", "--report=-", "--quiet"),
            *(f"--find-links={self.wheels}", *wanted),
        )
        if resolved.returncode != 0:
            return False
        made = False
        for package in json.loads(resolved.stdout)["install"]:
            if not package["download_info"]["url"].endswith(".whl"):
                found = package["metadata"]
                made |= self._has_made_wheel(f"{found['name']}=={found['version']}")
        return made

    def _has_made_wheel(self, package: str) -> bool:
        before = set(self.wheels.iterdir())
        # One that fails here is named by pip when it is to be installed.
        self._run("wheel", "--no-deps", "--wheel-dir", self.wheels, package)
        made = set(self.wheels.iterdir()) - before
        for wheel in made:
            if not wheel.name.endswith("-none-any.whl"):
                # It is for this machine.
                wheel.unlink()
        return any(wheel.exists() for wheel in made)

    def _run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        other = self.interpreter is not None and self.interpreter.path != Path(sys.executable)
        with_python = [f"--python={self.interpreter.path}"] if self.interpreter and other else []
        try:
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "pip",
                    *with_python,
                    "--disable-pip-version-check",
                    "--no-input",
                    *words,
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise BuildFailed(
                f"pip did not end within {_SECONDS:g} s; run the same again, it keeps what it has downloaded"
            ) from error
        if done.returncode != 0 and "No module named pip" in done.stderr:
            raise BuildFailed(
                "pip is not installed here, and it gets the packages for Lambda; "
                "`python -m ensurepip` or `uv pip install pip` installs it"
            )
        return done


def _why(done: subprocess.CompletedProcess[str], target: Target) -> str:
    # One of these for every attempt. They name the server, and say no more than the first.
    errors = [line for line in _lines(done.stderr) if _RETRYING not in line]
    what = f"pip could not install what the functions need for {target}"
    if _RETRYING in done.stderr:
        what += ", because the package index cannot be reached"
    _, conflict, asked_for = done.stdout.partition("The conflict is caused by:")
    asked = _lines(asked_for.partition("To fix this")[0]) if conflict else []
    if any(_CONSTRAINT in line for line in asked):
        asked.append(
            "A constraint is the version that is installed here, where you test; install the other one"
        )
    return "\n".join([f"{what}:", *(f"  {line}" for line in [*asked, *errors[-_LAST_LINES:]])])


def _lines(said: str) -> list[str]:
    return [line.strip() for line in said.splitlines() if line.strip()]
