"""A step: a handler, and what makes it run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from streams.errors import DefinitionRefused

MAX_TIMEOUT_SECONDS = 900
MIN_MEMORY_MB, MAX_MEMORY_MB = 128, 10_240
"""What AWS Lambda takes. Elsewhere more is possible, but a step must run everywhere."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

Handler: TypeAlias = Callable[..., Any]

Auth: TypeAlias = Literal["optional", "required", "none"]
"""Who may run a step: everybody, but not with a bad token; somebody who is known; everybody, whatever
token it brings."""


@dataclass(frozen=True, slots=True)
class HttpTrigger:
    """Run the step for every request with this method and path."""

    method: str
    path: str
    """As in FastAPI: `/todo/{id}`. The seed's `/todo/:id` means the same."""
    auth: Auth = "optional"
    """Who may send one."""

    def __post_init__(self) -> None:
        method = self.method.upper() if isinstance(self.method, str) else self.method
        if method not in METHODS:
            raise DefinitionRefused(
                f"{self.method!r} is not an HTTP method; expected one of {', '.join(METHODS)}"
            )
        if not isinstance(self.path, str) or not self.path.startswith("/"):
            raise DefinitionRefused(f"path {self.path!r} does not start with '/'")
        if self.auth not in get_args(Auth):
            raise DefinitionRefused(
                f"auth={self.auth!r} does not exist; expected one of {', '.join(get_args(Auth))}"
            )
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "path", re.sub(r"/:([A-Za-z_]\w*)", r"/{\1}", self.path))

    def __str__(self) -> str:
        auth = "" if self.auth == "optional" else f" (auth {self.auth})"
        return f"{self.method} {self.path}{auth}"


Trigger: TypeAlias = HttpTrigger


def http(method: str, path: str, *, auth: Auth = "optional") -> HttpTrigger:
    """Run the step for every request with this method and path, and say who may send one.

    With `auth="required"` somebody who is known: who comes without a good
    token gets 401 before anything of its request is read. With `"optional"`
    `context.auth` of anybody without a token is None, unless `authenticate`
    says otherwise; a bad token gets 401 all the same. With `"none"` tokens
    are not looked at: for webhooks with a token of their own.
    """
    return HttpTrigger(method, path, auth)


@dataclass(frozen=True, slots=True)
class StepConfig:
    """What a step file says about itself: `config = StepConfig(...)`."""

    name: str
    triggers: Sequence[Trigger]
    flows: Sequence[str] = ()
    """The flows this step is shown in."""
    description: str | None = None
    timeout_seconds: float | None = None
    """How long the handler may take; then its caller gets 504. None: as long as whoever hosts it lets it."""
    memory_mb: int | None = None
    """Memory, in MB, of the function that runs it where functions are given memory; CPU comes with it."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise DefinitionRefused("a step needs a name")
        for field, value in (("triggers", self.triggers), ("flows", self.flows)):
            if not isinstance(value, Sequence) or isinstance(value, str):
                raise DefinitionRefused(f"`{field}` of step {self.name!r} is a list, not {value!r}")
        if not self.triggers:
            raise DefinitionRefused(
                f"step {self.name!r} has no triggers, so it would never run; add http(...)"
            )
        self._check_limits()
        object.__setattr__(self, "triggers", tuple(map(_trigger, self.triggers)))
        object.__setattr__(self, "flows", tuple(self.flows))

    def _check_limits(self) -> None:
        seconds, memory = self.timeout_seconds, self.memory_mb
        if seconds is not None and (not _is_number(seconds) or not 0 < seconds <= MAX_TIMEOUT_SECONDS):
            raise DefinitionRefused(
                f"step {self.name!r}: its time-out is {seconds!r}; expected seconds, more than 0 and at most "
                f"{MAX_TIMEOUT_SECONDS}"
            )
        if memory is not None and (
            not isinstance(memory, int)
            or isinstance(memory, bool)
            or not MIN_MEMORY_MB <= memory <= MAX_MEMORY_MB
        ):
            raise DefinitionRefused(
                f"step {self.name!r}: its memory is {memory!r}; expected whole MB from {MIN_MEMORY_MB} to "
                f"{MAX_MEMORY_MB}"
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it was found."""

    config: StepConfig
    handler: Handler
    path: Path
    """The file it is in."""


def step_config(value: object) -> StepConfig:
    """The config of a step file: a `StepConfig`, or a dict in one of the seed's forms.

    `{"name", "triggers": [{"type": "http", "method", "path", "auth"}], "flows"}`, or
    `{"type": "api", "name", "method", "path", "auth", "flows"}`; both with
    `"infrastructure": {"handler": {"ram": MB, "timeout": seconds}}`.

    Raises:
        DefinitionRefused: It is neither, or asks for something that does not exist here.
    """
    if isinstance(value, StepConfig):
        return value
    if not isinstance(value, Mapping):
        raise DefinitionRefused(f"`config` is a {type(value).__name__}; expected StepConfig(...) or a dict")
    _refuse_unknown("`config`", value, {*_CONFIG_KEYS, *_TRIGGER_KEYS})
    own = {key: value[key] for key in _TRIGGER_KEYS if key in value}
    return StepConfig(
        name=value.get("name", ""),
        triggers=value.get("triggers", [own] if "type" in own else []),
        flows=value.get("flows", ()),
        description=value.get("description"),
        **_limits(value.get("infrastructure", {})),
    )


def _limits(infrastructure: object) -> dict[str, Any]:
    """`{"handler": {"ram", "timeout"}}` in our words."""
    handler = infrastructure.get("handler", {}) if isinstance(infrastructure, Mapping) else None
    if not isinstance(infrastructure, Mapping) or not isinstance(handler, Mapping):
        raise DefinitionRefused(
            f'`infrastructure` is {{"handler": {{"ram": 512, "timeout": 10}}}}, not {infrastructure!r}'
        )
    _refuse_unknown("`infrastructure`", infrastructure, {"handler"})
    _refuse_unknown("`infrastructure` of the handler", handler, {"ram", "timeout"})
    return {"memory_mb": handler.get("ram"), "timeout_seconds": handler.get("timeout")}


_CONFIG_KEYS = ("name", "triggers", "flows", "description", "infrastructure")
_TRIGGER_KEYS = ("type", "method", "path", "auth")


def _refuse_unknown(what: str, value: Mapping[str, Any], known: Iterable[str]) -> None:
    """A middleware that is not run would let everybody in."""
    if unknown := sorted(map(repr, set(value).difference(known))):
        raise DefinitionRefused(f"{what} has {', '.join(unknown)}, which this release does not know")


def _trigger(value: object) -> Trigger:
    if isinstance(value, HttpTrigger):
        return value
    if not isinstance(value, Mapping):
        raise DefinitionRefused(f"a trigger is http(...) or a dict, not {value!r}")
    _refuse_unknown("a trigger", value, _TRIGGER_KEYS)
    match value.get("type"):
        case "http" | "api":
            return HttpTrigger(
                value.get("method", "GET"), value.get("path", ""), value.get("auth", "optional")
            )
        case other:
            raise DefinitionRefused(f"trigger type {other!r} does not exist here; expected 'http'")
