"""`streams get`, `set`, `update`, `delete` and `send` do to items what they say."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.cli.typed import Typed
from tests.core.written_app import App

LIKED = '[{"type": "increment", "path": "likes"}, {"type": "append", "path": "log", "value": "ann"}]'
DECLARED = """
    from pydantic import BaseModel
    from streams import Stream

    print("loading")

    class Todo(BaseModel):
        id: str
        text: str
        done: bool = False

    todo = Stream("todo", Todo, ttl=3600)
"""


def at(item_id: str, group: str = "inbox") -> dict[str, str]:
    return {"stream": "todo", "group": group, "id": item_id}


def test_an_item_that_was_set_is_printed_by_get(todo: Typed):
    assert todo("set", "todo", "inbox", "1", '{"text": "Milk"}').line == "todo/inbox/1 is set, revision 2"

    assert todo("get", "todo", "inbox", "1").document == {"id": "1", "text": "Milk"}


def test_get_tells_an_items_revision_and_times_as_json(todo: Typed):
    first = todo("set", "todo", "inbox", "1", "{}", "--json").document
    second = todo("set", "todo", "inbox", "1", '{"text": "Milk"}', "--ttl", "90", "--json").document

    entry = todo("get", "todo", "inbox", "1", "--json").document

    created, updated, expires = (
        datetime.fromisoformat(entry.pop(f"{what}_at")) for what in ("created", "updated", "expires")
    )
    assert entry == {"value": {"id": "1", "text": "Milk"}, "revision": second["revision"], "address": at("1")}
    assert second["revision"] > first["revision"]
    assert created <= updated
    assert abs(expires - updated - timedelta(seconds=90)) < timedelta(seconds=5)


def test_an_item_without_a_time_to_live_never_expires(todo: Typed):
    todo("set", "todo", "inbox", "1", "{}")

    assert todo("get", "todo", "inbox", "1", "--json").document["expires_at"] is None


def test_set_tells_what_it_replaced_as_json(todo: Typed):
    new = todo("set", "todo", "inbox", "1", '{"text": "Milk"}', "--json").document
    replaced = todo("set", "todo", "inbox", "1", '{"text": "Tea"}', "--json").document

    milk, tea = {"id": "1", "text": "Milk"}, {"id": "1", "text": "Tea"}
    assert new == {"new_value": milk, "old_value": None, "revision": 2, "address": at("1")}
    assert replaced == {"new_value": tea, "old_value": milk, "revision": 3, "address": at("1")}


def test_set_over_the_named_revision_replaces_the_item(todo: Typed):
    first = todo("set", "todo", "inbox", "1", "{}", "--json").document

    done = todo("set", "todo", "inbox", "1", '{"text": "Tea"}', "--if-revision", first["revision"])

    assert done.line == "todo/inbox/1 is set, revision 3"


@pytest.mark.parametrize("name", ["a/b", "日本", "*", " x ", '"', "-x", "-", "a\nb", "\x1b[2J"])
def test_groups_and_items_may_have_any_name(todo: Typed, name: str):
    # As for every command: what begins with a dash comes after `--`.
    done = todo("set", "--json", "--", "todo", name, name, '{"text": "Milk"}').document

    assert done["address"] == at(name, name)
    assert todo("get", "--", "todo", name, name).document == {"id": name, "text": "Milk"}
    assert todo("ls", "todo", "--json").document == [name]
    assert todo("ls", "--json", "--", "todo", name).document == [{"id": name, "text": "Milk"}]
    assert todo("delete", "--yes", "--json", "--", "todo", name).document["deleted"] == 1


def test_update_applies_operations(todo: Typed):
    todo("set", "todo", "inbox", "1", '{"likes": 1, "log": []}')

    done = todo("update", "todo", "inbox", "1", LIKED, "--json").document

    assert done == {
        "new_value": {"id": "1", "likes": 2, "log": ["ann"]},
        "old_value": {"id": "1", "likes": 1, "log": []},
        "changed": True,
        "revision": 3,
        "address": at("1"),
    }
    assert todo("update", "todo", "inbox", "1", LIKED).line == "todo/inbox/1 is updated, revision 4"


def test_an_update_that_changes_nothing_says_so(todo: Typed):
    todo("set", "todo", "inbox", "1", '{"likes": 1}')
    nothing = '[{"type": "set", "path": "likes", "value": 1}]'

    as_json = todo("update", "todo", "inbox", "1", nothing, "--json").document
    said = todo("update", "todo", "inbox", "1", nothing).line

    assert (as_json["changed"], as_json["revision"]) == (False, None)
    assert said == "todo/inbox/1 is as it was; the operations change nothing"


def test_delete_removes_one_item(todo: Typed):
    for item_id in "12":
        todo("set", "todo", "inbox", item_id, "{}")

    assert todo("delete", "todo", "inbox", "1").line == "todo/inbox/1 is deleted"
    assert todo("delete", "todo", "inbox", "1").line == "todo/inbox/1 was not there"
    assert todo("ls", "todo", "inbox", "--json").document == [{"id": "2"}]


def test_delete_tells_what_it_removed_as_json(todo: Typed):
    revision = todo("set", "todo", "inbox", "1", '{"text": "Milk"}', "--json").document["revision"]

    done = todo("delete", "todo", "inbox", "1", "--if-revision", revision, "--json").document

    assert done == {"old_value": {"id": "1", "text": "Milk"}, "address": at("1")}


def test_delete_without_an_id_removes_the_whole_group(todo: Typed):
    for group, item_id in (("inbox", "1"), ("inbox", "2"), ("work", "1")):
        todo("set", "todo", group, item_id, "{}")

    assert todo("delete", "todo", "inbox", "--yes").line == "2 items of todo/inbox deleted"
    assert todo("ls", "todo", "--json").document == ["work"]
    assert todo("delete", "todo", "work", "--yes", "--json").document == {
        "stream": "todo",
        "group": "work",
        "deleted": 1,
    }


@pytest.mark.parametrize(
    "words", [("set", '{"text": "Milk"}'), ("update", '[{"type": "set", "path": "text", "value": "Milk"}]')]
)
def test_json_can_come_from_standard_input(todo: Typed, words: tuple[str, str]):
    verb, text = words

    assert todo(verb, "todo", "inbox", "1", "-", stdin=text).code == 0

    assert todo("get", "todo", "inbox", "1").document == {"id": "1", "text": "Milk"}


def test_send_says_what_was_sent_to_whom(todo: Typed):
    place = {"stream": "todo", "group": "inbox"}

    assert todo("send", "todo", "inbox", "typing").line == "typing is sent to todo/inbox"
    assert todo("send", "todo", "inbox", "typing", "--id", "1").line == "typing is sent to todo/inbox/1"
    assert todo("send", "todo", "inbox", "typing", '{"by": "ann"}', "--json").document == {
        "address": {**place, "id": None},
        "event": {"type": "typing", "data": {"by": "ann"}},
    }


def test_with_a_folder_the_declared_model_and_time_to_live_count(todo: Typed, app: App):
    app.write("todo_stream.py", DECLARED)
    declared = ("--folder", app.folder, "--json")

    done = todo("set", "todo", "inbox", "1", '{"id": "1", "text": "Milk"}', *declared)

    assert done.err == "loading\n"
    found = todo("get", "todo", "inbox", "1", *declared).document
    assert found["value"] == {"id": "1", "text": "Milk", "done": False}
    assert found["expires_at"] is not None
    undone = '[{"type": "remove", "path": "text"}]'
    refused = todo("update", "todo", "inbox", "1", undone, *declared).refusal
    assert refused == "todo/inbox/1 was not written: text: Field required"


def test_on_a_terminal_get_prints_an_item_over_several_lines(todo: Typed):
    todo("set", "todo", "inbox", "1", '{"text": "Milk"}')

    said = todo("get", "todo", "inbox", "1", FORCE_COLOR="1", NO_COLOR="1", TERM="xterm")

    assert said.lines == ["{", '  "id": "1",', '  "text": "Milk"', "}"]
