"""Steps that tests write down, and lists of functions made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.deploy.functions_list import Mode, functions_list
from streams.discovery import Application
from streams.errors import DiscoveryFailed
from streams.step import HttpTrigger, Step, StepConfig, http

FILE = Path(__file__)
"""Every step is in this file."""


def step(
    name: str, *triggers: HttpTrigger, seconds: float | None = None, memory_mb: int | None = None
) -> Step:
    """A step; without a trigger, of a route that no other has."""
    found = triggers or (http("POST", f"/{name.encode().hex()}"),)
    return Step(StepConfig(name, found, timeout_seconds=seconds, memory_mb=memory_mb), _handler, FILE)


async def _handler() -> None: ...


def application(*steps: Step, folder: str = "functions") -> Application:
    return Application(Path("/app", folder), (), steps)


def listed(*steps: Step, mode: Mode = "router", folder: str = "functions") -> dict[str, Any]:
    """The list as osls reads it."""
    functions: dict[str, Any] = json.loads(functions_list(application(*steps, folder=folder), mode))
    return functions


def routes(function: dict[str, Any]) -> list[str]:
    return [event["httpApi"] for event in function["events"]]


def refusals(*steps: Step, mode: Mode = "router") -> list[str]:
    """Why there is no list of these steps."""
    with pytest.raises(DiscoveryFailed) as failed:
        functions_list(application(*steps), mode)
    return [problem.message for problem in failed.value.problems]


def refusal(*steps: Step, mode: Mode = "router") -> str:
    (message,) = refusals(*steps, mode=mode)
    return message
