"""What becomes of each kind of field."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypeVar
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, WithJsonSchema, computed_field
from typing_extensions import TypedDict

from streams import DiscoveryFailed, Stream
from tests.typescript.written import declared, fields, fields_of, input_of, written

T = TypeVar("T")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Part(TypedDict):
    name: str
    weight: NotRequired[float]


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


class Owner(BaseModel):
    id: str
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


class Tree(BaseModel):
    id: str
    children: list[Tree]


class Folder(BaseModel):
    id: str
    files: list[File]


class File(BaseModel):
    name: str
    within: Folder | None = None


class Page(BaseModel, Generic[T]):
    entries: list[T]


class Note(BaseModel):
    id: str
    text: str


class Noted(BaseModel):
    id: str
    notes: Page[Note]
    numbers: Page[int]


KINDS = [
    (str, "string"),
    (int, "number"),
    (float, "number"),
    (bool, "boolean"),
    (type(None), "null"),
    (Any, "unknown"),
    (int | str, "number | string"),
    (str | None, "string | null"),
    (list[str], "string[]"),
    (list[str | None], "(string | null)[]"),
    (list[Any], "unknown[]"),
    (set[int], "number[]"),
    (dict[str, int], "{ [key: string]: number }"),
    (dict[int, str | None], "{ [key: string]: string | null }"),
    (dict[str, Any], "Record<string, unknown>"),
    (dict, "Record<string, unknown>"),
    (dict[Literal["a", "b"], int], '{ [Key in "a" | "b"]?: number }'),
    (dict[Colour, int], "{ [Key in Colour]?: number }"),
    (tuple[int, str], "[number, string]"),
    (tuple[int, ...], "number[]"),
    (tuple[int | None, list[str]], "[number | null, string[]]"),
    (Point, "Point"),
    (Literal["a", 1, True, None], '"a" | 1 | true | null'),
    (Colour, "Colour"),
    (Part, "Part"),
    (JsonValue, "JsonValue"),
    (Annotated[object, WithJsonSchema({"type": "string"})], "string"),
]


@pytest.mark.parametrize(("annotation", "typescript"), KINDS, ids=[str(kind[0]) for kind in KINDS])
def test_a_field_of_every_kind_is_what_it_is_on_the_wire(annotation: Any, typescript: str):
    class Thing(BaseModel):
        id: str
        it: annotation  # type: ignore[valid-type]  # each in turn

    assert fields_of(Thing) == ["id: string;", f"it: {typescript};"]


@pytest.mark.parametrize(
    ("annotation", "format"),
    [(datetime, "date-time"), (date, "date"), (UUID, "uuid"), (Decimal, "decimal"), (bytes, "binary")],
)
def test_what_is_a_string_on_the_wire_says_in_its_comment_what_it_means(annotation: Any, format: str):
    class Thing(BaseModel):
        id: str
        it: annotation  # type: ignore[valid-type]  # each in turn
        some: list[annotation] | None  # type: ignore[valid-type]
        two: tuple[annotation, annotation]  # type: ignore[valid-type]

    said = f"/** @format {format} */"
    typed = ["it: string;", "some: string[] | null;", "two: [string, string];"]
    assert fields_of(Thing) == ["id: string;", *(line for field in typed for line in (said, field))]


def test_a_decimal_may_be_written_as_a_number_too():
    class Thing(BaseModel):
        id: str
        price: Decimal

    assert input_of(Thing) == ["id: string;", "/** @format decimal */", "price: number | string;"]


def test_a_field_with_a_default_always_comes_and_need_not_be_written():
    class Thing(BaseModel):
        id: str
        text: str = "new"
        due: str | None = None
        tags: list[str] = Field(default_factory=list)

    assert [line for line in fields_of(Thing) if "@" not in line] == [
        "id: string;",
        "text: string;",
        "due: string | null;",
        "tags: string[];",
    ]
    assert input_of(Thing) == [
        "id: string;",
        '/** @default "new" */',
        "text?: string;",
        "due?: string | null;",
        "tags?: string[];",
    ]


def test_a_model_that_is_the_same_both_ways_has_one_type():
    text = written(Stream("note", Note))

    assert "NoteInput" not in text
    assert fields(text, "Streams") == [
        "note: {",
        "  item: Note;",
        "  input: Note;",
        "  events: Record<string, unknown>;",
        "};",
    ]


def test_a_model_that_contains_one_that_differs_differs_itself():
    class Inner(BaseModel):
        text: str = ""

    class Outer(BaseModel):
        id: str
        inner: Inner

    text = written(Stream("outer", Outer))

    assert fields(text, "Outer") == ["id: string;", "inner: Inner;"]
    assert fields(text, "OuterInput") == ["id: string;", "inner: InnerInput;"]


def test_fields_have_the_names_that_they_have_on_the_wire():
    class Thing(BaseModel):
        id: str
        created_at: str = Field(alias="createdAt")
        content_type: str = Field(serialization_alias="content-type", validation_alias="contentType")

    assert fields_of(Thing) == ["id: string;", "createdAt: string;", '"content-type": string;']
    assert input_of(Thing) == ["id: string;", "createdAt: string;", "contentType: string;"]


def test_what_is_computed_comes_and_is_not_written():
    class Thing(BaseModel):
        id: str

        @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties
        @property
        def shout(self) -> str:
            """The id, loud."""
            return self.id.upper()

    assert fields_of(Thing) == ["id: string;", "/** The id, loud. */", "shout: string;"]
    assert input_of(Thing) == ["id: string;"]


def test_what_is_not_written_to_the_wire_does_not_come():
    class Thing(BaseModel):
        id: str
        secret: str = Field(default="", exclude=True)
        rare: str | None = Field(default=None, exclude_if=lambda value: not value)

    assert fields_of(Thing) == ["id: string;", "rare?: string | null;"]


def test_a_model_that_takes_more_than_it_names_says_so():
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        id: str

    class Closed(BaseModel):
        model_config = ConfigDict(extra="forbid")
        id: str

    assert fields_of(Open) == ["id: string;", "[key: string]: unknown;"]
    assert fields_of(Closed) == ["id: string;"]


def test_unions_that_a_field_tells_apart_must_have_it_when_they_are_written():
    text = written(Stream("owner", Owner))

    assert fields(text, "Owner") == ["id: string;", "pet: Cat | Dog;"]
    assert fields(text, "OwnerInput") == [
        "id: string;",
        'pet: (CatInput & Required<Pick<CatInput, "kind">>) | Dog;',
    ]
    assert fields(text, "Dog") == ['kind: "dog";']


def test_a_model_can_be_part_of_itself_and_be_the_same_both_ways():
    text = written(Stream("tree", Tree))

    assert fields(text, "Tree") == ["id: string;", "children: Tree[];"]
    assert "TreeInput" not in text


def test_models_that_are_part_of_each_other_differ_where_one_of_them_does():
    text = written(Stream("folder", Folder), Stream("tree", Tree))

    assert fields(text, "Folder") == ["id: string;", "files: File[];"]
    assert fields(text, "FolderInput") == ["id: string;", "files: FileInput[];"]
    assert fields(text, "File")[-1] == "within: Folder | null;"
    assert fields(text, "FileInput")[-1] == "within?: FolderInput | null;"
    assert "TreeInput" not in text


def test_a_generic_model_is_one_type_for_each_use():
    text = written(Stream("noted", Noted))

    assert fields(text, "Noted") == ["id: string;", "notes: PageNote;", "numbers: PageInt;"]
    assert fields(text, "PageNote") == ["entries: Note[];"]
    assert fields(text, "PageInt") == ["entries: number[];"]


def test_what_has_a_name_and_is_no_model_is_a_type_of_its_own():
    class Thing(BaseModel):
        id: str
        colour: Colour
        part: Part
        point: Point
        anything: JsonValue

    text = written(Stream("thing", Thing))

    assert declared(text, "Colour") == '"red" | "blue"'
    assert fields(text, "Part") == ["name: string;", "weight?: number;"]
    assert declared(text, "Point") == "[number, number?]"
    assert declared(text, "JsonValue") == "unknown"


def test_items_can_be_dataclasses_and_unions():
    @dataclass
    class Plain:
        id: str
        done: bool = False

    class Either(RootModel[Note | Tree]):
        pass

    text = written(Stream("plain", Plain), Stream("either", Either))

    assert fields(text, "Plain") == ["id: string;", "/** @default false */", "done: boolean;"]
    assert declared(text, "Either") == "Note | Tree"


def test_every_item_has_an_id_even_where_its_model_has_none():
    class Vote(BaseModel):
        choice: str

    class Named(BaseModel):
        id: str | None = None

    class Some(RootModel[Note | Vote]):
        pass

    text = written(*[Stream(model.__name__.lower(), model) for model in (Vote, Named, Some, Note)])

    assert "  item: Vote & { id: string };" in fields(text, "Streams")
    assert "  input: Vote;" in fields(text, "Streams")
    assert "  item: Named & { id: string };" in fields(text, "Streams")
    assert "  item: Some & { id: string };" in fields(text, "Streams")
    assert "  item: Note;" in fields(text, "Streams")


def test_what_is_said_of_a_model_and_its_fields_is_said_in_comments():
    class Thing(BaseModel):
        """What one can hold.

        Or throw */ away.
        """

        model_config = ConfigDict(use_attribute_docstrings=True)

        id: str
        weight: float = Field(default=1.5, description="In kg.")
        size: int = 3
        """In cm."""
        old: str = Field(deprecated=True)

    text = written(Stream("thing", Thing))

    assert "/**\n * What one can hold.\n *\n * Or throw *\\/ away.\n */\nexport type Thing = {" in text
    assert fields(text, "Thing") == [
        "id: string;",
        "/**",
        " * In kg.",
        " * @default 1.5",
        " */",
        "weight: number;",
        "/**",
        " * In cm.",
        " * @default 3",
        " */",
        "size: number;",
        "/** @deprecated */",
        "old: string;",
    ]


def test_a_default_that_is_no_json_is_not_said():
    class Thing(BaseModel):
        id: str
        it: Annotated[object, WithJsonSchema({"type": "string"})] = object()

    assert fields_of(Thing) == ["id: string;", "it: string;"]


class Callback(BaseModel):
    id: str
    call: Callable[[], None]


class Locked(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    id: str
    error: RuntimeWarning


def test_models_that_cannot_be_described_are_named_with_their_places_and_what_to_do():
    with pytest.raises(DiscoveryFailed) as failed:
        written(Stream("callback", Callback), Stream("note", Note), Stream("locked", Locked))

    assert len(failed.value.problems) == 2
    for problem, model in zip(failed.value.problems, (Callback, Locked), strict=True):
        assert str(problem.path) == __file__
        assert problem.line == inspect.getsourcelines(model)[1]
        assert problem.message.startswith(f"an item of stream '{model.__name__.lower()}' cannot be described")
        assert "WithJsonSchema" in problem.message


def test_a_model_with_names_that_are_not_there_is_named_too():
    class Half(BaseModel):
        id: str
        other: "Missing"  # noqa: F821, UP037  # that is the point

    with pytest.raises(DiscoveryFailed, match="is not fully defined") as failed:
        written(Stream("half", Half))

    assert "WithJsonSchema" not in str(failed.value)
