"""Finds the streams and steps of an application: `*_stream.py` and `*_step.py` below one folder.

Directly in that folder, `stream_auth.py` says who callers are. Every file is
tried; what is wrong is reported all at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter

from streams.access import StreamAuth
from streams.declaring import wrong_function
from streams.errors import DefinitionRefused, DiscoveryFailed, InvalidName, Problem
from streams.loading import line_of, loaded, made_importable
from streams.step import HttpTrigger, Step, step_config
from streams.stream import Stream

AUTH_FILE = "stream_auth.py"

_SKIPPED = frozenset({"__pycache__", "node_modules", ".venv", "venv"})


@dataclass(frozen=True, slots=True)
class Application:
    """What was found."""

    folder: Path
    streams: tuple[Stream[Any], ...]
    steps: tuple[Step, ...]
    auth: StreamAuth | None = None
    """Who somebody is; None: there is no such file, and a caller is what its token says."""


def discover(folder: Path) -> Application:
    """Import every stream and step file below `folder`, and its `stream_auth.py`.

    The folder's parent is put on `sys.path`, as if Python had been started there.

    Raises:
        DiscoveryFailed: Names every file that cannot be used, with its line and the reason.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise DiscoveryFailed([Problem(folder, 1, "there is no such folder")])
    problems: list[Problem] = []
    root = made_importable(folder)
    streams = _streams(_files(folder, "?*_stream.py"), root, problems)
    steps = _steps(_files(folder, "?*_step.py"), root, problems)
    auth = _auth(folder, root, problems)
    if problems:
        # Two files that import the same broken helper have one problem, not two.
        found = dict.fromkeys(problems)
        raise DiscoveryFailed(sorted(found, key=lambda problem: (str(problem.path), problem.line)))
    return Application(folder, tuple(streams), tuple(steps), auth)


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(
        path for path in folder.rglob(pattern) if not _SKIPPED.intersection(path.relative_to(folder).parts)
    )


def _streams(files: list[Path], root: Path, problems: list[Problem]) -> list[Stream[Any]]:
    found: dict[str, tuple[Stream[Any], Path]] = {}
    for path in files:
        module = loaded(path, root, problems)
        if module is None:
            continue
        try:
            declared = _declared_streams(module)
        except (DefinitionRefused, InvalidName) as error:
            problems.append(Problem(path, line_of(path, "config"), str(error)))
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
                problems.append(Problem(path, line_of(path, name), message))
    return [stream for stream, _ in found.values()]


def _declared_streams(module: ModuleType) -> list[tuple[str, Stream[Any]]]:
    """The streams of one file, by the name they have there."""
    declared = [(name, value) for name, value in vars(module).items() if isinstance(value, Stream)]
    config = vars(module).get("config")
    if isinstance(config, Mapping):
        declared.append(("config", _stream_of(config)))
    return declared


def _stream_of(config: Mapping[str, Any]) -> Stream[Any]:
    """A stream in the seed's form.

    `{"name", "schema", "baseConfig": {"storageType": "default"}, "canAccess", "canSend", "public"}`
    """
    if unknown := sorted(map(repr, set(config) - {"name", "schema", "baseConfig", *_RULES})):
        # A rule that is not enforced would let everybody in.
        raise DefinitionRefused(
            f"`config` has {', '.join(unknown)}, which this release does not know; take it out"
        )
    storage = config.get("baseConfig", {"storageType": "default"})
    if storage != {"storageType": "default"}:
        raise DefinitionRefused(f'`baseConfig` is {storage!r}; only {{"storageType": "default"}} exists here')
    schema = config.get("schema")
    name = config.get("name", "")
    rules = _rules_of(config)
    if schema is None or schema is dict:
        return Stream(name, dict, **rules)
    if isinstance(schema, Mapping):
        return Stream(name, dict, schema=schema, **rules)
    return Stream(name, schema, **rules)


_RULES = {
    "canAccess": "can_access",
    "can_access": "can_access",
    "canSend": "can_send",
    "can_send": "can_send",
    "public": "public",
}


def _rules_of(config: Mapping[str, Any]) -> dict[str, Any]:
    rules: dict[str, Any] = {}
    for key, parameter in _RULES.items():
        if key not in config:
            continue
        if parameter in rules:
            raise DefinitionRefused(f"`config` says who may in two spellings; take out {key!r}")
        rules[parameter] = config[key]
    return rules


def _auth(folder: Path, root: Path, problems: list[Problem]) -> StreamAuth | None:
    found = None
    for path in _files(folder, AUTH_FILE):
        if path.parent == folder:
            found = _auth_in(path, root, problems)
        else:
            problems.append(Problem(path, 1, f"is for all streams, so its place is {folder / AUTH_FILE}"))
    return found


def _auth_in(path: Path, root: Path, problems: list[Problem]) -> StreamAuth | None:
    module = loaded(path, root, problems)
    if module is None:
        return None
    authenticate, schema = vars(module).get("authenticate"), vars(module).get("context_schema")
    if authenticate is None:
        message = "has no `authenticate`: add `async def authenticate(request, claims)`"
        problems.append(Problem(path, 1, message))
    elif (problem := wrong_function(authenticate, "request", "claims")) is not None:
        problems.append(Problem(path, line_of(path, "authenticate"), f"`authenticate` {problem}"))
    if (problem := _wrong_schema(schema)) is not None:
        problems.append(Problem(path, line_of(path, "context_schema"), f"`context_schema` {problem}"))
    return StreamAuth(authenticate, schema, path) if callable(authenticate) else None


def _wrong_schema(schema: Any) -> str | None:
    """Why it is nothing that a context could be checked by, or None. Without a schema, nothing is."""
    what = "is a pydantic model, or another type that pydantic knows"
    # pydantic would take some dicts, for schemas of its own core.
    if isinstance(schema, Mapping):
        return f"{what}, not {schema!r}"
    try:
        if schema is not None:
            # One with names that are not there yet would be found out by the first caller.
            TypeAdapter(schema).rebuild(raise_errors=True)
    except Exception as error:
        return f"{what}: {str(error).partition(chr(10))[0]}"
    return None


def _steps(files: list[Path], root: Path, problems: list[Problem]) -> list[Step]:
    by_name: dict[str, Path] = {}
    by_route: dict[tuple[str, str], Path] = {}
    steps: list[Step] = []
    for path in files:
        module = loaded(path, root, problems)
        step = None if module is None else _step(module, path, problems)
        if step is None:
            continue
        name = step.config.name
        if name in by_name:
            message = f"step {name!r} is defined in {by_name[name]} already; give one of them another name"
            problems.append(Problem(path, line_of(path, "config"), message))
        for trigger in step.config.triggers:
            if isinstance(trigger, HttpTrigger):
                # `/todo/{id}` and `/todo/{name}` are the same requests.
                route = (trigger.method, re.sub(r"{\w+", "{", trigger.path))
                if route in by_route:
                    message = f"{trigger} is served by {by_route[route]} already"
                    problems.append(Problem(path, line_of(path, "config"), message))
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
        problems.append(Problem(path, line_of(path, "handler"), "`handler` is not a function"))
    if config is None or not callable(handler):
        return None
    try:
        return Step(step_config(config), handler, path)
    except DefinitionRefused as error:
        problems.append(Problem(path, line_of(path, "config"), str(error)))
        return None
