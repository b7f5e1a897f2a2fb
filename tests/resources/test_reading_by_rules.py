"""Who reads what: what the rules of a stream give them, and what the application says they are."""

from __future__ import annotations

from typing import Any

import pytest

from streams import AuthRequest, Claims
from streams.auth.operator import Operator
from streams.auth.revocations import STREAM
from tests.failing import Failing
from tests.resources.deployed import OPERATOR, READS, deployed, filled, get, nothing, refusal, served
from tests.tokens import token


async def test_what_has_no_rule_everybody_reads():
    async with deployed(await filled()) as api:
        group, item = await get(api, "/streams/todo/inbox"), await get(api, "/streams/todo/inbox/1", token())

    assert [each["text"] for each in group.json()] == ["for everybody"]
    assert item.json()["text"] == "for everybody"


@pytest.mark.parametrize("target", READS)
async def test_each_of_two_tenants_reads_its_own_and_nothing_of_the_other(target: str):
    async with deployed(await filled()) as api:
        own = await get(api, target, token(tenant="acme"))
        foreign = await get(api, target, token(tenant="umbrella"))
        nobody = await get(api, target)

    assert own.status_code == 200
    assert "acme" in own.text
    assert refusal(foreign) == (403, "STREAM_ACCESS_DENIED")
    assert "WWW-Authenticate" not in foreign.headers
    assert refusal(nobody) == (401, "TOKEN_REQUIRED")
    assert nobody.headers["WWW-Authenticate"] == "Bearer"


async def test_a_rule_may_give_an_item_of_a_group_that_it_does_not_give():
    async with deployed(await filled()) as api:
        item, group = [await get(api, f"/streams/private/acme{each}") for each in ("/notice", "")]

    assert item.json()["of"] == "acme"
    assert refusal(group) == (401, "TOKEN_REQUIRED")


@pytest.mark.parametrize("target", READS)
@pytest.mark.parametrize("operator", [Operator(OPERATOR), None], ids=["deployed", "dev"])
async def test_a_refused_read_touches_nothing(target: str, operator: Operator | None):
    headers = {"If_None_Match": "*", "Range": "bytes=0-1"}
    async with served(nothing(), operator=operator) as api:
        answers = [
            await get(api, target, **headers),
            await get(api, target, token(tenant="umbrella"), **headers),
            await get(api, target, "bad", **headers),
            await get(api, f"{target}{'&' if '?' in target else '?'}last=x&before=1", **headers),
        ]

    assert [answer.status_code for answer in answers] == [401, 403, 401, 401]


async def test_whether_an_item_is_there_is_not_told_to_who_may_not_see_it():
    async with deployed(await filled()) as api:
        there = await get(api, "/streams/private/acme/1", token(tenant="umbrella"))
        gone = await get(api, "/streams/private/acme/gone", token(tenant="umbrella"))
        missing = await get(api, "/streams/nothing/acme/1", token(tenant="umbrella"))

    assert there.status_code == 403
    assert there.content == gone.content == missing.content


@pytest.mark.parametrize("name", ["nothing", STREAM, "presence", "%74odo", "openapi.json", "Todo", "*"])
async def test_which_streams_there_are_is_not_told_to_who_may_not_list_them(name: str):
    async with deployed(nothing(), revoked=Failing()) as api:
        nobody = await get(api, f"/streams/{name}/all")

    assert refusal(nobody) == (401, "TOKEN_REQUIRED")
    assert "private" not in nobody.text


async def test_somebody_whom_the_application_knows_without_a_token_is_not_asked_for_one():
    async def authenticate(request: AuthRequest, claims: Claims | None) -> Any:
        return {"tenant": request.headers["cookie"]} if "cookie" in request.headers else None

    async with deployed(await filled(), authenticate=authenticate) as api:
        own = await get(api, READS[0], Cookie="acme")
        foreign = await get(api, READS[0], Cookie="umbrella")
        nobody = await get(api, READS[0])

    assert own.status_code == 200
    assert refusal(foreign) == (403, "STREAM_ACCESS_DENIED")
    assert refusal(nobody) == (401, "TOKEN_REQUIRED")


async def test_an_application_is_told_how_a_reader_came():
    asked: list[AuthRequest] = []

    async def authenticate(request: AuthRequest, claims: Claims | None) -> Any:
        asked.append(request)
        return claims

    async with deployed(await filled(), authenticate=authenticate) as api:
        await get(api, "/streams/todo/in%2Fbox?last=1", token(), X_Seen="yes")

    (request,) = asked
    assert (request.kind, dict(request.query), request.headers["x-seen"]) == ("http", {"last": "1"}, "yes")
    assert request.address == "127.0.0.1"
    assert "authorization" not in request.headers


async def test_no_answer_is_kept_by_a_cache_that_people_share():
    async with deployed(await filled()) as api:
        answers = [
            await get(api, target, who)
            for target in ("/streams/todo/inbox", "/streams/private/acme/1", "/streams/private/acme/gone")
            for who in (None, token(tenant="acme"))
        ]
        tag = answers[1].headers["ETag"]
        answers.append(await get(api, "/streams/todo/inbox", token(), If_None_Match=tag))

    assert [answer.status_code for answer in answers] == [200, 200, 401, 200, 401, 404, 304]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"private, no-cache"}
    assert {answer.headers["Vary"] for answer in answers} == {"Authorization"}
