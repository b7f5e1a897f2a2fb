"""What an application does with a stream, and what it gets back."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from streams import (
    Address,
    DefinitionRefused,
    EventRefused,
    InvalidName,
    ItemDoesNotFit,
    ItemRefused,
    StoreNotBound,
    Stream,
    StreamDeleteResult,
    StreamsError,
    StreamSetResult,
    StreamUpdateResult,
    UnknownStream,
    bound_to,
)
from streams.changes import EventSent
from streams.memory import MemoryStore
from streams.store import bound_store


class Todo(BaseModel):
    id: str
    text: str
    done: bool = False


class TodoWithOwner(Todo):
    owner: str


todo = Stream("todo", Todo)
todo_with_owner = Stream("todo", TodoWithOwner)
notes = Stream("notes", dict)


def milk(item_id: str = "1", **changed: Any) -> Todo:
    return Todo(id=item_id, text="Milk").model_copy(update=changed)


def finished(item: Todo | None) -> Todo | None:
    return item and item.model_copy(update={"done": True})


@pytest.fixture(autouse=True)
def store() -> Iterator[MemoryStore]:
    """Bound for every test of this file."""
    store = MemoryStore(["todo", "notes"])
    with bound_to(store):
        yield store


async def heard(store: MemoryStore, group: str, doing: Any) -> list[Any]:
    """What who watches `group` hears while something is done."""
    changes: list[Any] = []
    async with store.listening("todo", group, changes.append, lambda: None):
        await doing
    return changes


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

    assert result == StreamUpdateResult(milk(done=True), milk(), 2, Address("todo", "inbox", "1"))
    assert await todo.get("inbox", "1") == milk(done=True)


async def test_update_may_return_a_mapping():
    await todo.set("inbox", "1", milk())

    result = await todo.update("inbox", "1", lambda old: {**old.model_dump(), "done": True})

    assert result.new_value == milk(done=True)


async def test_update_of_what_is_not_there_may_create_it():
    result = await todo.update("inbox", "1", lambda old: milk() if old is None else old)

    assert (result.old_value, result.new_value) == (None, milk())


async def test_update_of_what_is_not_there_may_leave_it_so(store):
    assert await todo.update("inbox", "1", finished) is None
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


@pytest.mark.parametrize("channel", ["inbox", {"groupId": "inbox"}, {"groupId": "inbox", "id": None}])
async def test_send_tells_a_group(store, channel):
    changes = await heard(store, "inbox", todo.send(channel, {"type": "typing", "data": {"by": "Ann"}}))

    assert changes == [EventSent(None, b'{"type":"typing","data":{"by":"Ann"}}')]


async def test_send_tells_who_watches_one_item(store):
    changes = await heard(store, "inbox", todo.send({"groupId": "inbox", "id": "1"}, {"type": "typing"}))

    assert changes == [EventSent("1", b'{"type":"typing","data":null}')]


async def test_an_event_is_kept_nowhere(store):
    await todo.send("inbox", {"type": "typing"})

    assert (await store.end("todo")).revision == 0
    assert await todo.get_group("inbox") == []


@pytest.mark.parametrize("event", [None, "typing", {}, {"data": 1}, {"type": 7}, {"type": None}], ids=repr)
async def test_an_event_without_a_type_is_refused(event):
    with pytest.raises(EventRefused, match=r'^an event is {"type": <string>, "data": ...}$'):
        await todo.send("inbox", event)


@pytest.mark.parametrize("content", [object(), {1}, "\ud83d", 2**64], ids=repr)
async def test_an_event_that_cannot_become_json_is_refused(content):
    with pytest.raises(EventRefused, match=r"^event 'typing' cannot become JSON"):
        await todo.send("inbox", {"type": "typing", "data": content})


@pytest.mark.parametrize("channel", [{}, {"id": "1"}, None, 7], ids=repr)
async def test_a_channel_without_a_group_is_refused(channel):
    with pytest.raises(EventRefused, match=r"^a channel is a group, or "):
        await todo.send(channel, {"type": "typing"})


@pytest.mark.parametrize("name", ["", "a\0", "\ud83d", "a" * 257, None, 7], ids=lambda name: repr(name)[:9])
async def test_names_are_checked_before_anything_is_done(store, name):
    for doing in (
        todo.get(name, "1"),
        todo.get("inbox", name),
        todo.get_group(name),
        todo.set(name, "1", milk()),
        todo.set("inbox", name, {"text": "x"}),
        todo.update(name, "1", finished),
        todo.update("inbox", name, finished),
        todo.delete(name, "1"),
        todo.delete("inbox", name),
        todo.send({"groupId": name}, {"type": "typing"}),
    ):
        with pytest.raises(InvalidName):
            await doing

    assert (await store.end("todo")).revision == 0


@pytest.mark.parametrize("name", ["", "a\0", "a" * 257, 7], ids=lambda name: repr(name)[:9])
async def test_an_event_about_an_impossible_item_is_refused(name):
    with pytest.raises(InvalidName, match=r"^item id "):
        await todo.send({"groupId": "inbox", "id": name}, {"type": "typing"})


async def test_a_stream_that_the_store_does_not_have_is_named_with_the_likeliest_one():
    todos = Stream("todos", Todo)

    with pytest.raises(UnknownStream) as error:
        await todos.set("inbox", "1", milk())

    assert str(error.value) == "there is no stream 'todos'; did you mean 'todo'? There are: notes, todo"


async def test_a_stream_that_is_like_none_hears_which_ones_there_are():
    with pytest.raises(UnknownStream) as error:
        await Stream("xyz", dict).get("inbox", "1")

    assert str(error.value) == "there is no stream 'xyz'; there are: notes, todo"


async def test_outside_of_a_store_a_stream_says_how_to_get_one():
    async def unbound() -> None:
        for doing in (
            todo.get("inbox", "1"),
            todo.get_group("inbox"),
            todo.set("inbox", "1", milk()),
            todo.update("inbox", "1", finished),
            todo.delete("inbox", "1"),
            todo.send("inbox", {"type": "typing"}),
        ):
            with pytest.raises(StoreNotBound) as error:
                await doing
            assert str(error.value) == (
                "stream 'todo' is not bound to a store here: use it inside a step handler, "
                "or inside `async with streams.connected(url):`"
            )

    await asyncio.create_task(unbound(), context=contextvars.Context())


async def test_a_binding_ends_with_its_block_and_the_outer_one_is_back(store):
    inner = MemoryStore()

    with bound_to(inner):
        await todo.set("inbox", "1", milk())
        assert bound_store() is inner

    assert bound_store() is store
    assert await todo.get("inbox", "1") is None


async def test_a_binding_holds_for_the_tasks_of_its_block_alone():
    stores = [MemoryStore(), MemoryStore()]

    async def write(store: MemoryStore, item: Todo) -> list[Todo]:
        with bound_to(store):
            await todo.set("inbox", item.id, item)
            await asyncio.sleep(0)
            return await todo.get_group("inbox")

    groups = await asyncio.gather(write(stores[0], milk("1")), write(stores[1], milk("2")))

    assert groups == [[milk("1")], [milk("2")]]


@pytest.mark.parametrize("name", ["", "1st", "to do", "presence"])
def test_a_stream_with_an_impossible_name_cannot_be_declared(name):
    with pytest.raises(InvalidName, match=r"^stream name "):
        Stream(name, Todo)


def test_a_stream_of_something_that_items_cannot_be_cannot_be_declared():
    with pytest.raises(DefinitionRefused, match=r"^the items of a stream are a pydantic model or `dict`"):
        Stream("todo", "Todo")  # type: ignore[call-overload]  # that is the point


def test_a_stream_is_printed_with_its_name():
    assert repr(todo) == "<Stream 'todo'>"


def test_every_error_is_a_streams_error():
    for error in (InvalidName, ItemRefused, ItemDoesNotFit, EventRefused, UnknownStream, StoreNotBound):
        assert issubclass(error, StreamsError)
