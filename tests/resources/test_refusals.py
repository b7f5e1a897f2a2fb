"""What cannot be answered says so in one shape, writes nothing, and disturbs nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from streams.auth.operator import Operator
from streams.changes import MAX_EVENT_BYTES, MAX_VALUE_BYTES
from streams.errors import DefinitionRefused
from streams.memory import MemoryStore
from streams.resources.writing import MAX_BODY_BYTES
from tests.browser import Browser
from tests.conftest import Backend, gateway_on
from tests.resources.conftest import Api, asked_in_process, at

ITEM, EVENTS = at("inbox", "1"), at("inbox", "events")


@pytest.fixture
def backend() -> Backend:
    """What is refused is refused before any store is asked: one of them will do."""
    memory = MemoryStore(["todo"])
    return Backend(memory, memory)


@pytest_asyncio.fixture
async def api(backend: Backend) -> AsyncIterator[Api]:
    async with asked_in_process(backend) as api:
        yield api


def refusal(answer: httpx.Response) -> tuple[int, str]:
    said = answer.json()
    assert isinstance(said["error"], str)
    assert said["error"]
    return answer.status_code, said["code"]


async def test_an_item_that_does_not_fit_names_its_fields(api: Api):
    answer = await api.put(ITEM, {"id": "1", "done": "perhaps"})

    assert refusal(answer) == (422, "ITEM_REFUSED")
    assert answer.json()["fields"] == ["text", "done"]
    assert (await api.get(ITEM)).status_code == 404


async def test_an_operation_that_does_not_fit_names_itself_and_none_is_applied(api: Api):
    await api.put(ITEM, {"id": "1", "text": "Buy milk"})

    answer = await api.patch(
        ITEM,
        [{"type": "set", "path": "text", "value": "new"}, {"type": "increment", "path": "text", "by": 1}],
    )

    assert refusal(answer) == (422, "OP_REFUSED")
    assert answer.json()["op"] == {"index": 1, "code": "increment.not_number"}
    assert (await api.get(ITEM)).json()["text"] == "Buy milk"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN", b'{"id": "1", "text": "\xed\xa0\x80"}'])
@pytest.mark.parametrize(("method", "target"), [("PUT", ITEM), ("PATCH", ITEM), ("POST", EVENTS)])
async def test_a_body_that_is_no_json_is_refused(api: Api, method: str, target: str, body: bytes):
    assert refusal(await api.ask(method, target, content=body)) == (400, "NOT_JSON")


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"'])
async def test_an_item_is_an_object(api: Api, body: bytes):
    assert refusal(await api.ask("PUT", ITEM, content=body)) == (422, "ITEM_REFUSED")


async def test_operations_are_a_list(api: Api):
    assert refusal(await api.patch(ITEM, {"type": "set"})) == (400, "NOT_A_LIST")
    assert refusal(await api.patch(ITEM, [{"type": "jump"}])) == (422, "OP_REFUSED")


@pytest.mark.parametrize("ttl", ["0", "-1", "nan", "1e12", "soon"])
async def test_a_time_to_live_must_be_one(api: Api, ttl: str):
    answer = await api.ask("PUT", f"{ITEM}?ttl={ttl}", json={"id": "1", "text": "x"})

    assert refusal(answer)[0] == 422
    assert (await api.get(ITEM)).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": "*"},
        {"If-Match": "17"},
        {"If-Match": '"17", "18"'},
        {"If-Match": 'W/"17"'},
        {"If-None-Match": '"17"'},
        {"If-None-Match": "*, *"},
    ],
)
async def test_a_condition_that_is_not_understood_is_refused_and_not_ignored(
    api: Api, headers: dict[str, str]
):
    answer = await api.ask("PUT", ITEM, json={"id": "1", "text": "x"}, headers=headers)

    assert refusal(answer) == (400, "INVALID_CONDITION")
    assert (await api.get(ITEM)).status_code == 404


async def test_conditions_that_exclude_each_other_are_refused(api: Api):
    answer = await api.put(ITEM, {"id": "1", "text": "x"}, If_Match='"1"', If_None_Match="*")

    assert refusal(answer) == (422, "ITEM_REFUSED")


async def test_what_is_too_long_is_refused_at_the_limit_of_each_kind(api: Api):
    long_item = await api.put(ITEM, {"id": "1", "text": "x" * MAX_VALUE_BYTES})
    long_event = await api.post(EVENTS, {"type": "t", "data": "x" * MAX_EVENT_BYTES})
    long_body = await api.ask("PUT", ITEM, content=b" " * (MAX_BODY_BYTES + 1))

    assert refusal(long_item) == (422, "ITEM_REFUSED")
    assert refusal(long_event) == (422, "EVENT_REFUSED")
    assert refusal(long_body) == (413, "BODY_TOO_LONG")
    assert (await api.get(at("inbox"))).json() == []


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_a_stream_that_does_not_exist_is_not_found_with_what_was_probably_meant(api: Api, method: str):
    answer = await api.ask(method, "/streams/toDo/inbox/1", json={} if method != "PATCH" else [])

    assert refusal(answer) == (404, "STREAM_NOT_FOUND")
    assert "did you mean 'todo'" in answer.json()["error"]


@pytest.mark.parametrize("target", ["/streams/todo/", "/streams/todo/a/", "/streams/todo/a/b/c", "/streams/"])
async def test_what_is_no_address_is_not_found(api: Api, target: str):
    assert refusal(await api.get(target)) == (404, "NOT_FOUND")


async def test_a_method_that_is_not_possible_says_which_are(api: Api):
    answer = await api.ask("PUT", at("inbox"), json=[])

    assert refusal(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "GET"


@pytest.mark.parametrize(
    "segment",
    ["%00", "%FF", "%ED%A0%80", "a" * 257, "%C3%A9" * 129],
    ids=["nul", "byte", "half", "257", "258"],
)
async def test_a_name_that_cannot_be_is_refused(api: Api, segment: str):
    as_group = await api.get(f"/streams/todo/{segment}/1")
    as_id = await api.ask("PUT", f"/streams/todo/inbox/{segment}", json={"text": "x"})

    assert refusal(as_group) == (422, "INVALID_NAME")
    assert refusal(as_id) == (422, "INVALID_NAME")


async def test_an_error_of_the_store_says_nothing_of_where_it_is(backend: Backend):
    # No stream of the store has the declared name: as after a deploy that forgot to provision.
    async with asked_in_process(Backend(MemoryStore(["other"]), MemoryStore(["other"]))) as api:
        assert refusal(await api.get(at("inbox"))) == (404, "STREAM_NOT_FOUND")


@pytest.mark.parametrize("token", ["", "secret", "0123456789abcde"])
def test_a_token_that_anybody_could_guess_is_refused(token: str):
    with pytest.raises(DefinitionRefused, match="openssl rand"):
        Operator(token)


async def test_an_event_without_a_type_is_refused_and_nobody_hears_it(api: Api, backend: Backend, opened):
    async with gateway_on(backend.feed) as gateway:
        tab = await Browser(gateway.url, opened).join("todo", "inbox")

        answers = [
            await api.post(EVENTS, event)
            for event in (
                {},
                [],
                {"type": 1},
                {"type": "$draft"},
                {"type": "t", "id": ""},
                {"type": "t", "id": 7},
            )
        ]

        assert {answer.status_code for answer in answers} == {422}
        assert await tab.nothing_came()
