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


def tall_cell(values: list[float], form: str) -> str:
    """The median, and [min–max] below it where they differ. The form `yes` is for what is 1 or 0."""
    if form == "yes":
        yes = sum(map(round, values))
        return {0: "no", len(values): "yes"}.get(yes, f"{yes} of {len(values)}")
    middle, least, most = (format(of(values), form) for of in (statistics.median, min, max))
    return middle if least == most else f"{middle}\n[dim]\\[{least}–{most}][/dim]"


def print_logs(directory: Path) -> None:
    for log in sorted(directory.glob("*.log")):
        for line in log.read_text(errors="replace").splitlines()[-20:]:
            print(f"  {log.stem}: {line}", file=sys.stderr)
