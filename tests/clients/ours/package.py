"""Our npm package, with what it is made with."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.clients.npm import installed

PACKAGE = Path(__file__).parents[3] / "clients/js"


def prepared() -> Path:
    """The package's folder, where everything is installed that its scripts need."""
    installed(PACKAGE)
    return PACKAGE


def bundled(into: Path, entry: str = "index") -> Path:
    """One entry as one file, as pages have it."""
    out = into / f"{entry}.mjs"
    command = ["npx", "esbuild", f"src/{entry}.ts", "--bundle", "--format=esm", f"--outfile={out}"]
    subprocess.run(command, cwd=prepared(), check=True, capture_output=True, timeout=55)
    return out
