"""A folder as a zip whose bytes depend on nothing but the files in it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from streams.deploy.machine_code import is_library
from streams.deploy.whole_files import written_whole

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip can say."""

_LEVEL = 6
"""The best one is less than a percent better, and takes three times as long."""

_UNIX = 3


def write_archive(tree: Path, out: Path) -> None:
    """Pack all files below `tree`. Until that is done, what was at `out` stays."""
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    names = {path.relative_to(tree).as_posix(): path for path in files}
    with (
        written_whole(out) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive,
    ):
        for name in sorted(names):
            archive.writestr(_entry(name), names[name].read_bytes(), compresslevel=_LEVEL)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = _UNIX
    # Lambda runs code as a user of its own, who must be able to read it.
    entry.external_attr = (0o100755 if is_library(name.rpartition("/")[2]) else 0o100644) << 16
    return entry
