"""The list of functions that `serverless.yml` takes: what an application's steps are on AWS Lambda."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from streams.deploy.contents import shipped_folder
from streams.deploy.routes import MAX_ROUTES, Route, ambiguous, problem_of, routes_of
from streams.discovery import Application
from streams.errors import DefinitionRefused, DiscoveryFailed, Problem
from streams.step import Step

HANDLER = "streams.faas.aws_lambda.handler"
ROUTER = "functions"
"""The one function that runs all steps."""

MEMORY_MB = 512
"""Of a step that does not say. CPU comes with memory, and less makes a start longer than it saves."""
MAX_SECONDS = 29
"""API Gateway gives up after 30; a function that gives up first can still say so."""
GUARD_SECONDS = 2
"""What a function has beyond the time of its step: to find a dead line, and to say that the time is over."""
MAX_NAME = 40
"""Of a function, without what osls puts before it: `service-stage-`. Lambda takes 64 characters of both."""
MAX_RESOURCES = 500
"""What one CloudFormation stack has room for."""

Mode: TypeAlias = Literal["router", "per-step"]
"""One function for all steps, or one for each: with its own memory, time-out and log, and a cold start of
its own."""

_SNAP_START = "${strToBool(${param:snapStart, false})}"
"""Left to the parameters of a stage, as osls reads them."""


def functions_list(application: Application, mode: Mode) -> str:
    """The list as a file: sorted, so that it changes only where the application does.

    Raises:
        DiscoveryFailed: Names every step that AWS cannot take, and says why.
        DefinitionRefused: There is none, or there are more than fit in one deployment.
    """
    if not application.steps:
        raise DefinitionRefused(
            f"no file below {application.folder} ends in _step.py, so there is no function to list"
        )
    problems: list[Problem] = []
    routes = routes_of(application, problems)
    if mode == "per-step":
        problems += ambiguous(routes)
        functions = _each(application, routes, problems)
    else:
        functions = {ROUTER: _function(application, application.steps, routes, problems)}
    if problems:
        raise DiscoveryFailed(problems)
    _check_sizes(application, functions)
    return json.dumps(functions, indent=2, sort_keys=True) + "\n"


def mode_of(text: str) -> Mode:
    """The mode that a list was made in.

    Raises:
        DefinitionRefused: It is no list of functions.
    """
    functions = _read(text)
    return "router" if set(functions) == {ROUTER} and not _step_of(functions[ROUTER]) else "per-step"


def differences(text: str, wanted: str) -> list[str]:
    """What is wrong with a list, in words; what is missing comes first.

    Raises:
        DefinitionRefused: It is no list of functions.
    """
    old, new = _read(text), _read(wanted)
    if mode_of(text) != mode_of(wanted):
        return [f"it has {'one function for all' if mode_of(text) == 'router' else 'a function for each'}"]
    had, has = _events(old), _events(new)
    said = [f"function {name} is missing" for name in sorted(new.keys() - old.keys())]
    said += [f"{route} is missing" for route in sorted(has.keys() - had.keys()) if has[route] in old]
    said += [f"function {name} is no step's any more" for name in sorted(old.keys() - new.keys())]
    said += [
        f"{route} is no step's any more" for route in sorted(had.keys() - has.keys()) if had[route] in new
    ]
    for name in sorted(old.keys() & new.keys()):
        keys = {key for key in {*old[name], *new[name]} if old[name].get(key) != new[name].get(key)}
        said += [f"{key} of {name} has changed" for key in sorted(keys - {"events"})]
    return said or (["it is written in another way"] if text != wanted else [])


def _each(
    application: Application, routes: Iterable[Route], problems: list[Problem]
) -> dict[str, dict[str, Any]]:
    functions: dict[str, dict[str, Any]] = {}
    steps: dict[str, Step] = {}
    for step in application.steps:
        try:
            name = _name(step)
        except DefinitionRefused as error:
            problems.append(problem_of(step, str(error)))
            continue
        other = steps.setdefault(name, step)
        if other is not step:
            message = (
                f"its function would be called {name!r}, which that of step {other.config.name!r} in "
                f"{other.path} is already; give one of them another name"
            )
            problems.append(problem_of(step, message))
        function = _function(application, [step], [route for route in routes if route.step is step], problems)
        function["environment"]["STREAMS_STEP"] = step.config.name
        functions[name] = function
    return functions


def _function(
    application: Application, steps: Iterable[Step], routes: Iterable[Route], problems: list[Problem]
) -> dict[str, Any]:
    folder = shipped_folder(application)
    if "${" in folder:
        raise DefinitionRefused(f"the folder {folder!r} has '${{' in its name, which osls would replace")
    limits = [(step.config.memory_mb or MEMORY_MB, _seconds(step, problems)) for step in steps]
    function: dict[str, Any] = {
        "handler": HANDLER,
        "environment": {"STREAMS_FOLDER": folder},
        "memorySize": max(memory for memory, _ in limits),
        "timeout": max(seconds for _, seconds in limits),
        "snapStart": _SNAP_START,
    }
    # Of two paths that are the same for API Gateway, one brings the requests for both.
    once = {route.seen: route for route in routes}.values()
    if once:
        in_order = sorted(once, key=lambda route: (route.path, route.method))
        function["events"] = [{"httpApi": str(route)} for route in in_order]
    return function


def _seconds(step: Step, problems: list[Problem]) -> int:
    wanted = step.config.timeout_seconds
    if wanted is None:
        return MAX_SECONDS
    seconds = math.ceil(wanted + GUARD_SECONDS)
    if seconds > MAX_SECONDS:
        message = (
            f"step {step.config.name!r} may take {wanted:g} s, and API Gateway gives up after 30 s; "
            f"set timeout_seconds to {MAX_SECONDS - GUARD_SECONDS} or less, or run the steps in a container"
        )
        problems.append(problem_of(step, message))
    return min(seconds, MAX_SECONDS)


def _name(step: Step) -> str:
    """`CreateTodo` → `create-todo`."""
    name = step.config.name
    if "${" in name:
        raise DefinitionRefused(f"step {name!r} has '${{' in its name, which osls would replace; rename it")
    slug = re.sub("(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "-", name).strip("-").lower()
    if not slug:
        raise DefinitionRefused(f"step {name!r} has no letter or digit that AWS takes in a name; rename it")
    if len(slug) > MAX_NAME:
        raise DefinitionRefused(
            f"step {name!r} makes a function's name of {len(slug)} characters, and at most {MAX_NAME} of "
            "Lambda's 64 are left beside service and stage; give it a shorter name"
        )
    return slug


def _check_sizes(application: Application, functions: Mapping[str, Any]) -> None:
    routes = len(_events(functions))
    if routes > MAX_ROUTES:
        raise DefinitionRefused(
            f"{application.folder} has {routes} routes, and an API of API Gateway has room for {MAX_ROUTES}; "
            "divide it into two applications"
        )
    # Code, log, permission, integration, version and alias of each; the last two with SnapStart. Besides
    # them: bucket and its policy, role, API and its stage, security group.
    resources = routes + 6 * len(functions) + 6
    if resources > MAX_RESOURCES:
        raise DefinitionRefused(
            f"{application.folder} would need {resources} resources, and a CloudFormation stack has room for "
            f"{MAX_RESOURCES}; use --router, or divide it into two applications"
        )


def _read(text: str) -> dict[str, dict[str, Any]]:
    try:
        functions = json.loads(text)
    except ValueError as error:
        raise DefinitionRefused(f"it is not JSON ({error})") from error
    if not isinstance(functions, dict) or not all(isinstance(each, dict) for each in functions.values()):
        raise DefinitionRefused("it is no JSON object with functions in it")
    return functions


def _step_of(function: Mapping[str, Any]) -> str | None:
    environment = function.get("environment")
    return environment.get("STREAMS_STEP") if isinstance(environment, dict) else None


def _events(functions: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The function of every route."""
    return {
        str(event.get("httpApi")): name
        for name, function in functions.items()
        for event in _list(function.get("events"))
        if isinstance(event, dict)
    }


def _list(value: object) -> list[Any]:
    """Whoever wrote a list by hand may have put anything there."""
    return value if isinstance(value, list) else []
