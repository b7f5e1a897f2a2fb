"""What a step takes over HTTP and what it answers, as FastAPI reads its handler."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi.dependencies.models import Dependant
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, PydanticUndefined, to_jsonable_python

from streams.discovery import Application
from streams.faas.asgi import routes
from streams.step import HttpTrigger, Step
from streams.typescript.schemas import Asked, Mode


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a request has beside its body."""

    name: str
    asked: Asked
    is_required: bool
    said: dict[str, Any]
    """Its description and its default, as in a JSON Schema."""


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request."""

    asked: Asked | None
    """None: nothing is known of it. It is a form, or the handler reads it itself."""
    is_required: bool


@dataclass(frozen=True, slots=True)
class Call:
    """One way to call a step."""

    name: str
    description: str
    method: str
    path: str
    """`/files/{name}`, also where FastAPI is told to take slashes for part of the name."""
    beside: dict[str, list[Parameter] | Asked]
    """What it takes in its `params`, `query` and `headers`, as far as it takes anything there.

    One model can be all of a query.
    """
    body: Body | None
    """None: it takes none."""
    answer: Asked | None
    """None: nothing is known of it."""

    def asked(self) -> Iterator[Asked]:
        """All that pydantic has to be asked."""
        for found in self.beside.values():
            if isinstance(found, Asked):
                yield found
            else:
                yield from (parameter.asked for parameter in found)
        if self.body is not None and self.body.asked is not None:
            yield self.body.asked
        if self.answer is not None:
            yield self.answer


def calls_of(application: Application) -> list[Call]:
    """Every http trigger. One of several that a step has is named after its method and path, too.

    Raises:
        DiscoveryFailed: Names every step that cannot become a route.
    """
    found = {
        (route.name, method, route.path): route
        for route in routes(application).routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    calls: list[Call] = []
    for step in application.steps:
        triggers = [trigger for trigger in step.config.triggers if isinstance(trigger, HttpTrigger)]
        for trigger in triggers:
            route = found[step.config.name, trigger.method, trigger.path]
            calls.append(_Reader(step).call(trigger, route, is_only=len(triggers) == 1))
    return sorted(calls, key=lambda call: call.name)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads what FastAPI has found in one step."""

    step: Step

    def call(self, trigger: HttpTrigger, route: APIRoute, *, is_only: bool) -> Call:
        config, parts = self.step.config, list(_flat(route.dependant))
        found = {
            "params": [each for part in parts for each in part.path_params],
            "query": [each for part in parts for each in part.query_params],
            # Those of a model have other names there than in it, which only FastAPI knows.
            "headers": [each for part in parts for each in part.header_params if not _is_model(each)],
        }
        return Call(
            config.name if is_only else f"{config.name} {trigger.method} {trigger.path}",
            config.description or "",
            trigger.method,
            re.sub(r"{(\w+):\w+}", r"{\1}", trigger.path),
            {where: self._parameters(_once(fields)) for where, fields in found.items() if fields},
            self._body(route),
            self._answer(route),
        )

    def _parameters(self, fields: list[Any]) -> list[Parameter] | Asked:
        if len(fields) == 1 and _is_model(fields[0]):
            return self._asked(fields[0].field_info, "validation", fields[0].name)
        return [
            Parameter(
                each.alias,
                self._asked(each.field_info, "validation", each.name),
                each.field_info.is_required(),
                _said(each.field_info),
            )
            for each in fields
        ]

    def _body(self, route: APIRoute) -> Body | None:
        if route.body_field is None:
            reads_itself = route.dependant.request_param_name is not None
            return Body(None, is_required=False) if reads_itself else None
        body = route.body_field.field_info
        is_required = body.is_required()
        if isinstance(body, Form):
            return Body(None, is_required)
        return Body(self._asked(body, "validation", "the body"), is_required)

    def _answer(self, route: APIRoute) -> Asked | None:
        handler = self.step.handler
        is_stream = inspect.isasyncgenfunction(handler) or inspect.isgeneratorfunction(handler)
        if is_stream or route.response_model is None:
            return None
        return self._asked_for(route.response_model, "serialization", "the answer")

    def _asked(self, field_info: Any, mode: Mode, what: str) -> Asked:
        annotation, metadata = field_info.annotation, field_info.metadata
        return self._asked_for(Annotated[(annotation, *metadata)] if metadata else annotation, mode, what)

    def _asked_for(self, annotation: Any, mode: Mode, what: str) -> Asked:
        line = getattr(getattr(self.step.handler, "__code__", None), "co_firstlineno", 1)
        return Asked(annotation, mode, f"{what} of step {self.step.config.name!r}", self.step.path, line)


def _flat(dependant: Dependant) -> Iterator[Dependant]:
    """What a handler depends on, and what that does."""
    yield dependant
    for each in dependant.dependencies:
        yield from _flat(each)


def _once(fields: Iterable[Any]) -> list[Any]:
    """Several may ask for the same."""
    return list({each.alias: each for each in fields}.values())


def _is_model(field: Any) -> bool:
    annotation = field.field_info.annotation
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _said(field_info: Any) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if field_info.description:
        said["description"] = field_info.description
    if field_info.default is not PydanticUndefined and field_info.default is not None:
        try:
            said["default"] = to_jsonable_python(field_info.default)
        except PydanticSerializationError:
            # It may be left out all the same, and what it is then is nothing that JSON can say.
            return said
    return said
