"""Streams and steps are found below a folder, and all that is wrong with them is said at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from textwrap import dedent

import pytest

from streams.discovery import Application, discover
from streams.errors import DiscoveryFailed, ItemRefused, Problem
from streams.keys import Address
from streams.step import http

_names = (f"discovered{number}" for number in count())

STREAM = """
    from streams import Stream

    {name} = Stream("{name}", dict)
"""
STEP = """
    from streams import StepConfig, http

    config = StepConfig(name="{name}", triggers=[http("{method}", "{path}")])

    async def handler(): ...
"""


class App:
    """An application that a test writes. Its folder's name is like no other module's."""

    def __init__(self, root: Path) -> None:
        self.folder = root / next(_names)
        self.folder.mkdir()

    def write(self, path: str, text: str = "") -> Path:
        """A file. Its first line is the first one that is not empty."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text).lstrip("\n"))
        return file

    def stream(self, path: str, name: str = "todo") -> Path:
        return self.write(path, STREAM.format(name=name))

    def step(self, path: str, name: str = "Create", method: str = "POST", route: str = "/todo") -> Path:
        return self.write(path, STEP.format(name=name, method=method, path=route))

    def found(self) -> Application:
        return discover(self.folder)

    def problems(self) -> list[Problem]:
        with pytest.raises(DiscoveryFailed) as failed:
            discover(self.folder)
        return list(failed.value.problems)

    def problem(self) -> Problem:
        (problem,) = self.problems()
        return problem


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    path_before = list(sys.path)
    app = App(tmp_path)
    yield app
    sys.path[:] = path_before
    for name in [name for name in sys.modules if name.partition(".")[0] == app.folder.name]:
        del sys.modules[name]


def names(application: Application) -> tuple[list[str], list[str]]:
    return [stream.name for stream in application.streams], [step.config.name for step in application.steps]


# What is found.


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


# What is wrong.


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DiscoveryFailed) as failed:
        discover(tmp_path / "functoins")

    assert str(failed.value) == (
        f"1 problem in the streams and steps:\n  {tmp_path / 'functoins'}:1: there is no such folder"
    )


def test_a_name_that_does_not_exist_is_reported_where_it_is_used(app):
    path = app.write(
        "todo_step.py",
        """
        from streams import StepConfig

        config = StepConfig(name=oops)
        """,
    )

    assert app.problem() == Problem(path, 3, "NameError: name 'oops' is not defined")


def test_an_import_of_what_is_not_installed_is_reported_at_its_line(app):
    path = app.write("todo_step.py", "import json\n\nimport nobody_has_this\n")

    assert app.problem() == Problem(path, 3, "ModuleNotFoundError: No module named 'nobody_has_this'")


def test_an_error_inside_a_helper_is_reported_where_the_step_calls_it(app):
    app.write("helper.py", "def fail():\n    raise ValueError('no luck')\n")
    path = app.write("todo_step.py", "from .helper import fail\n\nfail()\n")

    assert app.problem() == Problem(path, 3, "ValueError: no luck")


def test_a_syntax_error_is_reported_at_its_line(app):
    path = app.write("todo_step.py", "config = 1\n\ndef handler(:\n    pass\n")

    problem = app.problem()

    assert (problem.path, problem.line) == (path, 3)
    assert problem.message.startswith("SyntaxError: ")


def test_a_syntax_error_in_a_helper_is_reported_there_once_however_many_import_it(app):
    helper = app.write("helper.py", "x = 1\ndef broken(:\n")
    app.write("a_step.py", "from . import helper\n")
    app.write("b_step.py", "from . import helper\n")

    problem = app.problem()

    assert (problem.path, problem.line) == (helper, 2)


def test_a_stream_file_without_a_stream_is_reported(app):
    path = app.write("todo_stream.py", "x = 1")

    assert app.problem() == Problem(path, 1, 'defines no stream: add `todo = Stream("todo", Todo)`')


def test_a_second_stream_of_the_same_name_is_reported_where_it_is_defined(app):
    first = app.stream("a_stream.py", "todo")
    second = app.write(
        "b_stream.py",
        """
        from streams import Stream

        notes = Stream("notes", dict)
        other = Stream("todo", dict)
        """,
    )

    assert app.problem() == Problem(
        second, 4, f"stream 'todo' is defined in {first} already; give one of them another name"
    )


def test_a_second_step_of_the_same_name_is_reported_where_it_is_configured(app):
    first = app.step("a_step.py", "Create", route="/a")
    second = app.step("b_step.py", "Create", route="/b")

    assert app.problem() == Problem(
        second, 3, f"step 'Create' is defined in {first} already; give one of them another name"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/todo", "/todo"),
        ("/todo/{id}", "/todo/{id}"),
        ("/todo/:id", "/todo/{id}"),
        ("/todo/{id}", "/todo/{todo_id}"),
    ],
)
def test_a_second_step_for_the_same_route_is_reported(app, one, other):
    first = app.step("a_step.py", "A", "GET", one)
    second = app.step("b_step.py", "B", "GET", other)

    assert app.problem() == Problem(second, 3, f"GET {other} is served by {first} already")


def test_a_step_without_a_config_is_reported(app):
    path = app.write("todo_step.py", "def handler(): ...")

    assert app.problem() == Problem(
        path, 1, "has no `config`: add `config = StepConfig(name=..., triggers=[...])`"
    )


def test_a_step_without_a_handler_is_reported(app):
    path = app.write("todo_step.py", 'config = {"type": "http", "name": "A", "path": "/"}')

    assert app.problem() == Problem(path, 1, "has no `handler`: add `async def handler(...)`")


def test_a_handler_that_is_no_function_is_reported_where_it_stands(app):
    path = app.write(
        "todo_step.py", 'config = {"type": "http", "name": "A", "path": "/"}\n\nhandler = "create"\n'
    )

    assert app.problem() == Problem(path, 3, "`handler` is not a function")


def test_everything_that_a_step_lacks_is_reported_at_once(app):
    app.write("todo_step.py", "x = 1")

    assert [problem.message.partition(":")[0] for problem in app.problems()] == [
        "has no `config`",
        "has no `handler`",
    ]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("[]", "`config` is a list; expected StepConfig(...) or a dict"),
        ('{"triggers": [{"type": "http", "path": "/"}]}', "a step needs a name"),
        ('{"name": "A"}', "step 'A' has no triggers, so it would never run; add http(...)"),
        ('{"name": "A", "triggers": None}', "`triggers` of step 'A' is a list, not None"),
        ('{"name": "A", "triggers": "GET /"}', "`triggers` of step 'A' is a list, not 'GET /'"),
        ('{"name": "A", "type": "cron"}', "trigger type 'cron' does not exist here; expected 'http'"),
        ('{"name": "A", "type": "http", "path": "todo"}', "path 'todo' does not start with '/'"),
        (
            '{"name": "A", "type": "http", "path": "/", "middleware": []}',
            "`config` has 'middleware', which this release does not know",
        ),
    ],
)
def test_a_step_config_that_cannot_work_is_reported_where_it_stands(app, config, sentence):
    path = app.write("todo_step.py", f"def handler(): ...\n\nconfig = {config}\n")

    assert app.problem() == Problem(path, 3, sentence)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            '{"name": "todo", "canAccess": lambda *_: False, "onJoin": None}',
            "`config` has 'canAccess', 'onJoin', which this release does not know; take it out",
        ),
        (
            '{"name": "todo", 7: 1, "x": 2}',
            "`config` has 'x', 7, which this release does not know; take it out",
        ),
        (
            '{"name": "todo", "baseConfig": {"storageType": "custom"}}',
            "`baseConfig` is {'storageType': 'custom'}; only {\"storageType\": \"default\"} exists here",
        ),
        (
            '{"name": "to do"}',
            "stream name 'to do' must start with a letter and hold at most 64 letters, digits, '_' or '-'",
        ),
        ("{}", "stream name '' must start with a letter and hold at most 64 letters, digits, '_' or '-'"),
        (
            '{"name": "todo", "schema": "Todo"}',
            "the items of a stream are a pydantic model or `dict`, not 'Todo'",
        ),
        (
            '{"name": "todo", "schema": {"type": "strin"}}',
            "`schema` is not a JSON Schema: 'strin' is not valid under any of the given schemas",
        ),
    ],
)
def test_a_stream_config_that_cannot_work_is_reported_where_it_stands(app, config, sentence):
    path = app.write("todo_stream.py", f"x = 1\nconfig = {config}\n")

    assert app.problem() == Problem(path, 2, sentence)


def test_a_name_that_python_cannot_import_is_reported(app):
    path = app.step("v1.2/todo_step.py")

    assert app.problem() == Problem(
        path, 1, "'v1.2' has a dot in its name, so Python cannot import it; rename it"
    )


def test_everything_that_is_wrong_is_reported_at_once_file_by_file(app):
    good = app.step("good_step.py", "Good", "GET", "/good")
    expected = [
        (app.write("a_step.py", "import nobody_has_this"), 1),
        (app.write("b_step.py", "\n\n\ndef handler(:\n"), 1),
        (app.write("deep/c_step.py", "def handler(): ...\n"), 1),
        (app.write("deep/d_stream.py", "\nx = 1\n"), 1),
        (app.step("h_step.py", "Good", "GET", "/h"), 3),
        (app.step("i_step.py", "I", "GET", "/good"), 3),
    ]

    problems = app.problems()

    assert [(problem.path, problem.line) for problem in problems] == expected
    assert good not in [problem.path for problem in problems]
    with pytest.raises(DiscoveryFailed, match=r"^6 problems in the streams and steps:\n") as failed:
        app.found()
    assert str(failed.value).splitlines()[1:] == [f"  {problem}" for problem in problems]


def test_a_file_that_was_corrected_is_read_again(app):
    app.write("todo_step.py", "config = oops")
    app.problem()

    app.step("todo_step.py", "Corrected")

    assert names(app.found())[1] == ["Corrected"]


# Names that stand in the way of others.


@pytest.mark.parametrize("hiding", ["streams.py", "streams/__init__.py", "streams/todo_stream.py"])
def test_a_local_module_that_hides_the_library_is_reported(app, hiding):
    app.write(f"../{hiding}", "x = 1")

    problem = app.problem()

    assert problem.path == app.folder.parent / hiding.partition("/")[0]
    assert problem.message.startswith(
        "this module has the name of the library, so `import streams` may find it instead; rename it"
    )


def test_a_module_in_the_current_folder_that_hides_the_library_is_reported(app, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "streams.py").touch()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert app.problem().path == tmp_path / "elsewhere" / "streams.py"


def test_a_folder_of_that_name_without_python_files_hides_nothing(app):
    app.write("../streams/notes.txt")
    app.stream("todo_stream.py")

    assert names(app.found())[0] == ["todo"]


def test_a_folder_of_that_name_further_down_hides_nothing(app):
    app.stream("streams/todo_stream.py")

    assert names(app.found())[0] == ["todo"]


def test_an_application_cannot_be_in_a_folder_with_the_name_of_the_library(tmp_path):
    folder = tmp_path / "streams"
    (folder / "todo").mkdir(parents=True)
    (folder / "todo" / "todo_stream.py").write_text(dedent(STREAM.format(name="todo")))

    with pytest.raises(DiscoveryFailed) as failed:
        discover(folder)

    (problem,) = failed.value.problems
    assert problem.path == folder
    assert problem.message.startswith("this module has the name of the library")


def test_a_module_of_the_same_name_from_elsewhere_is_not_taken_for_ours(app, tmp_path):
    theirs = app.stream("todo_stream.py")
    app.found()
    ours = tmp_path / "other" / app.folder.name / "todo_stream.py"
    ours.parent.mkdir(parents=True)
    ours.write_bytes(theirs.read_bytes())

    with pytest.raises(DiscoveryFailed) as failed:
        discover(ours.parent)

    (problem,) = failed.value.problems
    assert problem == Problem(
        ours,
        1,
        f"another module is called '{app.folder.name}.todo_stream' ({theirs}); rename one of the folders",
    )
