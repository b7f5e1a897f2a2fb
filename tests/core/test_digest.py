"""Digests: what makes two groups the same, and what other programs have to compute alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.digest import Digest, digest_text, item_digest
from tests.core.changes_made import group_of, item_deleted, item_set

CORPUS = json.loads((Path(__file__).parents[1] / "wire/v1/digests.json").read_text(encoding="utf-8"))

changes = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=20)


@pytest.mark.parametrize("case", CORPUS["cases"], ids=lambda case: case["name"])
def test_a_digest_is_what_it_always_was(case: Any):
    value = 0
    for item_id, revision in case["items"]:
        value ^= item_digest(item_id, revision)

    assert digest_text(value) == case["digest"]


def test_items_that_come_one_after_the_other_do_not_cancel_each_other_out():
    digests = {item_digest(str(number), 10) for number in range(1000)}
    pairs = {item_digest(str(a), 10) ^ item_digest(str(b), 10) for a in range(60) for b in range(a)}

    assert len(digests) == 1000
    assert len(pairs) == 60 * 59 // 2


@given(st.text(max_size=20), st.integers(1, 2**53), st.integers(1, 2**53))
def test_another_version_of_an_item_has_another_digest(item_id: str, one: int, other: int):
    assert (item_digest(item_id, one) == item_digest(item_id, other)) == (one == other)


@given(changes, st.integers(0, 20))
def test_a_digest_that_was_kept_is_that_of_what_there_is(written: list[tuple[str, bool]], asked: int):
    group = group_of()
    for revision, (item_id, is_delete) in enumerate(written, start=1):
        group.apply(item_deleted(revision, item_id) if is_delete else item_set(revision, item_id))
        if revision == asked:
            group.digest()

    fresh = Digest(item.id for item in group.items())
    assert group.digest() == fresh.value(lambda item_id: group.item(item_id).revision)
    assert (group.digest() == 0) == (not group.items())
