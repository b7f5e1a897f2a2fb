"""The folder that a function sees as its own: a zip unpacked as on Lambda, or a folder as it is."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NotAFunction(Exception):
    """There is no function at this path."""


@contextmanager
def task_root(packed: Path, folder: Path) -> Iterator[Path]:
    """The task root of a zip, unpacked at `folder` and not to be written to; or `packed` itself.

    (The superuser may write to everything. A folder is left as it is.)

    Raises:
        NotAFunction: `packed` is neither a zip nor a folder.
    """
    if packed.is_dir():
        yield packed.resolve()
        return
    if not zipfile.is_zipfile(packed):
        raise NotAFunction(f"{packed} is neither a folder nor a zip file; `streams build` makes one")
    _unpack(packed, folder)
    try:
        yield folder.resolve()
    finally:
        for path in (folder, *folder.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)


def _unpack(packed: Path, folder: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        for entry in archive.infolist():
            path = Path(archive.extract(entry, folder))
            # A compiled file may hold the time of its source: it must say what the zip says.
            changed = time.mktime((*entry.date_time, 0, 0, -1))
            os.utime(path, (changed, changed))
            if not entry.is_dir():
                path.chmod(0o444)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o555)
