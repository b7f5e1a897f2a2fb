"""An application with every kind of model and of step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NotRequired, TypeVar
from uuid import UUID

from fastapi import Depends, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, computed_field
from typing_extensions import TypeAliasType, TypedDict

from streams import Address, StepConfig, Stream, StreamSetResult, http
from streams.discovery import Application
from streams.step import HttpTrigger, Step

T = TypeVar("T")

Nested = TypeAliasType("Nested", "str | list[Nested] | dict[str, Nested]")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Part(TypedDict):
    name: str
    weight: NotRequired[float]


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str] = []


class Owner(BaseModel):
    id: str
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


class Page(BaseModel, Generic[T]):
    entries: list[T]
    next: Page[T] | None = None


class Everything(BaseModel):
    """Every kind of field.

    With a line that ends a comment */ in it.
    """

    id: str
    count: int = 1
    at: datetime
    price: Decimal
    key: UUID
    raw: bytes = b""
    colour: Colour
    size: Literal["s", "m", 40] = "m"
    point: tuple[float, float]
    path: list[tuple[int, str | None]] = []
    part: Part
    by_colour: dict[Colour, int] = {}
    by_name: dict[str, list[int]] = {}
    anything: Any = None
    json_value: JsonValue = None
    nested: Nested = "leaf"
    notes: Page[Note]
    content_type: str = Field(default="text/plain", alias="content-type")

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties
    @property
    def double(self) -> int:
        """Twice the count."""
        return 2 * self.count


class Note(BaseModel):
    id: str
    text: str = ""


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    text: str


@dataclass
class Plain:
    id: str
    done: bool = False


class Shape(RootModel[Note | Plain]):
    pass


class Record(BaseModel):
    id: str


class Filters(BaseModel):
    tag: str
    last: int = 10


TREE = {
    "type": "object",
    "required": ["id", "root"],
    "properties": {"id": {"type": "string"}, "root": {"$ref": "#/$defs/node"}},
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "by_name": {"additionalProperties": {"$ref": "#/$defs/node"}},
                "span": {"prefixItems": [{"type": "integer"}, {"type": "integer"}], "minItems": 1},
            },
        }
    },
}


async def create(body: Note) -> StreamSetResult[Note]:
    return StreamSetResult(body, None, 1, Address("note", "all", body.id))


async def search(room: str, filters: Annotated[Filters, Query()]) -> Page[Note]:
    return Page(entries=[Note(id=room)], next=Page(entries=[]))


async def count(room: str, last: int = 10, before: str | None = None) -> int:
    return last


async def mark(number: int, note: Note, tags: list[str]) -> None: ...


async def download(name: str) -> Response:
    return Response(name)


def traced(x_trace: Annotated[str, Header()]) -> str:
    return x_trace


async def trace(trace: Annotated[str, Depends(traced)]) -> dict[str, str]:
    return {"trace": trace}


def _step(name: str, handler: Callable[..., Any], *triggers: HttpTrigger) -> Step:
    return Step(StepConfig(name, triggers, description=f"{name} it. */"), handler, Path(__file__))


APPLICATION = Application(
    Path(__file__).parent,
    (
        Stream("everything", Everything),
        Stream("owner", Owner),
        Stream("loose-ends", Loose),
        Stream("shape", Shape),
        Stream("record", Record),
        Stream("any", dict),
        Stream("tree", dict, schema=TREE),
    ),
    (
        _step("CreateNote", create, http("POST", "/notes")),
        _step("Search", search, http("GET", "/rooms/{room}/notes")),
        _step("Count", count, http("GET", "/rooms/{room}/count"), http("POST", "/rooms/{room}/count")),
        _step("Mark", mark, http("PUT", "/notes/{number}")),
        _step("Download", download, http("GET", "/files/{name:path}")),
        _step("Trace", trace, http("GET", "/trace")),
    ),
)

ITEMS: dict[str, dict[str, Any]] = {
    "everything": {
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "price": "1.50",
        "key": UUID(int=1),
        "raw": b"raw",
        "colour": "red",
        "point": (1, 2.5),
        "path": [(1, None)],
        "part": {"name": "a"},
        "by_colour": {"blue": 1},
        "by_name": {"a": [1]},
        "anything": {"a": [None, 1.5]},
        "nested": ["a", {"b": ["c"]}],
        "notes": {"entries": [{"id": "1"}], "next": {"entries": []}},
    },
    "owner": {"pet": {"kind": "dog"}},
    "loose-ends": {"text": "a", "more": 1},
    "shape": {"id": "1", "done": True},
    "record": {},
    "any": {"more": {}},
    "tree": {"id": "1", "root": {"children": [{"by_name": {"a": {}}}], "span": [1]}},
}
"""An item of every stream, with an id of 1."""

REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("CreateNote", "/notes", {"json": {"id": "1"}}),
    ("Search", "/rooms/lobby/notes", {"params": {"tag": "a"}}),
    ("Count GET /rooms/{room}/count", "/rooms/lobby/count", {}),
    ("Mark", "/notes/1", {"json": {"note": {"id": "1"}, "tags": []}}),
    ("Trace", "/trace", {"headers": {"x-trace": "1"}}),
]
"""A call of steps that say what they answer: name, path, and what else `httpx` sends."""
