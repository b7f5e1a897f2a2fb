"""What the tables have in common."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path


def cell(values: list[float], form: str) -> str:
    """Median [min–max]."""
    if not values:
        return "–"
    middle = format(statistics.median(values), form)
    return middle if len(values) == 1 else f"{middle} \\[{min(values):{form}}–{max(values):{form}}]"


def print_logs(directory: Path) -> None:
    for log in sorted(directory.glob("*.log")):
        for line in log.read_text(errors="replace").splitlines()[-20:]:
            print(f"  {log.stem}: {line}", file=sys.stderr)
