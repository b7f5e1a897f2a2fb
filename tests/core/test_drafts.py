"""What is remembered of items that grow, for whoever comes late."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.channels import text_units
from streams.envelope import Envelope
from streams.gateway import drafts as module
from streams.gateway.drafts import Draft, Tails, read_draft


def draft(text: str, offset: int, *, base: int = 5, path: str = "text") -> Draft:
    data = {"rev": base, "path": [path], "at": offset, "text": text}
    found = read_draft("1", orjson.dumps({"type": "$draft", "data": data}))
    assert found is not None
    return found


def end(base: int = 5) -> Draft:
    found = read_draft("1", orjson.dumps({"type": "$draft", "data": {"rev": base, "end": True}}))
    assert found is not None
    return found


def told(tails: Tails, revision: int = 5) -> list[tuple[int, str | None]]:
    return [(each.offset, each.text) for each in tails.of("1", revision)]


@pytest.mark.parametrize(
    "event",
    [
        b'{"type":"said","data":{"rev":5,"path":["text"],"at":0,"text":"x"}}',
        b'{"type":"$draft","data":null}',
        b'{"type":"$draft"}',
        b'{"type":"$draft","data":{"rev":"5","path":["text"],"at":0,"text":"x"}}',
        b'{"type":"$draft","data":{"rev":5,"path":"text","at":0,"text":"x"}}',
        b'{"from":{"session":"s"},"type":"$draft","data":{"rev":5,"end":true}}',
    ],
)
def test_what_is_no_draft_is_none(event: bytes):
    assert read_draft("1", event) is None


def test_what_is_about_no_item_is_none():
    assert read_draft(None, b'{"type":"$draft","data":{"rev":5,"end":true}}') is None


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=10))
def test_a_text_that_came_in_pieces_is_told_as_one(pieces: list[str]):
    tails, offset = Tails(), 3
    for piece in pieces:
        tails.add(draft(piece, offset))
        offset += text_units(piece)

    assert told(tails) == [(3, "".join(pieces))]


def test_a_text_with_a_hole_in_it_is_two():
    tails = Tails()
    for each in (draft("a", 0), draft("c", 2)):
        tails.add(each)

    assert told(tails) == [(0, "a"), (2, "c")]


def test_several_texts_of_an_item_grow_side_by_side():
    tails = Tails()
    for each in (draft("a", 0), draft("x", 0, path="other"), draft("b", 1), draft("y", 1, path="other")):
        tails.add(each)

    assert told(tails) == [(0, "ab"), (0, "xy")]


def test_what_is_remembered_does_not_change_what_waits_to_be_told():
    tails, waiting = Tails(), draft("a", 0)
    tails.add(waiting)

    tails.add(draft("b", 1))

    assert waiting.text == "a"


def test_a_stored_version_takes_what_came_before_it():
    tails = Tails()
    tails.add(draft("a", 0))

    tails.stored("1", 5)
    assert told(tails) == [(0, "a")]
    tails.stored("1", 6)
    assert len(tails) == 0


def test_of_another_version_nothing_is_told():
    tails = Tails()
    tails.add(draft("a", 0))

    assert told(tails, revision=4) == told(tails, revision=6) == []


def test_a_newer_version_takes_the_place_of_an_older_one_and_not_the_other_way():
    tails = Tails()
    for each in (draft("a", 0, base=5), draft("b", 1, base=6), draft("old", 0, base=5)):
        tails.add(each)

    assert told(tails, revision=6) == [(1, "b")]


def test_an_end_takes_all():
    tails = Tails()
    tails.add(draft("a", 0))

    tails.add(end())

    assert len(tails) == 0


def test_of_what_is_too_long_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_UNITS", 4)
    tails = Tails()
    for number in range(6):
        tails.add(draft("a", number))

    assert told(tails) == []


def test_of_very_many_items_some_are_not_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_ITEMS", 2)
    tails = Tails()
    for item_id in "abc":
        data = {"rev": 5, "path": ["text"], "at": 0, "text": "x"}
        found = read_draft(item_id, orjson.dumps({"type": "$draft", "data": data}))
        assert found is not None
        tails.add(found)

    assert tails.ids() == ["a", "b"]


def test_both_dialects_are_told_the_same():
    envelope, grown = Envelope("todo", "inbox"), draft("x", 3)

    extended = orjson.loads(grown.told(envelope, is_extended=True))["event"]
    plain = orjson.loads(grown.told(envelope, is_extended=False))["event"]["event"]

    assert extended == {"type": "draft", "base": 5, "path": ["text"], "offset": 3, "text": "x"}
    assert plain == {"type": "$draft", "data": {"rev": 5, "path": ["text"], "at": 3, "text": "x"}}
    assert orjson.loads(end().told(envelope, is_extended=True))["event"] == {
        "type": "draft",
        "base": 5,
        "end": True,
    }
