"""`streams provision` makes what files declare; `streams check` says what they are, or what is wrong."""

from __future__ import annotations

from pathlib import Path

from streams.jetstream.connection import Connection
from streams.keys import Namespace
from tests.buckets import change_config
from tests.cli.typed import Typed
from tests.core.written_app import App

RULES = """
    from streams import Stream

    def allow(subscription, context):
        return True

    news = Stream("news", dict, public=True)
    todo = Stream("todo", dict, can_access=allow)
    chat = Stream("chat", dict, can_access=allow, can_send=allow)
"""


def bucket(namespace: Namespace, stream: str, outcome: str) -> dict[str, str]:
    return {"stream": stream, "bucket": namespace.bucket(stream), "outcome": outcome}


def test_buckets_are_made_once_and_then_left_as_they_are(streams: Typed, app: App, namespace: Namespace):
    app.stream("todo_stream.py")
    app.stream("notes/note_stream.py", name="note")

    first, second = streams("provision", app.folder), streams("provision", app.folder)

    assert first.lines == [
        f"revoked  created  bucket {namespace.name}_revoked",
        f"note  created  bucket {namespace.name}_note",
        f"todo  created  bucket {namespace.name}_todo",
    ]
    assert [line.split()[1] for line in second.lines] == ["unchanged"] * 3
    assert [bucket["stream"] for bucket in streams("ls", "--json").document] == ["note", "todo"]


def test_after_a_restore_all_buckets_begin_an_epoch(streams: Typed, app: App, namespace: Namespace):
    app.stream("todo_stream.py")
    streams("provision", app.folder)

    said = streams("provision", app.folder, "--new-epoch", "--json")

    assert [bucket["outcome"] for bucket in said.document] == ["updated", "updated"]
    assert streams("provision", app.folder, "--json").document[1]["outcome"] == "unchanged"


def test_provisioning_tells_what_it_did_as_json(streams: Typed, app: App, namespace: Namespace):
    app.stream("todo_stream.py")

    for outcome in ("created", "unchanged"):
        assert streams("provision", app.folder, "--json").document == [
            bucket(namespace, stream, outcome) for stream in ("revoked", "todo")
        ]


async def test_a_bucket_that_is_out_of_date_is_updated(
    streams: Typed, app: App, connection: Connection, namespace: Namespace
):
    app.stream("todo_stream.py")
    await streams.inside("provision", str(app.folder))
    await change_config(connection, namespace, description="mine")

    said = await streams.inside("provision", str(app.folder), "--json")

    assert said.document == [
        bucket(namespace, "revoked", "unchanged"),
        bucket(namespace, "todo", "updated"),
    ]


def test_a_rule_that_a_stream_gets_is_written_into_its_bucket(streams: Typed, app: App, namespace: Namespace):
    app.stream("todo_stream.py")
    streams("provision", app.folder)
    app.write(
        "rule/note_stream.py",
        """
        from streams import Stream

        note = Stream("todo", dict, can_access=lambda subscription, context: False)
        """,
    )

    said = streams("provision", app.folder / "rule", "--json")

    assert said.document[1:] == [bucket(namespace, "todo", "updated")]


def test_more_replicas_than_there_are_servers_are_refused(streams: Typed, app: App):
    app.stream("todo_stream.py")

    refusal = streams("provision", app.folder, "--replicas", "3").refusal

    assert refusal.startswith("the bucket of stream 'revoked' cannot be made: replicas > 1")


def test_a_folder_without_streams_has_none_to_provision(streams: Typed, app: App, namespace: Namespace):
    said = streams("provision", app.folder)

    assert (said.code, said.out) == (0, f"revoked  created  bucket {namespace.name}_revoked\n")
    assert said.err == f"no file below {app.folder} ends in _stream.py, so there is no stream to provision\n"
    assert streams("provision", app.folder, "--json").document == [bucket(namespace, "revoked", "unchanged")]
    assert streams("ls", "--json").document == []


def test_nothing_is_provisioned_from_a_folder_with_a_problem(streams: Typed, app: App):
    app.stream("todo_stream.py")
    app.write("note_stream.py", "note = 1")

    said = streams("provision", app.folder)

    assert (said.code, said.out) == (1, "")
    assert "note_stream.py:1: defines no stream" in said.err
    assert streams("ls", "--json").document == []


def test_check_prints_streams_and_steps_without_a_server(app: App):
    app.write("all_stream.py", RULES)
    app.step("todo/create_todo_step.py", name="CreateTodo")
    app.write("stream_auth.py", "async def authenticate(request, claims): ...")
    nowhere = Typed("nats://127.0.0.1:1", "streams")

    assert nowhere("check", app.folder).lines == [
        "auth    authenticate  stream_auth.py",
        "stream  news  public",
        "stream  todo  can_access",
        "stream  chat  can_access  clients may send",
        "step    POST /todo  CreateTodo  todo/create_todo_step.py",
    ]


def test_check_warns_of_streams_that_are_open_to_everybody_unless_they_are_meant_to_be(app: App):
    app.write("all_stream.py", RULES)
    app.stream("note_stream.py", name="note")
    app.write(
        "poll_stream.py",
        """
        from streams import Stream

        poll = Stream("poll", dict, can_send=lambda subscription, context: True)
        """,
    )

    said = Typed("nats://127.0.0.1:1", "streams")("check", app.folder)

    assert said.code == 0
    assert said.out.splitlines()[-2:] == [
        "stream  note  open to everybody",
        "stream  poll  open to everybody  clients may send",
    ]
    assert said.err == "everybody may see: note, poll; give them can_access, or say public=True\n"


def test_check_tells_what_it_found_as_json(streams: Typed, app: App):
    app.stream("todo_stream.py")
    step = app.step("create_todo_step.py", name="CreateTodo")

    assert streams("check", app.folder, "--json").document == {
        "auth": None,
        "streams": [{"name": "todo", "access": "everybody", "send": False}],
        "steps": [{"name": "CreateTodo", "trigger": "POST /todo", "file": str(step)}],
    }


def test_check_tells_who_may_as_json(streams: Typed, app: App):
    auth = app.write("stream_auth.py", "def authenticate(request, claims): ...")
    app.write("all_stream.py", RULES)

    said = streams("check", app.folder, "--json").document

    assert said["auth"] == str(auth)
    assert said["streams"] == [
        {"name": "news", "access": "public", "send": False},
        {"name": "todo", "access": "rule", "send": False},
        {"name": "chat", "access": "rule", "send": True},
    ]


def test_what_the_files_print_is_not_part_of_the_answer(streams: Typed, app: App):
    app.write("todo_stream.py", "print('loading')\nfrom streams import Stream\ntodo = Stream('todo', dict)")

    said = streams("check", app.folder, "--json")

    assert said.out == (
        '{"auth":null,"streams":[{"name":"todo","access":"everybody","send":false}],"steps":[]}\n'
    )
    assert said.err == "loading\n"


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
