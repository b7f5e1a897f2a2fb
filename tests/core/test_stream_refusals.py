"""Names that no item can have, streams that are not there, and streams that cannot be declared."""

from __future__ import annotations

import pytest

from streams import (
    DefinitionRefused,
    EventRefused,
    InvalidName,
    ItemDoesNotFit,
    ItemRefused,
    StoreNotBound,
    Stream,
    StreamsError,
    UnknownStream,
)
from tests.core.todos import Todo, finished, milk

pytestmark = pytest.mark.usefixtures("store")

todo = Stream("todo", Todo)


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


@pytest.mark.parametrize("name", ["", "1st", "to do", "presence"])
def test_a_stream_with_an_impossible_name_cannot_be_declared(name):
    with pytest.raises(InvalidName, match=r"^stream name "):
        Stream(name, Todo)


def test_a_stream_of_something_that_items_cannot_be_cannot_be_declared():
    with pytest.raises(DefinitionRefused, match=r"^the items of a stream are a pydantic model or `dict`"):
        Stream("todo", "Todo")  # type: ignore[call-overload]  # that is the point


def test_every_error_is_a_streams_error():
    for error in (InvalidName, ItemRefused, ItemDoesNotFit, EventRefused, UnknownStream, StoreNotBound):
        assert issubclass(error, StreamsError)
