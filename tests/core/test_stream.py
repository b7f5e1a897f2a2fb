"""What an application does with the items of a stream, and what it gets back."""

from __future__ import annotations

import logging

import pytest

from streams import (
    Address,
    ItemDoesNotFit,
    ItemRefused,
    Stream,
    StreamDeleteResult,
    StreamSetResult,
    StreamUpdateResult,
    ops,
)
from tests.core.todos import Todo, finished, heard, milk

pytestmark = pytest.mark.usefixtures("store")


class TodoWithOwner(Todo):
    owner: str


todo = Stream("todo", Todo)
todo_with_owner = Stream("todo", TodoWithOwner)
notes = Stream("notes", dict)


async def test_what_was_set_can_be_got():
    await todo.set("inbox", "1", milk())

    assert await todo.get("inbox", "1") == milk()


async def test_get_of_what_is_not_there_is_none():
    assert await todo.get("inbox", "1") is None


async def test_set_of_a_new_item_says_that_it_is_new():
    result = await todo.set("inbox", "1", milk())

    assert result == StreamSetResult(milk(), None, 1, Address("todo", "inbox", "1"))


async def test_set_over_an_item_says_what_it_replaced():
    await todo.set("inbox", "1", milk())

    result = await todo.set("inbox", "1", milk(done=True))

    assert (result.old_value, result.new_value) == (milk(), milk(done=True))
    assert result.revision == 2


async def test_set_takes_a_mapping_and_gives_back_the_model():
    result = await todo.set("inbox", "1", {"id": "1", "text": "Milk"})

    assert result.new_value == milk()


async def test_set_returns_a_copy_that_later_changes_do_not_reach():
    item = milk()

    result = await todo.set("inbox", "1", item)
    item.text = "Bread"

    assert result.new_value == milk()


async def test_a_dict_stream_holds_any_json_object():
    result = await notes.set("wall", "1", {"text": "Hello", "at": [1, 2]})

    assert result.new_value == await notes.get("wall", "1") == {"id": "1", "text": "Hello", "at": [1, 2]}


async def test_a_set_that_is_refused_writes_nothing(store):
    with pytest.raises(ItemRefused, match="text: Field required"):
        await todo.set("inbox", "1", {"id": "1"})

    assert (await store.end("todo")).revision == 0


async def test_a_group_is_got_in_the_order_of_creation():
    await todo.set("inbox", "b", milk("b"))
    await todo.set("inbox", "a", milk("a"))
    await todo.set("inbox", "b", milk("b", done=True))

    assert await todo.get_group("inbox") == [milk("b", done=True), milk("a")]


async def test_a_group_that_nobody_wrote_to_is_empty():
    assert await todo.get_group("inbox") == []


async def test_update_gets_the_item_and_stores_what_it_makes_of_it():
    await todo.set("inbox", "1", milk())

    result = await todo.update("inbox", "1", finished)

    assert result == StreamUpdateResult(milk(done=True), milk(), True, 2, Address("todo", "inbox", "1"))
    assert await todo.get("inbox", "1") == milk(done=True)


async def test_update_may_return_a_mapping():
    await todo.set("inbox", "1", milk())

    result = await todo.update("inbox", "1", lambda old: {**old.model_dump(), "done": True})

    assert result.new_value == milk(done=True)


async def test_update_of_what_is_not_there_may_create_it():
    result = await todo.update("inbox", "1", lambda old: milk() if old is None else old)

    assert (result.old_value, result.new_value) == (None, milk())


async def test_update_of_what_is_not_there_may_leave_it_so(store):
    result = await todo.update("inbox", "1", finished)

    assert result == StreamUpdateResult(None, None, False, None, Address("todo", "inbox", "1"))
    assert (await store.end("todo")).revision == 0


async def test_update_of_an_item_must_return_one(store):
    await todo.set("inbox", "1", milk())

    with pytest.raises(ItemRefused, match="the update returned None; return the item, or call delete"):
        await todo.update("inbox", "1", lambda old: None)

    assert await todo.get("inbox", "1") == milk()


async def test_what_an_update_raises_reaches_the_caller_and_nothing_is_written(store):
    await todo.set("inbox", "1", milk())

    with pytest.raises(ZeroDivisionError):
        await todo.update("inbox", "1", lambda old: 1 / 0)  # type: ignore[arg-type,return-value]  # it raises

    assert (await store.end("todo")).revision == 1


async def test_an_update_whose_result_does_not_fit_writes_nothing():
    await todo.set("inbox", "1", milk())

    with pytest.raises(ItemRefused, match="its id is '2', and its key says '1'"):
        await todo.update("inbox", "1", lambda old: milk("2"))

    assert await todo.get("inbox", "1") == milk()


async def test_an_update_that_changes_its_argument_changes_only_its_result():
    await notes.set("wall", "1", {"n": 1})

    def count(note):
        note["n"] += 1
        return note

    result = await notes.update("wall", "1", count)

    assert (result.old_value["n"], result.new_value["n"]) == (1, 2)


async def test_delete_says_what_went():
    await todo.set("inbox", "1", milk())

    result = await todo.delete("inbox", "1")

    assert result == StreamDeleteResult(milk(), Address("todo", "inbox", "1"))
    assert await todo.get("inbox", "1") is None


async def test_delete_of_what_is_not_there_says_so_and_tells_nobody(store):
    changes = await heard(store, "inbox", todo.delete("inbox", "1"))

    assert (await todo.delete("inbox", "1")).old_value is None
    assert changes == []


async def test_an_old_item_that_no_longer_fits_cannot_be_got():
    await todo.set("inbox", "1", milk())

    with pytest.raises(ItemDoesNotFit, match=r"^todo/inbox/1 .* owner: Field required"):
        await todo_with_owner.get("inbox", "1")
    with pytest.raises(ItemDoesNotFit, match=r"^todo/inbox/1 .* owner: Field required"):
        await todo_with_owner.get_group("inbox")


async def test_an_old_item_that_no_longer_fits_can_be_replaced_and_deleted(caplog):
    caplog.set_level(logging.WARNING)
    await todo.set("inbox", "1", milk())
    await todo.set("inbox", "2", milk("2"))

    replaced = await todo_with_owner.set("inbox", "1", {"id": "1", "text": "Milk", "owner": "Ann"})
    deleted = await todo_with_owner.delete("inbox", "2")

    assert replaced.old_value is None
    assert replaced.new_value.owner == "Ann"
    assert deleted.old_value is None
    assert caplog.text.count("the replaced item is not returned") == 2


async def test_an_old_item_that_no_longer_fits_is_not_given_to_an_update(store):
    await todo.set("inbox", "1", milk())

    with pytest.raises(ItemDoesNotFit):
        await todo_with_owner.update("inbox", "1", lambda old: old)

    assert (await store.end("todo")).revision == 1


def test_a_stream_is_printed_with_its_name():
    assert repr(todo) == "<Stream 'todo'>"


async def test_operations_on_nothing_make_an_item_whose_id_is_its_keys():
    done = await todo.update("inbox", "9", [ops.set("text", "Bread")])

    assert done.new_value == Todo(id="9", text="Bread")
