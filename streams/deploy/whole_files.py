"""Files that are written whole or not at all: whoever reads one finds the old or the new."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def written_whole(out: Path) -> Iterator[BinaryIO]:
    """What is written in the block is at `out` after it. If the block fails, what was there stays."""
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        # A temporary file is for its owner alone.
        beside.chmod(0o644)
        beside.replace(out)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_text(text: str, out: Path) -> None:
    """Write a whole file of text, as UTF-8."""
    with written_whole(out) as file:
        file.write(text.encode())
