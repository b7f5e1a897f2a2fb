"""What whoever asks over HTTP may see: whatever cannot be answered is a no."""

from __future__ import annotations

import time
from typing import Any

import pytest

from streams import AuthRequest, Claims, Subscription
from streams.access import ANONYMOUS
from streams.auth.callers import Callers, NobodyKnown, caller_of
from streams.auth.revocations import STREAM, Revocation, revoke
from streams.auth.rules import OwnRules
from streams.errors import NotLetIn
from streams.jetstream.bucket import provision
from streams.jetstream.connection import Connection
from streams.jetstream.feed import JetStreamFeed
from streams.jetstream.kv_store import KvStore
from streams.keys import Namespace
from streams.memory import MemoryStore
from tests.auth.doorkeepers import GUARDED, OPEN, STREAMS, callers, known, refusal, scope
from tests.failing import Failing
from tests.tokens import VERIFIER, token


async def test_what_has_no_rule_everybody_may_see():
    async with callers() as doorkeeper:
        await doorkeeper.check(ANONYMOUS, OPEN)
        await doorkeeper.check(known(), OPEN)


async def test_a_rule_lets_those_in_to_whom_it_says_yes():
    async with callers() as doorkeeper:
        await doorkeeper.check(known(tenant="acme"), GUARDED)

        assert await refusal(doorkeeper, known(tenant="umbrella"), GUARDED) == "STREAM_ACCESS_DENIED"
        assert await refusal(doorkeeper, known(), GUARDED) == "STREAM_ACCESS_DENIED"
        assert await refusal(doorkeeper, ANONYMOUS, GUARDED) == "STREAM_ACCESS_DENIED"


async def test_a_stream_that_no_rule_knows_nobody_may_see_and_no_store_is_asked():
    async with callers(Failing()) as doorkeeper:
        for name in ("other", STREAM, "", "open ", "Open"):
            assert await refusal(doorkeeper, known(), Subscription(name, "g")) == "STREAM_ACCESS_DENIED"


class NearlyYes:
    """Rules whose answer is no clear yes."""

    async def context(self, request: AuthRequest, claims: Claims | None) -> Any:
        return claims

    def is_guarded(self, stream: str) -> bool | None:
        return True

    async def may_see(self, context: Any, subscription: Subscription) -> bool:
        return 1  # type: ignore[return-value]  # what is tested

    may_send = may_see


async def test_only_true_is_a_yes():
    doorkeeper = Callers(VERIFIER, NearlyYes(), MemoryStore([STREAM]), MemoryStore())

    assert await refusal(doorkeeper, known(), GUARDED) == "STREAM_ACCESS_DENIED"


@pytest.mark.parametrize(
    ("target", "ann_sees"),
    [
        ((None, "open", None), False),
        ((None, "open", "inbox"), False),
        (("ann", "open", None), False),
        (("ann", "open", "inbox"), False),
        (("ann", None, None), False),
        (("bob", None, None), True),
        (("bob", "open", "inbox"), True),
        ((None, "private", None), True),
        ((None, "open", "other"), True),
        (("ann", "open", "other"), True),
    ],
)
async def test_a_revocation_in_a_stream_or_group_counts_there(
    target: tuple[str | None, str | None, str | None], ann_sees: bool
):
    store = MemoryStore([STREAM])
    await revoke(store, Revocation(*target, time.time() + 60))

    async with callers(store) as doorkeeper:
        if ann_sees:
            await doorkeeper.check(known(), OPEN)
        else:
            assert await refusal(doorkeeper, known(), OPEN) == "TOKEN_REVOKED"


async def test_a_revocation_of_everybody_concerns_who_has_no_token_too():
    store = MemoryStore([STREAM])
    await revoke(store, Revocation(None, "open", None, 1))

    async with callers(store) as doorkeeper:
        await doorkeeper.check(known(), OPEN)

        assert await refusal(doorkeeper, ANONYMOUS, OPEN) == "TOKEN_REVOKED"


async def test_a_stream_that_got_a_rule_since_this_process_was_started_is_closed(
    connection: Connection, namespace: Namespace
):
    await provision(connection, namespace, STREAM)
    await provision(connection, namespace, "open", guarded=True)
    store, feed = KvStore(connection, namespace), JetStreamFeed(connection, namespace)
    async with OwnRules.running(STREAMS, None) as rules:
        doorkeeper = Callers(VERIFIER, rules, store, feed)

        assert await refusal(doorkeeper, known(), Subscription("open", "inbox")) == "STREAM_ACCESS_DENIED"


async def test_where_nobody_is_known_tokens_are_refused_and_rules_say_no():
    doorkeeper = NobodyKnown(STREAMS)

    assert await caller_of(scope(), doorkeeper) == ANONYMOUS
    await doorkeeper.check(ANONYMOUS, OPEN)
    assert await refusal(doorkeeper, ANONYMOUS, GUARDED) == "STREAM_ACCESS_DENIED"
    assert await refusal(NobodyKnown(), ANONYMOUS, OPEN) == "STREAM_ACCESS_DENIED"
    with pytest.raises(NotLetIn) as refused:
        await caller_of(scope(("Authorization", f"Bearer {token()}")), doorkeeper)
    assert refused.value.code == "TOKEN_REFUSED"
