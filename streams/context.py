"""What a handler is given: the streams by name, a logger, and which call this is."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from streams.errors import UnknownStream
from streams.stream import Stream


class StreamsByName:
    """`context.streams`: every stream of the application as an attribute, or by `[name]`."""

    __slots__ = ("_streams",)

    def __init__(self, streams: Iterable[Stream[Any]]) -> None:
        self._streams = {stream.name: stream for stream in streams}

    def __getattr__(self, name: str) -> Stream[Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Stream[Any]:
        try:
            return self._streams[name]
        except KeyError:
            raise UnknownStream(name, self._streams) from None

    def __iter__(self) -> Iterator[Stream[Any]]:
        return iter(self._streams.values())

    def __len__(self) -> int:
        return len(self._streams)


@dataclass(frozen=True, slots=True)
class Context:
    """One invocation of a step."""

    streams: StreamsByName
    step: str = "step"
    """The name of the step that runs."""
    trace_id: str = field(default_factory=lambda: secrets.token_hex(16))
    """32 hex digits. From the request's `traceparent` header where it has one (W3C Trace Context)."""
    # Not in logs: it may be personal.
    auth: Any = field(default=None, repr=False)
    """What `authenticate` made of the caller; the token's claims where an application has no such function.
    None: nobody knows who it is."""

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that says which step and which call a line is from."""
        return logging.LoggerAdapter(
            logging.getLogger(f"streams.step.{self.step}"), {"step": self.step, "trace_id": self.trace_id}
        )


def context_for(*streams: Stream[Any], step: str = "step", auth: Any = None) -> Context:
    """A context for calling a handler by hand, in a test."""
    return Context(StreamsByName(streams), step, auth=auth)
