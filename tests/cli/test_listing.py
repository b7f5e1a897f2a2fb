"""`streams ls` lists streams, groups and items."""

from __future__ import annotations

import pytest

from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection
from streams.keys import Namespace
from tests.buckets import api
from tests.cli.typed import Typed


async def test_the_streams_of_a_namespace_are_listed_by_name(
    connection: Connection, namespace: Namespace, streams: Typed
):
    for stream in ("todo_2", "todo", "notes"):
        await provision(connection, namespace, stream)
    # Another stage, something that is no bucket of ours, and a bucket that was never finished.
    await provision(connection, Namespace(f"{namespace.name}-2"), "theirs")
    await api(
        connection, f"STREAM.CREATE.{namespace.name}", {"name": namespace.name, "subjects": [namespace.name]}
    )
    unfinished = namespace.bucket_stream("unfinished")
    await api(
        connection,
        f"STREAM.CREATE.{unfinished}",
        {"name": unfinished, "subjects": [namespace.items("unfinished")]},
    )

    said = await streams.inside("ls", "--json")

    assert said.document == [
        {"stream": stream, "bucket": namespace.bucket(stream), "items_at_most": 0}
        for stream in ("notes", "todo", "todo_2")
    ]


def test_a_stream_is_listed_with_the_most_items_that_it_can_have(todo: Typed, namespace: Namespace):
    for item_id in "123":
        todo("set", "todo", "inbox", item_id, "{}")
    todo("delete", "todo", "inbox", "3")

    assert todo("ls").line == f"todo  at most 3 items  bucket {namespace.name}_todo"


def test_where_there_are_no_streams_ls_says_how_to_make_them(streams: Typed):
    said = streams("ls")

    assert (said.code, said.out) == (0, "")
    assert said.err.rstrip().endswith("`streams provision` makes them")
    assert streams("ls", "--json").document == []


def test_the_groups_of_a_stream_are_listed(todo: Typed):
    for group in ("work", "inbox"):
        todo("set", "todo", group, "1", "{}")

    assert todo("ls", "todo").lines == ["inbox", "work"]
    assert todo("ls", "todo", "--json").document == ["inbox", "work"]


def test_items_are_listed_in_the_order_of_their_creation(todo: Typed):
    for item_id in ("b", "c", "a", "b"):
        todo("set", "todo", "inbox", item_id, '{"text": "Milk"}')

    items = [{"id": item_id, "text": "Milk"} for item_id in "bca"]
    assert todo("ls", "todo", "inbox", "--json").document == items
    assert todo("ls", "todo", "inbox").lines == [
        f'{item_id}  {{"id":"{item_id}","text":"Milk"}}' for item_id in "bca"
    ]


def test_a_long_group_is_read_backwards_by_pages(todo: Typed):
    for item_id in "12345":
        todo("set", "todo", "inbox", item_id, "{}")

    def page(*options: str) -> list[str]:
        return [item["id"] for item in todo("ls", "todo", "inbox", *options, "--json").document]

    assert page("--last", "2") == ["4", "5"]
    assert page("--last", "2", "--before", "4") == ["2", "3"]
    assert page("--before", "2") == ["1"]
    assert page("--before", "1") == []


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (["todo"], "todo holds no items"),
        (["todo", "inbox"], "todo/inbox holds no items"),
        (["todo", "work", "--before", "1"], "nothing came before 1"),
    ],
)
def test_what_is_empty_is_said_beside_the_answer(todo: Typed, words: list[str], note: str):
    todo("set", "todo", "work", "1", "{}")
    todo("delete", "todo", "work", "1") if words == ["todo"] else None

    said = todo("ls", *words)

    assert (said.code, said.out, said.err) == (0, "", f"{note}\n")
    assert todo("ls", *words, "--json").document == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a/b", "a/b"),
        ("日本", "日本"),
        ("two words", "two words"),
        (" x", '" x"'),
        ('"', '"\\""'),
        ("a\nb", '"a\\nb"'),
        ("\x9b2J", '"\\u009b2J"'),
        ("\u202etxt", '"\\u202etxt"'),
    ],
)
def test_a_name_is_shown_on_one_line_without_what_a_terminal_obeys(todo: Typed, name: str, shown: str):
    todo("set", "todo", name, name, "{}")

    assert todo("ls", "todo").line == shown
    assert todo("ls", "todo", name).line.startswith(f"{shown}  {{")
    assert todo("ls", "todo", "--json").document == [name]


def test_a_page_is_asked_for_of_a_group_only(streams: Typed):
    refusal = streams("ls", "todo", "--last", "1").refusal

    assert refusal == "--last and --before are for the items of a group; name a stream and a group"


def test_a_page_before_an_item_that_is_not_there_is_refused(todo: Typed):
    refusal = todo("ls", "todo", "inbox", "--before", "1").refusal

    assert refusal == "todo/inbox/1 is not there, so nothing is known of what came before it"
