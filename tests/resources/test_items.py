"""One item over HTTP: what `set`, `update`, `delete` and `get` are there."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from streams.keys import Address
from streams.store import Store
from tests.resources.conftest import Api, at

MILK = {"id": "1", "text": "Buy milk", "done": False}
ITEM = at("inbox", "1")


async def test_put_creates_an_item_and_says_what_was_written(api: Api):
    answer = await api.put(ITEM, {"text": "Buy milk", "id": "1"})

    said = answer.json()
    assert answer.status_code == 201
    assert said["new_value"] == MILK
    assert said["old_value"] is None
    assert said["address"] == {"stream": "todo", "group": "inbox", "id": "1"}
    assert answer.headers["ETag"] == f'"{said["revision"]}"'


async def test_put_replaces_an_item_and_returns_the_one_that_it_replaced(api: Api):
    await api.put(ITEM, MILK)

    answer = await api.put(ITEM, {**MILK, "done": True})

    assert answer.status_code == 200
    assert answer.json()["old_value"] == MILK
    assert (await api.get(ITEM)).json()["done"] is True


async def test_patch_applies_operations_in_order(api: Api):
    await api.put(ITEM, MILK)

    answer = await api.patch(
        ITEM,
        [{"type": "append", "path": "text", "value": "!"}, {"type": "set", "path": "done", "value": True}],
    )

    assert answer.status_code == 200
    assert answer.json()["new_value"] == {"id": "1", "text": "Buy milk!", "done": True}
    assert answer.json()["old_value"] == MILK
    assert answer.json()["changed"] is True


async def test_a_patch_that_changes_nothing_says_so_and_writes_nothing(api: Api):
    before = (await api.put(ITEM, MILK)).headers["ETag"]

    answer = await api.patch(ITEM, [{"type": "set", "path": "done", "value": False}])

    assert (answer.json()["changed"], answer.json()["revision"]) == (False, None)
    assert (await api.get(ITEM)).headers["ETag"] == before


async def test_delete_returns_what_went_and_nothing_the_second_time(api: Api):
    await api.put(ITEM, MILK)

    first, second = await api.delete(ITEM), await api.delete(ITEM)

    assert (first.status_code, first.json()["old_value"]) == (200, MILK)
    assert (second.status_code, second.json()["old_value"]) == (200, None)
    assert (await api.get(ITEM)).status_code == 404


async def test_an_item_is_read_with_its_revision_and_not_sent_again_while_it_is_the_same(api: Api):
    revision = (await api.put(ITEM, MILK)).headers["ETag"]

    first = await api.get(ITEM)
    again = await api.get(ITEM, If_None_Match=revision)
    await api.put(ITEM, {**MILK, "done": True})
    changed = await api.get(ITEM, If_None_Match=revision)

    assert (first.status_code, first.json(), first.headers["ETag"]) == (200, MILK, revision)
    assert (again.status_code, again.content) == (304, b"")
    assert (changed.status_code, changed.json()["done"]) == (200, True)


async def test_an_item_that_is_not_there_is_not_found(api: Api):
    answer = await api.get(ITEM)

    assert answer.status_code == 404
    assert answer.json() == {"error": "there is no item todo/inbox/1", "code": "ITEM_NOT_FOUND"}


@pytest.mark.parametrize("verb", ["put", "patch", "delete"])
async def test_if_match_writes_only_over_that_revision(api: Api, verb: str):
    old = (await api.put(ITEM, MILK)).headers["ETag"]
    new = (await api.put(ITEM, {**MILK, "done": True})).headers["ETag"]
    writes: dict[str, Any] = {
        "put": lambda tag: api.put(ITEM, {**MILK, "text": "Buy bread"}, If_Match=tag),
        "patch": lambda tag: api.patch(
            ITEM, [{"type": "set", "path": "text", "value": "Buy bread"}], If_Match=tag
        ),
        "delete": lambda tag: api.delete(ITEM, If_Match=tag),
    }

    refused = await writes[verb](old)
    there = (await api.get(ITEM)).json()
    done = await writes[verb](new)

    assert refused.status_code == 412
    assert refused.json()["code"] == "PRECONDITION_FAILED"
    assert there == {**MILK, "done": True}
    assert (done.status_code, done.json()["old_value"]) == (200, there)


@pytest.mark.parametrize("verb", ["put", "patch"])
async def test_if_none_match_writes_only_where_there_is_nothing(api: Api, verb: str):
    async def write(text: str) -> httpx.Response:
        if verb == "put":
            return await api.put(ITEM, {**MILK, "text": text}, If_None_Match="*")
        fields = {"id": "1", "text": text}
        return await api.patch(ITEM, [{"type": "merge", "path": "", "value": fields}], If_None_Match="*")

    first, second = await write("first"), await write("second")

    assert first.status_code in (200, 201)
    assert second.status_code == 412
    assert (await api.get(ITEM)).json()["text"] == "first"


async def test_an_item_is_given_a_time_to_live(api: Api, store: Store):
    await api.ask("PUT", f"{ITEM}?ttl=3600", json=MILK)

    found = await store.get(Address("todo", "inbox", "1"))

    assert found is not None
    assert found.expires_ms is not None
    assert 3590_000 < found.expires_ms - found.time_ms < 3602_000


async def test_an_item_of_a_foreign_program_gets_its_id_and_is_sent_as_it_is_otherwise(
    api: Api, store: Store
):
    await store.write(Address("todo", "inbox", "x"), lambda _: b'{ "odd":1.0,\n"text":7}')

    one = await api.get(at("inbox", "x"))
    group = await api.get(at("inbox"))

    assert one.content == b'{"id":"x","odd":1.0,\n"text":7}'
    assert group.content == b"[" + one.content + b"]"
