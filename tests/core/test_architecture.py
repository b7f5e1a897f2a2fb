"""The shape of the library: imports point down, and no file is long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 350


def test_imports_point_down():
    lint_imports = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run(
        [lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken." in done.stdout


@pytest.mark.parametrize(
    "path", sorted((ROOT / "streams").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_file_is_longer_than_a_few_screens(path):
    assert len(path.read_text().splitlines()) <= MAX_LINES
