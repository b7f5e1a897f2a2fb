"""The npm package by its own means: types, tests, and what it weighs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.clients.ours.package import PACKAGE, prepared

pytestmark = pytest.mark.node

SECONDS = 55


@pytest.fixture
def package() -> Path:
    return prepared()


@pytest.mark.parametrize("script", ["check", "test", "size"])
def test_its_script_passes(package: Path, script: str):
    done = subprocess.run(
        ["npm", "run", "--silent", script],
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_published_has_code_and_types_for_every_entry(package: Path, tmp_path: Path):
    subprocess.run(
        ["npx", "tsc", "-p", "tsconfig.build.json", "--outDir", str(tmp_path)],
        cwd=package,
        check=True,
        capture_output=True,
        timeout=SECONDS,
    )

    for entry in ("index", "react", "ops", "call"):
        assert (tmp_path / f"{entry}.js").exists()
        assert (tmp_path / f"{entry}.d.ts").exists()
    assert '"./react": { "types": "./dist/react.d.ts"' in (PACKAGE / "package.json").read_text()
