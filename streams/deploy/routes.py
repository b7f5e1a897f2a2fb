"""A step's paths ⇄ routes of API Gateway (an HTTP API): how they are written there, and which it cannot have.

It takes fewer paths than FastAPI, and chooses among them by another rule:
the most exact one, where FastAPI takes the first that fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias

from streams.discovery import Application
from streams.errors import DefinitionRefused, Problem
from streams.loading import line_of
from streams.step import HttpTrigger, Step

MAX_ROUTES = 300
"""What one API has room for; AWS raises it for accounts that ask."""

_PARAMETER = re.compile(r"{([A-Za-z_][A-Za-z0-9_]*)(?::([A-Za-z_]\w*))?}")
_TEXT = re.compile(r"[A-Za-z0-9._~:@-]+")
_ANYTHING = "path"
"""FastAPI's word for a parameter that takes the rest of a path, slashes included."""

Shape: TypeAlias = tuple[str, ...]
"""A path without the names of its parameters. A parameter is its kind, in braces: requests see no more."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route, and the step behind it."""

    method: str
    path: str
    """As API Gateway writes it: `/files/{name+}`."""
    shape: Shape
    step: Step

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def seen(self) -> str:
        """What API Gateway tells it from others by."""
        return re.sub(r"{\w+", "{", str(self))

    @property
    def named(self) -> str:
        """What osls calls it. Of two with the same name, it would leave one out and not say so."""
        parts = [
            re.sub(r"{(.*)}", r"\1Var", part.lower().replace("-", "Dash")) for part in str(self).split("/")
        ]
        return "".join(part[:1].upper() + part[1:] for part in (re.sub("[^0-9A-Za-z]", "", p) for p in parts))

    def comes_before(self, other: Route) -> bool:
        """Whether every request for `other` fits this one too: FastAPI would take it, being asked first."""
        return self.method == other.method and _covers(self.shape, other.shape)


def routes_of(application: Application, problems: list[Problem]) -> list[Route]:
    """One route for every `http` trigger, in the order of the files, and one more problem for every path
    that API Gateway cannot have."""
    routes: list[Route] = []
    for step in application.steps:
        for trigger in step.config.triggers:
            if isinstance(trigger, HttpTrigger):
                try:
                    path, shape = _translated(trigger.path)
                    routes.append(Route(trigger.method, path, shape, step))
                except DefinitionRefused as error:
                    problems.append(problem_of(step, f"{trigger}: {error}"))
    problems += _of_one_name(routes)
    return routes


def ambiguous(routes: list[Route]) -> list[Problem]:
    """Why API Gateway cannot choose the step that FastAPI would.

    Of consequence only where steps are functions of their own: one function
    for all of them chooses by itself.
    """
    problems: list[Problem] = []
    for index, route in enumerate(routes):
        for earlier in routes[:index]:
            if earlier.step is route.step:
                continue
            if earlier.seen == route.seen:
                message = f"{route} is for API Gateway the same as {earlier} in {earlier.step.path}"
                problems.append(problem_of(route.step, f"{message}; choose another path, or use --router"))
            elif earlier.comes_before(route):
                message = (
                    f"{route} is taken by {earlier} in {earlier.step.path} wherever all steps are one "
                    "application, and would not be by API Gateway; rename this file, so that it comes first"
                )
                problems.append(problem_of(route.step, message))
    return problems


def problem_of(step: Step, message: str) -> Problem:
    return Problem(step.path, line_of(step.path, "config"), message)


def _translated(path: str) -> tuple[str, Shape]:
    written, shape = [], []
    parts = path.removeprefix("/").split("/")
    for index, part in enumerate(parts):
        is_last = index == len(parts) - 1
        parameter = _PARAMETER.fullmatch(part)
        if parameter is not None:
            name, kind = parameter[1], parameter[2] or "str"
            if kind == _ANYTHING and not is_last:
                raise DefinitionRefused(f"{part} takes the rest of a path, and so must be its end on AWS")
            written.append(f"{{{name}+}}" if kind == _ANYTHING else f"{{{name}}}")
            shape.append(f"{{{kind}}}")
        elif "{" in part or "}" in part:
            raise DefinitionRefused(
                f"a parameter is everything between two slashes on AWS, and {part!r} is not; "
                "expected something like /file/{id}"
            )
        elif _TEXT.fullmatch(part) or (is_last and not part):
            written.append(part)
            shape.append(part)
        else:
            raise DefinitionRefused(
                f"{part!r} cannot be between two slashes on AWS; letters, digits and any of . _ ~ : @ - can"
            )
    return "/" + "/".join(written), tuple(shape)


def _of_one_name(routes: Iterable[Route]) -> list[Problem]:
    found: dict[str, Route] = {}
    problems: list[Problem] = []
    for route in routes:
        other = found.setdefault(route.named, route)
        if other.seen != route.seen:
            problems.append(
                problem_of(
                    route.step,
                    f"{route} and {other} are the same for osls, which leaves all but letters and digits out "
                    "of their names; choose another path",
                )
            )
    return problems


def _covers(shape: Shape, other: Shape) -> bool:
    for ours, theirs in zip_longest(shape, other):
        if ours == f"{{{_ANYTHING}}}":
            return theirs is not None
        if ours is None or theirs is None:
            return False
        if ours != theirs and (ours != "{str}" or theirs == f"{{{_ANYTHING}}}"):
            return False
    return True
