"""All steps of an application as one ASGI app: for containers, for development, for a test client."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import FastAPIError
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from streams.auth.callers import Doorkeeper, NobodyKnown
from streams.context import StreamsByName
from streams.discovery import Application
from streams.errors import DefinitionRefused, DiscoveryFailed, Problem, StreamsError
from streams.faas.access import DOORKEEPER, documented, guarded
from streams.faas.invoke import answer_error, endpoint
from streams.faas.limits import limited
from streams.resources.names import PREFIX, is_resource
from streams.step import Handler, HttpTrigger, Step
from streams.store import Store, bound_to

HEALTHZ, READYZ = "/healthz", "/readyz"
"""Where services say whether they run, and whether they can serve. No step can have these paths."""


def functions_app(
    application: Application, store: Store, *, title: str = "Streams", callers: Doorkeeper | None = None
) -> ASGIApp:
    """One route for every `http` trigger, with `/docs` and `/openapi.json`.

    `callers` says who somebody is. Without it nobody is known: every token is refused.

    Raises:
        DiscoveryFailed: Names every step that cannot become a route.
    """
    return on(routes(application, title=title), store, callers or NobodyKnown())


def routes(application: Application, *, title: str = "Streams") -> FastAPI:
    """The same without what it runs on, which `on` gives it: it takes the longest to make, and is made once.

    Raises:
        DiscoveryFailed: Names every step that cannot become a route.
    """
    api = FastAPI(title=title)
    api.add_exception_handler(StreamsError, answer_error)
    streams = StreamsByName(application.streams)
    problems: list[Problem] = []
    for step in application.steps:
        try:
            _add(api, step, streams)
        except (DefinitionRefused, FastAPIError) as error:
            problems.append(Problem(step.path, _line_of(step.handler), str(error)))
    if problems:
        raise DiscoveryFailed(problems)
    return api


def on(steps: ASGIApp, store: Store, callers: Doorkeeper) -> ASGIApp:
    """Let routes run on a store, for those whom a doorkeeper knows.

    The store is bound around every request: seen by the handler, its
    dependencies and its background tasks.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with bound_to(store):
            await steps({**scope, DOORKEEPER: callers}, receive, send)

    return app


def _add(api: FastAPI, step: Step, streams: StreamsByName) -> None:
    for trigger in step.config.triggers:
        if isinstance(trigger, HttpTrigger):
            if (why := _taken(trigger.path)) is not None:
                raise DefinitionRefused(
                    f"step {step.config.name!r}: {trigger.path} is taken, because {why}; choose another path"
                )
            api.add_api_route(
                trigger.path,
                endpoint(step, streams),
                methods=[trigger.method],
                name=step.config.name,
                # FastAPI would make a title of the name: Createtodo.
                summary=step.config.name,
                description=step.config.description,
                tags=list(step.config.flows),
                **documented(trigger),
            )
            route = api.router.routes[-1]
            assert isinstance(route, Route), "the one that was just added"
            # Around all of it: FastAPI reads the body first and asks dependencies then, and who is not let
            # in would be told what is wrong with a body.
            # The time runs from then on, for whatever it takes to read the body as well.
            route.app = guarded(limited(route.app, step.config), trigger)


def _taken(path: str) -> str | None:
    """Why no step can have this path."""
    if is_resource(path):
        return f"items are served under {PREFIX}"
    return "it says how the process is" if path in (HEALTHZ, READYZ) else None


def _line_of(handler: Handler) -> int:
    code = getattr(handler, "__code__", None)
    return getattr(code, "co_firstlineno", 1)
