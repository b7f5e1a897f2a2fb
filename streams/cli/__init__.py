"""The `streams` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. Without the packages it needs, say how to get them."""
    try:
        from streams.cli.commands import app
    except ImportError as error:
        sys.exit(f"the command line needs {error.name}: pip install 'realtime-streams[dev]'")
    app()
