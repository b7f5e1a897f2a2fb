"""What cannot be done is said in one sentence on standard error, with exit code 1 and no traceback."""

from __future__ import annotations

import pytest

from tests.cli.typed import Typed
from tests.core.written_app import App

VERBS = [
    ["ls", "todo"],
    ["ls", "todo", "inbox"],
    ["get", "todo", "inbox", "1"],
    ["set", "todo", "inbox", "1", "{}"],
    ["update", "todo", "inbox", "1", '[{"type": "increment", "path": "likes"}]'],
    ["delete", "todo", "inbox", "1"],
    ["delete", "todo", "inbox", "--yes"],
    ["send", "todo", "inbox", "typing"],
]


@pytest.mark.parametrize("words", VERBS, ids=lambda words: " ".join(words[:1] + words[3:]))
def test_a_stream_without_a_bucket_is_named_and_no_json_is_printed(streams: Typed, words: list[str]):
    refusal = streams(*words).refusal

    assert refusal == "there is no stream 'todo'; it has no bucket yet: provision it first"
    assert streams(*words, "--json").refusal == refusal


def test_an_item_that_is_not_there_is_named(todo: Typed):
    assert todo("get", "todo", "inbox", "1").refusal == "there is no item todo/inbox/1"
    assert todo("get", "todo", "inbox", "1", "--json").refusal == "there is no item todo/inbox/1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{text: 1}", "Expecting property name enclosed in double quotes at line 1, column 2"),
        ('{"a": 1,\n "b" 2}', "Expecting ':' delimiter at line 2, column 6"),
        ("", "Expecting value at line 1, column 1"),
        ('{"a": NaN}', "NaN is no number there"),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "Exceeds the limit"),
    ],
)
def test_what_is_not_json_is_refused_with_the_place(streams: Typed, text: str, problem: str):
    refusal = streams("set", "todo", "inbox", "1", text).refusal

    assert refusal.startswith(f"the item is not JSON: {problem}")
    assert refusal.endswith("""; expected something like '{"text": "call mum"}'""")
    assert streams("set", "todo", "inbox", "1", "-", stdin=text).refusal == refusal


def test_standard_input_that_is_not_text_is_refused(streams: Typed):
    refusal = streams("set", "todo", "inbox", "1", "-", stdin=b'{"a": "\xff"}').refusal

    assert refusal.startswith("the item is not JSON: byte 7 is no utf-8 text")


def test_operations_and_event_data_that_are_not_json_are_named_too(streams: Typed):
    ops, event = (
        streams("update", "todo", "inbox", "1", "+1"),
        streams("send", "todo", "inbox", "typing", "ann"),
    )

    assert ops.refusal.startswith("the list of operations is not JSON: Expecting value at line 1, column 1")
    assert event.refusal.startswith("the event's data is not JSON: Expecting value at line 1, column 1")


def test_json_of_another_kind_is_refused(streams: Typed):
    item, ops = streams("set", "todo", "inbox", "1", "[]"), streams("update", "todo", "inbox", "1", "{}")

    assert item.refusal.endswith("not an array")
    assert ops.refusal.endswith("not an object")


def test_an_operation_that_does_not_exist_is_refused(todo: Typed):
    refusal = todo("update", "todo", "inbox", "1", '[{"type": "multiply"}]').refusal

    assert refusal.startswith(
        "operation 0 was refused (op.invalid): there is no operation 'multiply'; there are: set"
    )


def test_an_item_that_is_there_already_is_not_replaced_with_if_absent(todo: Typed):
    assert todo("set", "todo", "inbox", "1", "{}", "--if-absent").code == 0

    refusal = todo("set", "todo", "inbox", "1", '{"text": "Milk"}', "--if-absent").refusal

    assert refusal == "todo/inbox/1 is there already; nothing was written"
    assert todo("get", "todo", "inbox", "1").document == {"id": "1"}


@pytest.mark.parametrize(
    "words", [["set", "todo", "inbox", "1", "{}"], ["delete", "todo", "inbox", "1"]], ids=["set", "delete"]
)
def test_an_item_at_another_revision_is_left_as_it_is(todo: Typed, words: list[str]):
    todo("set", "todo", "inbox", "1", '{"text": "Milk"}')

    refusal = todo(*words, "--if-revision", "99").refusal

    assert refusal == "todo/inbox/1 is at revision 2, not 99; nothing was written"
    assert todo("get", "todo", "inbox", "1").document == {"id": "1", "text": "Milk"}


@pytest.mark.parametrize("ttl", ["0", "-1", "0.5", "nan"])
def test_what_is_no_time_to_live_is_refused(todo: Typed, ttl: str):
    refusal = todo("set", "todo", "inbox", "1", "{}", "--ttl", ttl).refusal

    assert refusal.startswith(f"todo/inbox/1 was not written: ttl={float(ttl)} is not a time to live")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["get", "to do", "inbox", "1"], "stream name 'to do' must start with a letter"),
        (["get", "todo", "", "1"], "group '' is empty"),
        (["get", "todo", "inbox", "x" * 257], "item id 'xxx"),
        (["get", "todo", "inbox", "\udcff"], "item id '\\udcff' contains half of a surrogate pair"),
        (["send", "todo", "inbox", "typing", "--id", ""], "item id '' is empty"),
        (["ls", "--namespace", "a_b"], "namespace 'a_b' must start with a letter"),
    ],
)
def test_a_name_that_cannot_be_is_refused(todo: Typed, words: list[str], problem: str):
    assert todo(*words).refusal.startswith(problem)


def test_a_stream_that_the_folder_does_not_declare_is_refused_with_what_it_declares(streams: Typed, app: App):
    app.stream("todo_stream.py")

    refusal = streams("set", "todos", "inbox", "1", "{}", "--folder", app.folder).refusal

    assert refusal == "there is no stream 'todos'; did you mean 'todo'? There are: todo"


@pytest.mark.parametrize(
    "url", ["nats://", "nats://[::1", "nats://127.0.0.1:99999", "nats://h:port", "ws://127.0.0.1:80"]
)
def test_an_address_that_cannot_be_is_refused_at_once(streams: Typed, url: str):
    refusal = streams("ls", "--nats", url).refusal

    assert refusal == f"--nats {url!r} is not the address of a server; expected nats://HOST:PORT"


def test_a_group_is_not_deleted_without_yes_where_nobody_can_be_asked(todo: Typed):
    todo("set", "todo", "inbox", "1", "{}")

    refusal = todo("delete", "todo", "inbox").refusal

    assert refusal == "nobody can be asked here; add --yes to delete every item of todo/inbox"
    assert todo("ls", "todo", "inbox", "--json").document == [{"id": "1"}]


def test_a_revision_is_of_one_item_and_not_of_a_group(todo: Typed):
    refusal = todo("delete", "todo", "inbox", "--yes", "--if-revision", "2").refusal

    assert refusal == "--if-revision is for one item; give its id"
