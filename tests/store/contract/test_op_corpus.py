"""Every store does with operations what the corpus says, which clients in other languages share."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from streams import ItemRefused, OpRefused, Stream, bound_to
from streams.items import MAX_DEPTH
from streams.store import Store
from tests.core.test_ops import CASES, exact
from tests.store.writes import address

todo = Stream("todo", dict)

AT_ONCE = 64


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def expected(case: dict[str, Any]) -> object:
    """What the corpus says, where a store has rules of its own what these say."""
    if "error" in case:
        return case["error"]["index"], case["error"]["code"]
    if "missing" in case:
        return "missing"
    if not isinstance(case["result"], dict):
        return "an item is a JSON object"
    if depth(case["result"]) > MAX_DEPTH:
        return f"it is nested deeper than {MAX_DEPTH} levels"
    return exact(case["result"])


async def outcome(store: Store, case: dict[str, Any]) -> object:
    """What an update made of the stored item. One that was refused leaves it as it was."""
    at = address(case["name"][:80], "corpus")
    if "item" in case:
        await store.write(at, lambda _: json.dumps(case["item"]).encode())
    before = await store.get(at)
    try:
        await todo.update(at.group, at.id, case["ops"])
    except OpRefused as refused:
        assert await store.get(at) == before
        return refused.index, refused.code
    except ItemRefused as refused:
        assert await store.get(at) == before
        return str(refused).removeprefix(f"{at} was not written: ")
    found = await store.get(at)
    return "missing" if found is None else exact(json.loads(found.value))


async def test_operations_on_stored_items_do_what_the_corpus_says(store: Store):
    possible = [case for case in CASES if isinstance(case.get("item", {}), dict)]
    assert len(CASES) - len(possible) == 78, "cases whose item is no object, which no store can hold"

    with bound_to(store):
        outcomes: dict[str, object] = {}
        for start in range(0, len(possible), AT_ONCE):
            some = possible[start : start + AT_ONCE]
            found = await asyncio.gather(*(outcome(store, case) for case in some))
            outcomes.update(zip((case["name"] for case in some), found, strict=True))

    assert outcomes == {case["name"]: expected(case) for case in possible}
