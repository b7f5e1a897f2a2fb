"""Any name works in every method of every store."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streams import Stream, bound_to
from streams.changes import ItemDeleted
from streams.keys import checked_name
from streams.store import Feed, Store
from tests.core.names import ODD_NAMES, names
from tests.store.heard import listening, read
from tests.store.writes import address

todo = Stream("todo", dict)

odd_or_any = st.sampled_from(ODD_NAMES) | names


async def comes_and_goes(store: Store, feed: Feed, group: str, item_id: str) -> None:
    """One item through everything that a store does with it. The store is empty before and after."""
    item, before = {"id": item_id, "group": group}, await feed.end("todo")
    async with listening(store, feed, group) as heard:
        try:
            written = await todo.set(group, item_id, {"group": group})
            created = await heard.next()
            assert (created.id, created.revision) == (item_id, written.revision)
            assert await todo.get(group, item_id) == item
            assert (await todo.entry(group, item_id)).value == item
            assert await todo.get_group(group) == [item]
            assert await todo.list_groups() == [group]
            assert await read(feed, before.revision, group) == [created]
        finally:
            deleted = await todo.delete(group, item_id)
        gone = await heard.next()

    assert deleted.old_value == item
    assert (type(gone), gone.id) == (ItemDeleted, item_id)
    assert await todo.get_group(group) == await todo.list_groups() == []


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
async def test_an_odd_name_works_everywhere(store: Store, feed: Feed, name: str):
    assert checked_name("group", name) == name

    with bound_to(store):
        await comes_and_goes(store, feed, name, name)


# The store is empty again after each example, so that all of them may share it.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(group=odd_or_any, item_id=odd_or_any)
@example(group="a/b", item_id="../c")
@example(group="é", item_id="e\N{COMBINING ACUTE ACCENT}")
async def test_any_names_work_everywhere(store: Store, feed: Feed, group: str, item_id: str):
    with bound_to(store):
        await comes_and_goes(store, feed, group, item_id)


async def test_names_that_look_alike_are_different_names(store: Store):
    alike = ["é", "e\N{COMBINING ACUTE ACCENT}", "Å", "\N{ANGSTROM SIGN}", "A\N{COMBINING RING ABOVE}"]

    with bound_to(store):
        for name in alike:
            await todo.set(name, name, {"name": name})
            await todo.set("all", name, {"name": name})

        assert await todo.list_groups() == sorted([*alike, "all"])
        assert [item["id"] for item in await todo.get_group("all")] == alike
        for name in alike:
            assert [item["name"] for item in await todo.get_group(name)] == [name]
            assert (await store.get(address(name, "all"))).id == name
