"""A group over HTTP: its items in order, and whether anything has changed since."""

from __future__ import annotations

import pytest

from streams.resources.positions import EVERY_SECONDS, TRUSTED_SECONDS, SeenPositions
from streams.store import Epoch, Position
from tests.browser import Browser
from tests.conftest import Backend, gateway_on
from tests.resources.conftest import Api, at

INBOX = at("inbox")


async def filled(api: Api, *ids: str) -> None:
    for item_id in ids:
        assert (await api.put(at("inbox", item_id), {"id": item_id, "text": item_id})).status_code == 201


async def test_a_group_is_an_array_of_its_items_in_the_order_of_creation(api: Api):
    await filled(api, "b", "a", "c")
    await api.put(at("inbox", "b"), {"id": "b", "text": "written again"})
    await api.put(at("other", "x"), {"id": "x", "text": "elsewhere"})

    answer = await api.get(INBOX)

    assert [item["text"] for item in answer.json()] == ["written again", "a", "c"]
    assert answer.headers["content-type"] == "application/json"


async def test_a_group_that_nobody_wrote_to_is_empty_and_not_missing(api: Api):
    answer = await api.get(INBOX)

    assert (answer.status_code, answer.json()) == (200, [])


async def test_a_group_is_paged_backwards_from_its_end(api: Api):
    await filled(api, "a", "b", "c", "d")

    newest = (await api.get(f"{INBOX}?last=2")).json()
    older = (await api.get(f"{INBOX}?last=2&before={newest[0]['id']}")).json()
    nothing = await api.get(f"{INBOX}?before=a")

    assert [item["id"] for item in older + newest] == ["a", "b", "c", "d"]
    assert nothing.json() == []


async def test_a_page_before_an_item_that_is_gone_is_refused(api: Api):
    answer = await api.get(f"{INBOX}?before=gone")

    assert (answer.status_code, answer.json()["code"]) == (412, "PRECONDITION_FAILED")


@pytest.mark.parametrize("last", ["0", "-1", "two", "1.5"])
async def test_a_page_needs_a_positive_number(api: Api, last: str):
    answer = await api.get(f"{INBOX}?last={last}")

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_PARAMETER")
    assert answer.json()["error"].startswith("last: ")


async def test_the_tag_of_a_group_is_the_position_of_a_sync(api: Api, backend: Backend, opened):
    await filled(api, "a")
    async with gateway_on(backend.feed) as gateway:
        tab = await Browser(gateway.url, opened).open()
        await tab.join("todo", "inbox")
        sync = await tab.next()

    answer = await api.get(INBOX)

    assert answer.headers["ETag"] == f'"{sync["at"]}"'


async def test_a_group_is_not_sent_again_while_nothing_in_it_changed(api: Api):
    await filled(api, "a")
    tag = (await api.get(INBOX)).headers["ETag"]
    await api.put(at("other", "x"), {"id": "x", "text": "elsewhere"})

    answer = await api.get(INBOX, If_None_Match=f'"something", {tag}')

    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)


@pytest.mark.parametrize("change", ["create", "update", "delete"])
async def test_a_group_is_sent_again_after_every_kind_of_change(api: Api, change: str):
    await filled(api, "a", "b")
    tag = (await api.get(INBOX)).headers["ETag"]

    match change:
        case "create":
            await filled(api, "c")
        case "update":
            await api.put(at("inbox", "a"), {"id": "a", "text": "new"})
        case _:
            await api.delete(at("inbox", "a"))
    answer = await api.get(INBOX, If_None_Match=tag)

    texts = {"create": ["a", "b", "c"], "update": ["new", "b"], "delete": ["b"]}[change]
    assert (answer.status_code, [item["text"] for item in answer.json()]) == (200, texts)
    assert answer.headers["ETag"] != tag


@pytest.mark.parametrize(
    "tag", ['"x"', '"x.1"', '"1"', "*", '"', "garbage", '"{epoch}.99999"', '"{epoch}.x"']
)
async def test_a_tag_that_says_nothing_gets_the_whole_group(api: Api, tag: str):
    await filled(api, "a")
    epoch = (await api.get(INBOX)).headers["ETag"].strip('"').rpartition(".")[0]

    answer = await api.get(INBOX, If_None_Match=tag.replace("{epoch}", epoch))

    assert (answer.status_code, len(answer.json())) == (200, 1)


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


EPOCH = Epoch("a", 0)


def test_a_position_is_young_when_one_below_it_was_seen_lately():
    seen = SeenPositions(Clock())
    seen.note("todo", Position(EPOCH, 10))

    assert seen.is_young("todo", EPOCH, 10)
    assert seen.is_young("todo", EPOCH, 11)
    assert not seen.is_young("todo", EPOCH, 9)
    assert not seen.is_young("todo", Epoch("b", 0), 11)
    assert not seen.is_young("other", EPOCH, 11)


def test_a_position_that_was_seen_too_long_ago_proves_nothing_more():
    clock = Clock()
    seen = SeenPositions(clock)
    seen.note("todo", Position(EPOCH, 10))
    clock.seconds += TRUSTED_SECONDS - 1
    seen.note("todo", Position(EPOCH, 20))

    was_young = seen.is_young("todo", EPOCH, 15)
    clock.seconds += 2

    assert was_young
    assert not seen.is_young("todo", EPOCH, 15)
    assert seen.is_young("todo", EPOCH, 20)


def test_positions_are_kept_a_minute_apart_however_many_are_seen():
    clock = Clock()
    seen = SeenPositions(clock)
    for second in range(3 * int(TRUSTED_SECONDS)):
        clock.seconds += 1
        seen.note("todo", Position(EPOCH, second))

    assert len(seen._seen["todo"]) <= TRUSTED_SECONDS / EVERY_SECONDS + 1


def test_positions_of_another_life_of_the_bucket_are_forgotten():
    seen = SeenPositions(Clock())
    seen.note("todo", Position(EPOCH, 10))
    seen.note("todo", Position(Epoch("b", 0), 3))

    assert not seen.is_young("todo", EPOCH, 10)
    assert seen.is_young("todo", Epoch("b", 0), 3)
