"""Writes that say what they must find: `if_absent` and `if_revision`."""

from __future__ import annotations

import asyncio

import pytest

from streams import ItemRefused, PreconditionFailed, Stream, StreamSetResult, bound_to, ops
from streams.store import Feed, Store
from tests.store.heard import listening
from tests.store.writes import address

todo = Stream("todo", dict)


async def revision_of(item_id: str = "1") -> int:
    entry = await todo.entry("inbox", item_id)
    assert entry is not None
    return entry.revision


async def test_if_absent_writes_where_nothing_is(store: Store):
    with bound_to(store):
        result = await todo.set("inbox", "1", {"n": 1}, if_absent=True)

        assert (result.old_value, result.new_value) == (None, {"id": "1", "n": 1})
        assert await todo.get("inbox", "1") == {"id": "1", "n": 1}


async def test_if_absent_is_refused_over_an_item_and_writes_nothing(store: Store, feed: Feed):
    with bound_to(store):
        await todo.set("inbox", "1", {"n": 1})
        before = await feed.end("todo")

        with pytest.raises(PreconditionFailed) as refused:
            await todo.set("inbox", "1", {"n": 2}, if_absent=True)

        assert str(refused.value) == "todo/inbox/1 is there already; nothing was written"
        assert refused.value.address == address()
        assert await todo.get("inbox", "1") == {"id": "1", "n": 1}
        assert await feed.end("todo") == before


async def test_if_absent_writes_again_after_a_delete(store: Store):
    with bound_to(store):
        await todo.set("inbox", "1", {"n": 1})
        await todo.delete("inbox", "1")

        result = await todo.set("inbox", "1", {"n": 2}, if_absent=True)

        assert result.old_value is None
        assert await todo.get("inbox", "1") == {"id": "1", "n": 2}


async def test_of_many_who_set_if_absent_exactly_one_wins(store: Store, feed: Feed):
    with bound_to(store):
        async with listening(store, feed) as heard:
            results = await asyncio.gather(
                *(todo.set("inbox", "1", {"by": number}, if_absent=True) for number in range(40)),
                return_exceptions=True,
            )
            came = await heard.all()

        (won,) = [result for result in results if isinstance(result, StreamSetResult)]
        assert sum(isinstance(result, PreconditionFailed) for result in results) == 39
        assert won.old_value is None
        assert await todo.get("inbox", "1") == won.new_value
        assert [change.revision for change in came] == [won.revision]


async def test_if_revision_writes_over_that_very_version(store: Store):
    with bound_to(store):
        first = await todo.set("inbox", "1", {"n": 1})

        second = await todo.set("inbox", "1", {"n": 2}, if_revision=first.revision)
        third = await todo.set("inbox", "1", {"n": 3}, if_revision=await revision_of())

        assert (second.old_value, third.old_value) == (first.new_value, second.new_value)
        assert await todo.get("inbox", "1") == {"id": "1", "n": 3}


async def test_if_revision_is_refused_over_another_version_and_writes_nothing(store: Store, feed: Feed):
    with bound_to(store):
        old = (await todo.set("inbox", "1", {"n": 1})).revision
        new = (await todo.set("inbox", "1", {"n": 2})).revision
        before = await feed.end("todo")

        for doing in (
            todo.set("inbox", "1", {"n": 3}, if_revision=old),
            todo.delete("inbox", "1", if_revision=old),
        ):
            with pytest.raises(PreconditionFailed) as refused:
                await doing
            assert str(refused.value) == (
                f"todo/inbox/1 is at revision {new}, not {old}; nothing was written"
            )

        assert await todo.get("inbox", "1") == {"id": "1", "n": 2}
        assert await feed.end("todo") == before


@pytest.mark.parametrize("went", [False, True], ids=["never there", "deleted"])
async def test_if_revision_of_an_item_that_is_not_there_is_refused(store: Store, feed: Feed, went: bool):
    with bound_to(store):
        revision = 7
        if went:
            revision = (await todo.set("inbox", "1", {"n": 1})).revision
            await todo.delete("inbox", "1")
        before = await feed.end("todo")

        for doing in (
            todo.set("inbox", "1", {"n": 2}, if_revision=revision),
            todo.delete("inbox", "1", if_revision=revision),
        ):
            with pytest.raises(PreconditionFailed) as refused:
                await doing
            assert str(refused.value) == (
                f"todo/inbox/1 is not there, and not at revision {revision}; nothing was written"
            )

        assert await todo.get("inbox", "1") is None
        assert await feed.end("todo") == before


async def test_a_delete_of_that_very_version_is_a_delete(store: Store, feed: Feed):
    with bound_to(store):
        written = await todo.set("inbox", "1", {"n": 1})

        deleted = await todo.delete("inbox", "1", if_revision=written.revision)

        assert deleted.old_value == written.new_value
        assert await todo.get("inbox", "1") is None


async def test_the_revision_of_an_update_is_one_that_if_revision_takes(store: Store):
    with bound_to(store):
        updated = await todo.update("inbox", "1", [ops.increment("n")])

        assert updated.revision == await revision_of()
        await todo.set("inbox", "1", {"n": 5}, if_revision=updated.revision)


async def test_an_update_that_changed_nothing_leaves_the_revision_usable(store: Store):
    with bound_to(store):
        written = await todo.set("inbox", "1", {"n": 1})
        await todo.update("inbox", "1", [ops.set("n", 1)])

        await todo.set("inbox", "1", {"n": 2}, if_revision=written.revision)

        assert await todo.get("inbox", "1") == {"id": "1", "n": 2}


async def test_of_many_who_replace_one_version_exactly_one_wins(store: Store):
    with bound_to(store):
        first = await todo.set("inbox", "1", {"by": None})

        results = await asyncio.gather(
            *(todo.set("inbox", "1", {"by": n}, if_revision=first.revision) for n in range(40)),
            return_exceptions=True,
        )

        (won,) = [result for result in results if isinstance(result, StreamSetResult)]
        lost = [str(result) for result in results if isinstance(result, PreconditionFailed)]
        assert len(lost) == 39
        assert all(said.endswith(f" {first.revision}; nothing was written") for said in lost)
        assert won.old_value == first.new_value
        assert await todo.get("inbox", "1") == won.new_value


async def test_a_refusal_fails_its_own_caller_alone(store: Store):
    with bound_to(store):
        await todo.set("inbox", "1", {"n": 0})

        results = await asyncio.gather(
            *(
                todo.set("inbox", "1", {"n": -1}, if_absent=True)
                if number % 3 == 0
                else todo.update("inbox", "1", [ops.increment("n")])
                for number in range(30)
            ),
            return_exceptions=True,
        )

        assert [isinstance(result, PreconditionFailed) for result in results] == [True, False, False] * 10
        assert await todo.get("inbox", "1") == {"id": "1", "n": 20}


async def test_both_conditions_at_once_are_refused(store: Store, feed: Feed):
    before = await feed.end("todo")

    with bound_to(store), pytest.raises(ItemRefused) as refused:
        await todo.set("inbox", "1", {"n": 1}, if_absent=True, if_revision=1)

    assert str(refused.value) == (
        "todo/inbox/1 was not written: `if_absent` and `if_revision` exclude each other"
    )
    assert await feed.end("todo") == before
