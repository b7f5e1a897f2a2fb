"""A user who is revoked is out of every gateway at once, and comes back with a new token."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from websockets.exceptions import InvalidStatus

from streams.auth.revocations import Revocation, revoke
from tests.browser import Browser, Tab
from tests.gateway.revoking import SOON, Site, all_closed, entered, joined, passing_by, turned_away, watching
from tests.gateway.revoking import site as site
from tests.tokens import token


async def test_a_user_is_out_of_every_gateway_within_a_second(site: Site):
    gateways = await site.gateways(2)
    ann, bob = token("ann"), token("bob")
    anns = [await watching(each, ann) for each in gateways] + [await entered(gateways[0], ann)]
    others = [await watching(each, bob) for each in gateways] + [await passing_by(gateways[1])]

    async with asyncio.timeout(SOON):
        await site.revoke(sub="ann")
        codes = await all_closed(*anns)

    assert codes == {4401}
    assert all([await tab.nothing_came() for tab in others])
    await site.write("inbox", "a")
    for tab in others[:2]:
        assert (await tab.next_event())["type"] == "create"


async def test_a_user_of_the_plain_dialect_is_out_as_well(site: Site):
    gateway = await site.gateway()
    tab = await entered(gateway, token("ann"), dialect=None)
    await joined(tab)

    async with asyncio.timeout(SOON):
        await site.revoke(sub="ann")
        assert await all_closed(tab) == {4401}

    assert len(tab.frames) == 1


async def test_with_the_token_of_before_a_user_stays_out_and_a_new_one_lets_in(site: Site):
    gateways = await site.gateways(2)
    old = token("ann")
    before = [await watching(each, old) for each in gateways]
    await site.revoke(sub="ann")
    await all_closed(*before)

    for gateway in gateways:
        assert await turned_away(gateway, old) == (401, "TOKEN_REVOKED")
        assert await (await watching(gateway, token("ann"))).nothing_came()


async def test_a_user_is_let_in_again_when_it_is_taken_back(site: Site):
    gateways = await site.gateways(2)
    ann = token("ann")
    before = [await watching(each, ann) for each in gateways]
    await site.revoke(sub="ann")
    await all_closed(*before)

    async with asyncio.timeout(SOON):
        await site.unrevoke(sub="ann")
        for gateway in gateways:
            assert await (await _entered_at_last(gateway, ann)).nothing_came()


async def test_of_two_tokens_of_one_user_only_the_one_from_before_is_void(site: Site):
    gateway = await site.gateway()
    now = time.time()
    old, new = await watching(gateway, token("ann", made=now - 60)), await watching(gateway, token("ann"))

    await revoke(site.store, Revocation("ann", None, None, now - 30))

    assert await all_closed(old) == {4401}
    assert await new.nothing_came()


async def _entered_at_last(browser: Browser, proof: str) -> Tab:
    while True:
        with suppress(InvalidStatus):
            return await entered(browser, proof)
