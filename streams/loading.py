"""Python files of an application ⇄ modules: imports one under its name, and says where it went wrong.

Files are imported under the names they have for Python anyway (`functions.
todo.create_todo_step`), so that a test which imports one gets the same
objects.
"""

from __future__ import annotations

import ast
import importlib
import sys
import traceback
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

from streams.errors import DiscoveryFailed, Problem


def made_importable(folder: Path) -> Path:
    """Let Python find the files of a folder. Returns what their names are relative to.

    The folder's parent is put on `sys.path`, as if Python had been started there.

    Raises:
        DiscoveryFailed: A module there would be taken for this library.
    """
    hidden = _hiding_the_library(folder)
    if hidden is not None:
        raise DiscoveryFailed([Problem(hidden, 1, _HIDES)])
    root = _import_root(folder)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    _claim_name(folder)
    return root


def loaded(path: Path, root: Path, problems: list[Problem]) -> ModuleType | None:
    """The module of a file, or None and one more problem."""
    parts = path.relative_to(root).with_suffix("").parts
    if dotted := next((part for part in parts if "." in part), None):
        problems.append(
            Problem(path, 1, f"{dotted!r} has a dot in its name, so Python cannot import it; rename it")
        )
        return None
    name = ".".join(parts)
    try:
        module = importlib.import_module(name)
    except SyntaxError as error:
        problems.append(
            Problem(Path(error.filename or path), error.lineno or 1, f"{type(error).__name__}: {error.msg}")
        )
        return None
    except (Exception, SystemExit) as error:
        message = _hidden_by_another(name, error) or f"{type(error).__name__}: {error}"
        problems.append(Problem(path, _line_in(path, error), message))
        return None
    if Path(module.__file__ or "").resolve() != path:
        problems.append(
            Problem(
                path, 1, f"another module is called {name!r} ({module.__file__}); rename one of the folders"
            )
        )
        return None
    return module


def line_of(path: Path, name: str) -> int:
    """Where `name` is defined at the top of a file."""
    for node in ast.parse(path.read_bytes()).body:
        match node:
            case ast.Assign(targets=targets):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=target)):
                names = [target]
            case ast.FunctionDef(name=defined) | ast.AsyncFunctionDef(name=defined):
                names = [defined]
            case _:
                names = []
        if name in names:
            return node.lineno
    return 1


def _hidden_by_another(name: str, error: BaseException) -> str | None:
    """What is wrong when a file that is there cannot be found under its name."""
    if not isinstance(error, ModuleNotFoundError) or not f"{name}.".startswith(f"{error.name}."):
        return None
    top = name.partition(".")[0]
    other = getattr(sys.modules.get(top), "__file__", None) or "a built-in module"
    return f"another module is called {top!r} ({other}); rename the folder"


def _line_in(path: Path, error: BaseException) -> int:
    """The last line of `path` that was running when `error` was raised."""
    lines = [
        f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() == path
    ]
    return (lines[-1] if lines else None) or 1


_HIDES = (
    "this module has the name of the library, so `import streams` may find it instead; "
    "rename it (your stream files can be in any folder, for example functions/)"
)


def _hiding_the_library(folder: Path) -> Path | None:
    """A local module `streams` that Python could take for ours."""
    ours = Path(__file__).resolve().parent
    if folder.name == ours.name and folder != ours:
        return folder
    for place in {folder.parent, Path.cwd()}:
        for candidate in (place / "streams.py", place / "streams"):
            if candidate.resolve() == ours or not candidate.exists():
                continue
            if candidate.is_file() or any(candidate.glob("*.py")):
                return candidate
    return None


def _import_root(folder: Path) -> Path:
    """The folder that `sys.path` must have for the files to have their full names."""
    root = folder
    while (root / "__init__.py").exists():
        root = root.parent
    return folder.parent if root == folder else root


def _claim_name(folder: Path) -> None:
    """Let the folder's name mean this folder.

    One without `__init__.py` would lose it to any installed package of that name, wherever it stands on
    `sys.path`.
    """
    if folder.name in sys.modules or (folder / "__init__.py").exists():
        return
    spec = ModuleSpec(folder.name, loader=None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    sys.modules[folder.name] = module_from_spec(spec)
