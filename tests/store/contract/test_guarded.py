"""Whether a rule says who may see a stream, as every feed tells it."""

from __future__ import annotations

import pytest

from streams.errors import UnknownStream
from streams.store import Feed, Store
from tests.store.writes import put


async def test_a_stream_without_a_rule_is_not_guarded(store: Store, feed: Feed):
    await put(store, "first")

    assert not await feed.is_guarded("todo")
    assert not (await feed.end("todo")).epoch.is_guarded


async def test_of_a_stream_that_does_not_exist_nobody_can_say_whether_it_is_guarded(feed: Feed):
    with pytest.raises(UnknownStream, match=r"^there is no stream 'nothing'; "):
        await feed.is_guarded("nothing")
