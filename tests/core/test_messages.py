"""What clients may say, and the exact frames that they get."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.envelope import PONG, Envelope, error, timestamp
from streams.gateway.frames import text_frame
from streams.messages import BadMessage, BadRoom, Join, Leave, Ping, Room, parse

BASE = 1_800_000_000_000
"""A time in 2027, in milliseconds since 1970, as a bucket would have it."""

bases = st.integers(1_700_000_000_000, 1_760_000_000_000)
positions = st.integers(0, 7 * 10**12 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def message(kind: object, **data: object) -> str:
    return json.dumps({"type": kind, "data": data})


def a_join(**changed: object) -> str:
    fields = {"streamName": "todo", "groupId": "inbox", "subscriptionId": "s1"}
    return message("join", **(fields | changed))


def test_a_join_asks_for_a_group():
    assert parse(a_join()) == Join("s1", Room("todo", "inbox"))


def test_a_join_with_an_id_asks_for_one_item():
    assert parse(a_join(id="42")) == Join("s1", Room("todo", "inbox", "42"))


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_id_means_the_whole_group(empty):
    assert parse(a_join(id=empty)) == Join("s1", Room("todo", "inbox"))


def test_a_join_may_say_more_than_is_known():
    assert parse(a_join(at="ab.7", token="x")) == Join("s1", Room("todo", "inbox"))


def test_a_leave_names_a_subscription():
    assert parse(message("leave", subscriptionId="s1")) == Leave("s1")


def test_a_leave_needs_no_room_but_may_have_one():
    left = parse(message("leave", streamName="todo", groupId="inbox", subscriptionId="s1"))

    assert left == Leave("s1")


@pytest.mark.parametrize("text", ['{"type":"ping"}', ' {"type" : "ping", "data": 7}\n'])
def test_a_ping_needs_no_fields(text):
    assert parse(text) == Ping()


def test_a_binary_message_is_read_like_a_text_message():
    assert parse(a_join(groupId="日本").encode()) == parse(a_join(groupId="日本"))


@pytest.mark.parametrize("name", ["a/b", "*", ">", "a.b", "日本", " ", "_event", "=", 'a"b'])
def test_odd_names_can_be_joined(name):
    assert parse(a_join(groupId=name, id=name)) == Join("s1", Room("todo", name, name))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[]",
        "7",
        "null",
        '"join"',
        "{",
        b"\xff\xfe",
        b"\0",
        "\ud83d",
        '{"type":"\\ud83d"}',
        "[" * 9999,
    ],
    ids=lambda text: repr(text[:9]),
)
def test_what_is_no_json_object_is_answered_with_a_sentence(text):
    with pytest.raises(BadMessage, match=r"^a message is a JSON object with a `type`$"):
        parse(text)


@pytest.mark.parametrize(
    ("kind", "named"),
    [("jion", "'jion'"), ("JOIN", "'JOIN'"), (None, "'None'"), (7, "'7'"), (["join"], "\"['join']\"")],
)
def test_an_unknown_type_is_named_in_the_answer(kind, named):
    with pytest.raises(BadMessage) as refused:
        parse(message(kind))

    assert str(refused.value) == f"unknown message type {named}; expected join, leave or ping"


def test_an_unknown_type_is_not_repeated_at_length():
    with pytest.raises(BadMessage) as refused:
        parse(message("x" * 60_000))

    assert len(str(refused.value)) < 120


@pytest.mark.parametrize("kind", ["join", "leave"])
@pytest.mark.parametrize("data", [None, [], "s1", 7])
def test_fields_that_are_no_object_are_refused(kind, data):
    with pytest.raises(BadMessage, match=f"^a {kind} message has its fields in `data`, an object$"):
        parse(json.dumps({"type": kind, "data": data}))


@pytest.mark.parametrize("kind", ["join", "leave"])
def test_a_message_without_fields_is_refused(kind):
    with pytest.raises(BadMessage, match="has its fields in `data`"):
        parse(json.dumps({"type": kind}))


@pytest.mark.parametrize("field", ["streamName", "groupId", "subscriptionId"])
@pytest.mark.parametrize("value", [None, 7, True, ["todo"], {}])
def test_a_join_hears_which_field_is_no_string(field, value):
    with pytest.raises(BadMessage, match=f"^`data.{field}` is missing or not a string$"):
        parse(a_join(**{field: value}))


@pytest.mark.parametrize("field", ["streamName", "groupId", "subscriptionId"])
def test_a_join_hears_which_field_is_missing(field):
    data = json.loads(a_join())
    del data["data"][field]

    with pytest.raises(BadMessage, match=f"^`data.{field}` is missing or not a string$"):
        parse(json.dumps(data))


@pytest.mark.parametrize("item_id", [7, True, ["42"], {"id": "42"}])
def test_a_join_hears_that_its_id_is_no_string(item_id):
    with pytest.raises(BadMessage, match=r"^`data\.id` is missing or not a string$"):
        parse(a_join(id=item_id))


@pytest.mark.parametrize("value", [None, 7])
def test_a_leave_hears_that_its_subscription_is_missing(value):
    with pytest.raises(BadMessage, match=r"^`data\.subscriptionId` is missing or not a string$"):
        parse(message("leave", subscriptionId=value))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"groupId": ""}, "group '' is empty; give it at least one character"),
        ({"groupId": "a" * 257}, "is 257 bytes long; 256 is the limit"),
        ({"groupId": "a\0"}, "contains a NUL character"),
        ({"id": "日" * 86}, "is 258 bytes long; 256 is the limit"),
        ({"id": "a\0"}, "contains a NUL character"),
    ],
)
def test_a_room_that_cannot_exist_is_refused_in_that_room(fields, sentence):
    with pytest.raises(BadRoom) as refused:
        parse(a_join(**fields))

    assert sentence in str(refused.value)
    room = (refused.value.stream, refused.value.group, refused.value.id)
    assert room == ("todo", fields.get("groupId", "inbox"), fields.get("id"))


def test_a_room_is_printed_as_a_path():
    assert str(Room("todo", "inbox")) == "todo/inbox"
    assert str(Room("todo", "inbox", "42")) == "todo/inbox/42"


@given(bases, positions)
def test_timestamps_are_exact(base, position):
    assert Fraction(timestamp(base, position)) == base + Fraction(position, 16)


@given(bases, positions, st.integers(1, 10**6))
@example(BASE, 0, 1)
def test_timestamps_rise_with_every_position(base, position, step):
    assert timestamp(base, position) < timestamp(base, position + step)


@given(bases, positions)
def test_a_timestamp_in_a_frame_reads_back_as_the_same_double(base, position):
    value = timestamp(base, position)

    frame = Envelope("todo", "inbox").group_sync([], timestamp=value, at="ab.1")

    assert json.loads(frame)["timestamp"] == value
    assert b"e+" not in frame


@pytest.mark.parametrize("kind", ["create", "update", "delete"])
def test_a_change_says_what_happened_to_which_item(kind):
    frame = Envelope("todo", "inbox").changed(
        kind, "42", b'{"id":"42","text":"x"}', timestamp=timestamp(BASE, 8), revision=8, time_ms=BASE + 5
    )

    assert frame == (
        b'{"type":"stream","timestamp":1800000000000.5,"streamName":"todo","groupId":"inbox","id":"42",'
        b'"rev":8,"time":1800000000005,"event":{"type":"%s","data":{"id":"42","text":"x"}}}' % kind.encode()
    )


def test_a_group_sync_has_all_items_and_how_far_they_are_complete():
    frame = Envelope("todo", "inbox").group_sync(
        [b'{"id":"1"}', b'{"id":"2"}'], timestamp=timestamp(BASE, 16), at="ab.16"
    )

    assert frame == (
        b'{"type":"stream","timestamp":1800000000001,"streamName":"todo","groupId":"inbox","id":null,'
        b'"at":"ab.16","event":{"type":"sync","data":[{"id":"1"},{"id":"2"}]}}'
    )


@pytest.mark.parametrize("items", [[], [b'{"id":"1","event":{"a":1}}'], [b'{"id":"1"}', b'{"id":"2"}']])
@pytest.mark.parametrize("name", ["inbox", '"event":{', ',"event":{', '\\",\\"event\\":{', "data"])
def test_a_sync_moves_to_another_position_with_the_same_items_whatever_its_names_are(
    name: str, items: list[bytes]
):
    envelope = Envelope(name, name)
    frame = text_frame(envelope.group_sync(items, timestamp=BASE, at="ab.1"))

    assert envelope.moved(frame, timestamp=BASE + 1, at="ab.17") == envelope.group_sync(
        items, timestamp=BASE + 1, at="ab.17"
    )


def test_a_sync_of_an_empty_group_is_an_empty_array():
    frame = Envelope("todo", "inbox").group_sync([], timestamp=BASE, at="ab.1")

    assert frame.endswith(b'"event":{"type":"sync","data":[]}}')


def test_an_item_sync_has_the_item_and_its_revision():
    frame = Envelope("todo", "inbox").item_sync(
        "42", b'{"id":"42"}', timestamp=timestamp(BASE, 3), at="ab.3", revision=2
    )

    assert frame == (
        b'{"type":"stream","timestamp":1800000000000.1875,"streamName":"todo","groupId":"inbox","id":"42",'
        b'"rev":2,"at":"ab.3","event":{"type":"sync","data":{"id":"42"}}}'
    )


def test_an_item_sync_of_nothing_is_null():
    frame = Envelope("todo", "inbox").item_sync("42", None, timestamp=BASE, at="ab.3", revision=None)

    assert frame == (
        b'{"type":"stream","timestamp":1800000000000,"streamName":"todo","groupId":"inbox","id":"42",'
        b'"at":"ab.3","event":{"type":"sync","data":null}}'
    )


@pytest.mark.parametrize(("item_id", "written"), [(None, b"null"), ("42", b'"42"')])
def test_an_event_is_about_the_group_or_one_item_and_has_no_timestamp(item_id, written):
    frame = Envelope("todo", "inbox").event(item_id, b'{"type":"typing","data":{"by":"Ann"}}')

    assert frame == (
        b'{"type":"stream","streamName":"todo","groupId":"inbox","id":%s,'
        b'"event":{"type":"event","event":{"type":"typing","data":{"by":"Ann"}}}}' % written
    )


def test_a_refusal_comes_in_both_forms_that_clients_know():
    said, unauthorized = Envelope("todo", "inbox").refused("42", "STREAM_NOT_FOUND", 'no stream "tood"')

    assert said == (
        b'{"type":"stream","streamName":"todo","groupId":"inbox","id":"42",'
        b'"event":{"type":"event","event":{"type":"error",'
        b'"data":{"code":"STREAM_NOT_FOUND","message":"no stream \\"tood\\""}}}}'
    )
    assert unauthorized == (
        b'{"type":"stream","timestamp":1,"streamName":"todo","groupId":"inbox","id":"42",'
        b'"event":{"type":"unauthorized","code":"STREAM_NOT_FOUND","message":"no stream \\"tood\\""}}'
    )


def test_a_refusal_of_a_group_has_no_id():
    frames = Envelope("todo", "inbox").refused(None, "INVALID_NAME", "no")

    assert [json.loads(frame)["id"] for frame in frames] == [None, None]


def test_a_refusal_is_older_than_anything_that_the_room_could_get_later():
    _, unauthorized = Envelope("todo", "inbox").refused(None, "INVALID_NAME", "no")

    assert 0 < json.loads(unauthorized)["timestamp"] < timestamp(BASE, 0)


@given(texts, texts, texts, texts)
@example('a"b', "\\", "\n\u2028</script>", "日本🙂")
def test_names_of_any_kind_survive_in_every_frame(stream, group, item_id, sentence):
    envelope = Envelope(stream, group)
    item = json.dumps({"id": item_id}).encode()

    frames = [
        envelope.changed("create", item_id, item, timestamp=BASE, revision=1, time_ms=1),
        envelope.item_sync(item_id, item, timestamp=BASE, at="ab.1", revision=1),
        envelope.event(item_id, item),
        *envelope.refused(item_id, "INVALID_NAME", sentence),
    ]

    for frame in map(json.loads, frames):
        assert (frame["streamName"], frame["groupId"], frame["id"]) == (stream, group, item_id)
    assert json.loads(frames[-1])["event"]["message"] == sentence


def test_a_bad_message_is_answered_without_a_room_so_that_old_clients_ignore_it():
    assert (
        error("BAD_MESSAGE", 'say "join"')
        == b'{"type":"error","code":"BAD_MESSAGE","message":"say \\"join\\""}'
    )


def test_a_ping_is_answered_with_a_pong():
    assert PONG == b'{"type":"pong"}'
