"""Options that several commands have in common, and that each of them gets as one value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeAlias

Command: TypeAlias = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Option:
    """One option."""

    annotation: Any
    """As typer reads it: `Annotated[str | None, typer.Option(...)]`."""
    default: Any = None


def together(
    parameter: str, options: Mapping[str, Option], made_of: Callable[..., Any]
) -> Callable[[Command], Command]:
    """Gives a command these options. It is called with what is `made_of` them, as its `parameter`."""

    def decorated(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=option.annotation
            )
            for name, option in options.items()
        ]
        own = [each for name, each in signature.parameters.items() if name != parameter]

        @wraps(command)
        def with_options(**values: Any) -> None:
            given = {name: values.pop(name) for name in options}
            command(**values, **{parameter: made_of(**given)})

        # What typer reads.
        with_options.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        with_options.__annotations__ = {each.name: each.annotation for each in [*own, *added]}
        return with_options

    return decorated
