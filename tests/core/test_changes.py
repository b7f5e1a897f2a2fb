"""Values are relayed as they were written; only an `id` that is missing or wrong is put in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.changes import json_object, with_id

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=12,
)
objects = st.dictionaries(
    st.sampled_from(["id", "Id", "text", 'q"', "é"]) | st.text(st.characters(exclude_categories=["Cs"])),
    json_values,
    max_size=5,
)
ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


def loose(value: object) -> bytes:
    """As a person could have typed it."""
    return ("\n\t " + json.dumps(value, indent=3, ensure_ascii=False) + " \r\n").encode()


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "text",
    [
        b'{"id":"7"}',
        b' { "text" : "x", "id" :\t"7" } \n',
        b'{"price":1.50,"big":12345678901234567890123,"id":"\\u0037"}',
    ],
)
def test_an_item_that_has_its_id_keeps_its_bytes(text):
    assert with_id("7", text) is text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"{}", b'{"id":"7"}'),
        (b"{ }", b'{"id":"7"}'),
        (b" \r\n\t{\n}\n", b'{"id":"7"}\n'),
        (b'{"text":"x"}', b'{"id":"7","text":"x"}'),
        (b'  {\n  "text": "x"\n}', b'{"id":"7","text": "x"\n}'),
        (b'{"text":1.50}', b'{"id":"7","text":1.50}'),
        (b'{"a":{"id":"9"}}', b'{"id":"7","a":{"id":"9"}}'),
        (b'{"a":[{"id":"7"}]}', b'{"id":"7","a":[{"id":"7"}]}'),
        (b'{"a":"{\\"id\\":\\"7\\"}"}', b'{"id":"7","a":"{\\"id\\":\\"7\\"}"}'),
        (b'{"Id":"9"}', b'{"id":"7","Id":"9"}'),
    ],
)
def test_a_missing_id_is_put_in_front_and_the_rest_stays_as_it_is(text, expected):
    assert with_id("7", text) == expected


@pytest.mark.parametrize(
    "found", ["8", "", 7, 7.0, None, True, ["7"], {"id": "7"}], ids=lambda found: json.dumps(found)
)
def test_another_id_is_replaced_by_that_of_the_key(found):
    text = compact({"a": 1, "id": found, "b": 2})

    assert with_id("7", text) == b'{"a":1,"id":"7","b":2}'


def test_an_id_is_written_as_json():
    assert with_id('a"b\\日', b"{}") == '{"id":"a\\"b\\\\日"}'.encode()


@given(ids, objects, st.sampled_from([loose, compact]))
def test_the_result_is_the_same_object_with_the_id_of_the_key(item_id, item, write):
    text = write(item)

    result = with_id(item_id, text)

    assert json.loads(result) == {**item, "id": item_id}
    assert item.get("id") != item_id or result == text
    assert with_id(item_id, result) == result


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"milk",
        b"[]",
        b'[{"id":"7"}]',
        b'"{}"',
        b"7",
        b"null",
        b"true",
        b"{",
        b"{}{}",
        b"{'id': 7}",
        b'{"a":NaN}',
        b'{"a":1,}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud83d"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_json_object_is_no_item(text):
    assert json_object(text) is None


def test_a_json_object_is_an_item():
    assert json_object(b' {"a":[1,{"b":null}]} ') == {"a": [1, {"b": None}]}
