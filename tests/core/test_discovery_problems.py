"""All that is wrong with streams and steps is said at once, each problem where it stands."""

from __future__ import annotations

import pytest

from streams.discovery import discover
from streams.errors import DiscoveryFailed, Problem
from tests.core.written_app import names


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
            '{"name": "todo", "canacess": lambda *_: False, "onJoin": None}',
            "`config` has 'canacess', 'onJoin', which this release does not know; take it out",
        ),
        (
            '{"name": "todo", "canAccess": lambda *_: False, "can_access": None}',
            "`config` says who may in two spellings; take out 'can_access'",
        ),
        (
            '{"name": "todo", "canAccess": lambda *_: False, "public": True}',
            "stream 'todo': `public=True` lets everybody see it, and `can_access` asks who may; "
            "keep one of them",
        ),
        (
            '{"name": "todo", "canSend": "everybody"}',
            "stream 'todo': `can_send` is not a function: 'everybody'",
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


def test_a_rule_that_could_never_be_asked_is_reported_where_the_stream_is_defined(app):
    path = app.write(
        "todo_stream.py",
        """
        from streams import Stream

        todo = Stream("todo", dict, can_access=lambda context: True)
        """,
    )

    assert app.problem() == Problem(
        path,
        3,
        "DefinitionRefused: stream 'todo': `can_access` must take (subscription, context): "
        "too many positional arguments",
    )


def test_stream_auth_in_another_place_is_reported_with_the_right_one(app):
    path = app.write("todo/stream_auth.py", "def authenticate(request, claims): ...")
    app.write("node_modules/stream_auth.py", "raise RuntimeError")

    assert app.problem() == Problem(
        path, 1, f"is for all streams, so its place is {app.folder / 'stream_auth.py'}"
    )


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("x = 1", 1, "has no `authenticate`: add `async def authenticate(request, claims)`"),
        ("x = 1\nauthenticate = 'ann'", 2, "`authenticate` is not a function: 'ann'"),
        (
            "x = 1\n\nasync def authenticate(request): ...",
            3,
            "`authenticate` must take (request, claims): too many positional arguments",
        ),
        ("import nobody_has_this", 1, "ModuleNotFoundError: No module named 'nobody_has_this'"),
    ],
)
def test_stream_auth_that_cannot_work_is_reported_where_it_stands(app, text, line, sentence):
    path = app.write("stream_auth.py", text)

    assert app.problem() == Problem(path, line, sentence)


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ('{"type": "object"}', "not {'type': 'object'}"),
        ('"Nobody"', "name 'Nobody' is not defined"),
        ("Unfinished", "name 'Nobody' is not defined"),
        ("7", "Unable to generate pydantic-core schema for 7."),
        ("Own", "Unable to generate pydantic-core schema for <class"),
    ],
)
def test_a_context_schema_that_pydantic_does_not_know_is_reported(app, schema, sentence):
    path = app.write(
        "stream_auth.py",
        f"""
        from pydantic import BaseModel

        class Own: ...

        class Unfinished(BaseModel):
            x: "Nobody"

        context_schema = {schema}

        def authenticate(request, claims): ...
        """,
    )

    problem = app.problem()

    assert (problem.path, problem.line) == (path, 8)
    what = "`context_schema` is a pydantic model, or another type that pydantic knows"
    assert problem.message.startswith(what)
    assert sentence in problem.message
    assert "\n" not in problem.message


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
