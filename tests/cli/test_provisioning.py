"""`streams provision` makes what files declare; `streams check` says what they are, or what is wrong."""

from __future__ import annotations

from pathlib import Path

from streams.jetstream.connection import Connection
from streams.keys import Namespace
from tests.buckets import change_config
from tests.cli.typed import Typed
from tests.core.written_app import App


def bucket(namespace: Namespace, stream: str, outcome: str) -> dict[str, str]:
    return {"stream": stream, "bucket": namespace.bucket(stream), "outcome": outcome}


def test_buckets_are_made_once_and_then_left_as_they_are(streams: Typed, app: App, namespace: Namespace):
    app.stream("todo_stream.py")
    app.stream("notes/note_stream.py", name="note")

    first, second = streams("provision", app.folder), streams("provision", app.folder)

    assert first.lines == [
        f"note  created  bucket {namespace.name}_note",
        f"todo  created  bucket {namespace.name}_todo",
    ]
    assert [line.split()[1] for line in second.lines] == ["unchanged", "unchanged"]
    assert [bucket["stream"] for bucket in streams("ls", "--json").document] == ["note", "todo"]


def test_provisioning_tells_what_it_did_as_json(streams: Typed, app: App, namespace: Namespace):
    app.stream("todo_stream.py")

    assert streams("provision", app.folder, "--json").document == [bucket(namespace, "todo", "created")]
    assert streams("provision", app.folder, "--json").document == [bucket(namespace, "todo", "unchanged")]


async def test_a_bucket_that_is_out_of_date_is_updated(
    streams: Typed, app: App, connection: Connection, namespace: Namespace
):
    app.stream("todo_stream.py")
    await streams.run("provision", str(app.folder))
    await change_config(connection, namespace, description="mine")

    said = await streams.run("provision", str(app.folder), "--json")

    assert said.document == [bucket(namespace, "todo", "updated")]


def test_more_replicas_than_there_are_servers_are_refused(streams: Typed, app: App):
    app.stream("todo_stream.py")

    refusal = streams("provision", app.folder, "--replicas", "3").refusal

    assert refusal.startswith("the bucket of stream 'todo' cannot be made: replicas > 1")


def test_a_folder_without_streams_has_nothing_to_provision(streams: Typed, app: App):
    said = streams("provision", app.folder)

    assert (said.code, said.out) == (0, "")
    assert said.err == f"no file below {app.folder} ends in _stream.py, so there is nothing to provision\n"
    assert streams("provision", app.folder, "--json").document == []


def test_nothing_is_provisioned_from_a_folder_with_a_problem(streams: Typed, app: App):
    app.stream("todo_stream.py")
    app.write("note_stream.py", "note = 1")

    said = streams("provision", app.folder)

    assert (said.code, said.out) == (1, "")
    assert "note_stream.py:1: defines no stream" in said.err
    assert streams("ls", "--json").document == []


def test_check_prints_streams_and_steps_without_a_server(app: App):
    app.stream("todo_stream.py")
    app.step("todo/create_todo_step.py", name="CreateTodo")
    nowhere = Typed("nats://127.0.0.1:1", "streams")

    assert nowhere("check", app.folder).lines == [
        "stream  todo",
        "step    POST /todo  CreateTodo  todo/create_todo_step.py",
    ]


def test_check_tells_what_it_found_as_json(streams: Typed, app: App):
    app.stream("todo_stream.py")
    step = app.step("create_todo_step.py", name="CreateTodo")

    assert streams("check", app.folder, "--json").document == {
        "streams": [{"name": "todo"}],
        "steps": [{"name": "CreateTodo", "trigger": "POST /todo", "file": str(step)}],
    }


def test_what_the_files_print_is_not_part_of_the_answer(streams: Typed, app: App):
    app.write("todo_stream.py", "print('loading')\nfrom streams import Stream\ntodo = Stream('todo', dict)")

    said = streams("check", app.folder, "--json")

    assert (said.out, said.err) == ('{"streams":[{"name":"todo"}],"steps":[]}\n', "loading\n")


def test_check_names_every_problem_of_a_folder(streams: Typed, app: App):
    broken = app.write("todo_stream.py", "todo = Stream(")
    empty = app.write("note_stream.py", "note = 1")

    said = streams("check", app.folder, "--json")

    assert (said.code, said.out) == (1, "")
    head, *problems = said.err.splitlines()
    assert head == "2 problems in the streams and steps:"
    assert [problem.split(": ")[0].strip() for problem in problems] == [f"{empty}:1", f"{broken}:1"]


def test_check_finds_a_handler_that_cannot_be_served(streams: Typed, app: App):
    step = app.write(
        "todo_step.py",
        """
        from streams import StepConfig, http

        config = StepConfig(name="Create", triggers=[http("POST", "/todo")])

        async def handler(body: "Nowhere"): ...
        """,
    )

    said = streams("check", app.folder)

    assert said.code == 1
    assert f"{step}:5: step 'Create': an annotation of its handler is not defined" in said.err


def test_check_says_when_there_is_nothing(streams: Typed, app: App, tmp_path: Path):
    assert streams("check", app.folder).err == f"no file below {app.folder} ends in _stream.py or _step.py\n"
    assert "there is no such folder" in streams("check", tmp_path / "nowhere").err
