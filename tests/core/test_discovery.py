"""Streams and steps are found below a folder by the names of their files."""

from __future__ import annotations

import sys

import pytest

from streams.discovery import discover
from streams.errors import ItemRefused
from streams.keys import Address
from streams.step import http
from tests.core.written_app import names


def test_streams_and_steps_are_found_by_the_ends_of_their_names_however_deep(app):
    app.stream("todo_stream.py", "todo")
    app.stream("chat/rooms/message_stream.py", "message")
    step = app.step("chat/send_step.py", "Send")
    app.write("chat/helper.py", "raise RuntimeError('nobody imports this')")
    app.write("chat/step.py", "raise RuntimeError('nobody imports this')")

    found = app.found()

    assert names(found) == (["message", "todo"], ["Send"])
    assert found.folder == app.folder
    assert found.steps[0].path == step
    assert found.steps[0].config.triggers == (http("POST", "/todo"),)


def test_an_empty_folder_is_an_application_without_anything(app):
    assert names(app.found()) == ([], [])


def test_files_of_other_tools_are_left_alone(app):
    for folder in (".venv", "venv", "node_modules", "__pycache__"):
        app.write(f"{folder}/package/other_step.py", "raise RuntimeError")

    assert names(app.found()) == ([], [])


@pytest.mark.parametrize("packages", [False, True])
def test_relative_imports_work_with_and_without_init_files(app, packages):
    app.stream("todo/todo_stream.py")
    app.write("shared.py", "NAME = 'Create'")
    app.write(
        "todo/create_step.py",
        """
        from streams import StepConfig, http
        from ..shared import NAME
        from .todo_stream import todo

        config = StepConfig(name=NAME, triggers=[http("POST", "/todo")])

        def handler():
            return todo
        """,
    )
    if packages:
        app.write("__init__.py")
        app.write("todo/__init__.py")

    found = app.found()

    assert names(found) == (["todo"], ["Create"])
    assert found.steps[0].handler() is found.streams[0]


def test_a_folder_inside_a_package_keeps_its_full_name(app):
    app.write("__init__.py")
    app.write("inner/__init__.py")
    app.stream("inner/todo_stream.py")

    discover(app.folder / "inner")

    assert f"{app.folder.name}.inner.todo_stream" in sys.modules


def test_whoever_imports_a_file_gets_the_same_stream(app):
    app.stream("todo_stream.py")

    (found,) = app.found().streams

    module = __import__(f"{app.folder.name}.todo_stream", fromlist=["todo"])
    assert module.todo is found


def test_a_stream_that_is_imported_into_another_stream_file_is_found_once(app):
    app.stream("a_stream.py", "todo")
    app.write(
        "b_stream.py",
        """
        from streams import Stream
        from .a_stream import todo

        notes = Stream("notes", dict)
        """,
    )

    assert names(app.found())[0] == ["todo", "notes"]


def test_one_file_may_define_several_streams(app):
    app.write(
        "all_stream.py",
        """
        from streams import Stream

        todo, notes = Stream("todo", dict), Stream("notes", dict)
        """,
    )

    assert names(app.found())[0] == ["todo", "notes"]


def test_a_stream_may_be_a_dict_with_a_json_schema(app):
    app.write(
        "todo_stream.py",
        """
        config = {
            "name": "todo",
            "schema": {"type": "object", "required": ["text"]},
            "baseConfig": {"storageType": "default"},
        }
        """,
    )

    (todo,) = app.found().streams

    assert todo.name == "todo"
    with pytest.raises(ItemRefused, match="'text' is a required property"):
        todo._codec.encode(Address("todo", "inbox", "1"), {})


def test_a_stream_may_be_a_dict_with_a_model(app):
    app.write(
        "todo_stream.py",
        """
        from pydantic import BaseModel

        class Todo(BaseModel):
            text: str

        config = {"name": "todo", "schema": Todo}
        """,
    )

    (todo,) = app.found().streams

    assert todo._codec.decode(Address("todo", "inbox", "1"), b'{"text":"Milk"}').text == "Milk"


def test_a_stream_may_be_a_dict_with_nothing_but_a_name(app):
    app.write("todo_stream.py", 'config = {"name": "todo"}')

    assert names(app.found())[0] == ["todo"]


def test_a_step_may_be_configured_by_a_dict(app):
    app.write(
        "a_step.py",
        """
        config = {"name": "A", "triggers": [{"type": "http", "method": "POST", "path": "/a/:id"}]}

        def handler(): ...
        """,
    )
    app.write(
        "b_step.py",
        """
        config = {"type": "api", "name": "B", "method": "GET", "path": "/b", "flows": ["todo"]}

        def handler(): ...
        """,
    )

    found = app.found()

    assert [step.config.triggers for step in found.steps] == [
        (http("POST", "/a/{id}"),),
        (http("GET", "/b"),),
    ]


def test_routes_that_differ_in_method_or_path_live_beside_each_other(app):
    app.step("a_step.py", "A", "POST", "/todo")
    app.step("b_step.py", "B", "GET", "/todo")
    app.step("c_step.py", "C", "GET", "/todo/{id}")

    assert names(app.found())[1] == ["A", "B", "C"]


def test_a_stream_in_a_dict_may_say_who_may(app):
    for name, access, send in (("todo", "canAccess", "canSend"), ("note", "can_access", "can_send")):
        app.write(
            f"{name}_stream.py",
            f"""
            def see(subscription, context): ...

            async def send(subscription, context): ...

            config = {{"name": "{name}", "{access}": see, "{send}": send}}
            """,
        )
    app.write("news_stream.py", 'config = {"name": "news", "schema": dict, "public": True}')

    news, note, todo = sorted(app.found().streams, key=lambda stream: stream.name)

    for stream in (note, todo):
        assert (stream.can_access.__name__, stream.can_send.__name__) == ("see", "send")
        assert not stream.public
    assert (news.can_access, news.can_send, news.public) == (None, None, True)


@pytest.mark.parametrize("schema", ["dict", '{"type": "object"}', "Todo"])
def test_who_may_is_kept_whatever_the_items_are(app, schema):
    app.write(
        "todo_stream.py",
        f"""
        from pydantic import BaseModel

        class Todo(BaseModel):
            text: str

        config = {{"name": "todo", "schema": {schema}, "canAccess": lambda subscription, context: False}}
        """,
    )

    (todo,) = app.found().streams

    assert todo.can_access is not None


def test_an_application_need_not_say_who_callers_are(app):
    app.stream("todo_stream.py")

    assert app.found().auth is None


def test_stream_auth_directly_in_the_folder_says_who_callers_are(app):
    path = app.write(
        "stream_auth.py",
        """
        from pydantic import BaseModel

        class Me(BaseModel):
            user: str

        context_schema = Me

        async def authenticate(request, claims): ...
        """,
    )

    auth = app.found().auth

    module = sys.modules[f"{app.folder.name}.stream_auth"]
    assert (auth.authenticate, auth.context_schema, auth.path) == (module.authenticate, module.Me, path)


@pytest.mark.parametrize("schema", ["dict[str, int]", "str | None", "Typed", "Data"])
def test_a_context_may_be_of_any_type_that_pydantic_knows(app, schema):
    app.write(
        "stream_auth.py",
        f"""
        from dataclasses import dataclass
        from typing_extensions import TypedDict

        class Typed(TypedDict):
            user: str

        @dataclass
        class Data:
            user: str

        context_schema = {schema}

        def authenticate(request, claims): ...
        """,
    )

    assert app.found().auth.context_schema is not None


def test_a_context_need_not_be_of_a_type(app):
    app.write("stream_auth.py", "def authenticate(request, claims): ...")

    assert app.found().auth.context_schema is None
