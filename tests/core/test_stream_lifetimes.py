"""Streams that say how long their items live."""

from __future__ import annotations

import math
from typing import Any

import pytest

from streams import DefinitionRefused, Stream
from streams.store import MAX_TTL_SECONDS


@pytest.mark.parametrize(
    "ttl", [0, 0.5, -1, math.nan, -math.inf, True, False, "5", 1e12, MAX_TTL_SECONDS + 1, [], 1j], ids=repr
)
def test_a_stream_whose_time_to_live_is_none_cannot_be_declared(ttl: Any):
    with pytest.raises(DefinitionRefused) as refused:
        Stream("todo", dict, ttl=ttl)

    assert str(refused.value) == (
        f"stream 'todo': ttl={ttl!r} is not a time to live; "
        "give seconds from 1 to 316224000, or math.inf for never"
    )


@pytest.mark.parametrize("ttl", [None, 1, 1.5, 3600, MAX_TTL_SECONDS, math.inf], ids=repr)
def test_a_stream_may_say_how_long_its_items_live(ttl: float | None):
    assert Stream("todo", dict, ttl=ttl).name == "todo"
