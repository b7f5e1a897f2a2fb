"""The pages of an application: what stands in `web/` of its folder, and in `web/` of each of its apps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import FileResponse
from starlette.types import Scope

from streams.resources.names import is_resource


@dataclass(frozen=True, slots=True)
class Pages:
    """The folders with files for browsers, as they were when they were looked for."""

    at_root: Path | None
    """Of the page at `/`: the folder's own, or that of the first app."""
    by_app: Mapping[str, Path]
    """Of the pages at `/<app>/`."""

    @classmethod
    def of(cls, folder: Path) -> Pages:
        """Look for the pages of the application in `folder`."""
        by_app = {page.parts[-3]: page.parent for page in sorted(folder.glob("*/web/index.html"))}
        own = next((page.parent for page in folder.glob("web/index.html")), None)
        return cls(own or next(iter(by_app.values()), None), by_app)

    def answer(self, scope: Scope) -> FileResponse | None:
        """The file that a request asks for; None: it asks for something else."""
        path: str = scope["path"]
        if scope["method"] not in ("GET", "HEAD") or is_resource(path):
            return None
        file = self.file(path.removeprefix("/"))
        return None if file is None else FileResponse(file, headers={"Cache-Control": "no-cache"})

    def file(self, path: str) -> Path | None:
        """The file of a path without its first `/`."""
        app, slash, rest = path.partition("/")
        return _file_in(self.at_root, path) or (_file_in(self.by_app.get(app), rest) if slash else None)


def _file_in(web: Path | None, name: str) -> Path | None:
    if web is None:
        return None
    try:
        file = (web / (name or "index.html")).resolve()
        return file if file.is_relative_to(web.resolve()) and file.is_file() else None
    except (OSError, ValueError):
        # An item's id may be longer than a file's name, or hold what none can: a step answers.
        return None
