"""Finds the streams and steps of an application: `*_stream.py` and `*_step.py` below one folder.

Files are imported under the names they have for Python anyway (`functions.
todo.create_todo_step`), so that a test which imports one gets the same
objects. Every file is tried; what is wrong is reported all at once.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from streams.errors import DefinitionRefused, DiscoveryFailed, InvalidName, Problem
from streams.step import HttpTrigger, Step, step_config
from streams.stream import Stream

_SKIPPED = frozenset({"__pycache__", "node_modules", ".venv", "venv"})


@dataclass(frozen=True, slots=True)
class Application:
    """What was found."""

    folder: Path
    streams: tuple[Stream[Any], ...]
    steps: tuple[Step, ...]


def discover(folder: Path) -> Application:
    """Import every stream and step file below `folder`.

    The folder's parent is put on `sys.path`, as if Python had been started there.

    Raises:
        DiscoveryFailed: Names every file that cannot be used, with its line and the reason.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise DiscoveryFailed([Problem(folder, 1, "there is no such folder")])
    problems: list[Problem] = []
    hidden = _hiding_the_library(folder)
    if hidden is not None:
        raise DiscoveryFailed([Problem(hidden, 1, _HIDES)])
    root = _import_root(folder)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    _claim_name(folder)
    streams = _streams(_files(folder, "_stream.py"), root, problems)
    steps = _steps(_files(folder, "_step.py"), root, problems)
    if problems:
        # Two files that import the same broken helper have one problem, not two.
        found = dict.fromkeys(problems)
        raise DiscoveryFailed(sorted(found, key=lambda problem: (str(problem.path), problem.line)))
    return Application(folder, tuple(streams), tuple(steps))


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


def _files(folder: Path, suffix: str) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob(f"*{suffix}")
        if path.name != suffix and not _SKIPPED.intersection(path.relative_to(folder).parts)
    )


def _streams(files: list[Path], root: Path, problems: list[Problem]) -> list[Stream[Any]]:
    found: dict[str, tuple[Stream[Any], Path]] = {}
    for path in files:
        module = _module(path, root, problems)
        if module is None:
            continue
        try:
            declared = _declared_streams(module)
        except (DefinitionRefused, InvalidName) as error:
            problems.append(Problem(path, _line_of(path, "config"), str(error)))
            continue
        if not declared:
            problems.append(Problem(path, 1, 'defines no stream: add `todo = Stream("todo", Todo)`'))
        for name, stream in declared:
            other = found.get(stream.name)
            if other is None:
                found[stream.name] = (stream, path)
            elif other[0] is not stream:
                message = (
                    f"stream {stream.name!r} is defined in {other[1]} already; give one of them another name"
                )
                problems.append(Problem(path, _line_of(path, name), message))
    return [stream for stream, _ in found.values()]


def _declared_streams(module: ModuleType) -> list[tuple[str, Stream[Any]]]:
    """The streams of one file, by the name they have there."""
    declared = [(name, value) for name, value in vars(module).items() if isinstance(value, Stream)]
    config = vars(module).get("config")
    if isinstance(config, Mapping):
        declared.append(("config", _stream_of(config)))
    return declared


def _stream_of(config: Mapping[str, Any]) -> Stream[Any]:
    """A stream in the seed's form: `{"name", "schema", "baseConfig": {"storageType": "default"}}`."""
    if unknown := sorted(map(repr, set(config) - {"name", "schema", "baseConfig"})):
        # An access rule that is not enforced would let everybody in.
        raise DefinitionRefused(
            f"`config` has {', '.join(unknown)}, which this release does not know; take it out"
        )
    storage = config.get("baseConfig", {"storageType": "default"})
    if storage != {"storageType": "default"}:
        raise DefinitionRefused(f'`baseConfig` is {storage!r}; only {{"storageType": "default"}} exists here')
    schema = config.get("schema")
    name = config.get("name", "")
    if schema is None or schema is dict:
        return Stream(name, dict)
    if isinstance(schema, Mapping):
        return Stream(name, dict, schema=schema)
    return Stream(name, schema)


def _steps(files: list[Path], root: Path, problems: list[Problem]) -> list[Step]:
    by_name: dict[str, Path] = {}
    by_route: dict[tuple[str, str], Path] = {}
    steps: list[Step] = []
    for path in files:
        module = _module(path, root, problems)
        step = None if module is None else _step(module, path, problems)
        if step is None:
            continue
        name = step.config.name
        if name in by_name:
            message = f"step {name!r} is defined in {by_name[name]} already; give one of them another name"
            problems.append(Problem(path, _line_of(path, "config"), message))
        for trigger in step.config.triggers:
            if isinstance(trigger, HttpTrigger):
                # `/todo/{id}` and `/todo/{name}` are the same requests.
                route = (trigger.method, re.sub(r"{\w+", "{", trigger.path))
                if route in by_route:
                    message = f"{trigger} is served by {by_route[route]} already"
                    problems.append(Problem(path, _line_of(path, "config"), message))
                by_route.setdefault(route, path)
        by_name.setdefault(name, path)
        steps.append(step)
    return steps


def _step(module: ModuleType, path: Path, problems: list[Problem]) -> Step | None:
    config, handler = vars(module).get("config"), vars(module).get("handler")
    if config is None:
        problems.append(
            Problem(path, 1, "has no `config`: add `config = StepConfig(name=..., triggers=[...])`")
        )
    if handler is None:
        problems.append(Problem(path, 1, "has no `handler`: add `async def handler(...)`"))
    elif not callable(handler):
        problems.append(Problem(path, _line_of(path, "handler"), "`handler` is not a function"))
    if config is None or not callable(handler):
        return None
    try:
        return Step(step_config(config), handler, path)
    except DefinitionRefused as error:
        problems.append(Problem(path, _line_of(path, "config"), str(error)))
        return None


def _module(path: Path, root: Path, problems: list[Problem]) -> ModuleType | None:
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


def _line_of(path: Path, name: str) -> int:
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
