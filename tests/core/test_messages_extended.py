"""What clients of the extended dialect may say, and that nothing else comes of it than a message or a no."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.envelope import ack, authenticated, error, hello
from streams.messages import (
    MAX_REF_LENGTH,
    Auth,
    BadMessage,
    Command,
    Ids,
    Join,
    Leave,
    Page,
    Ping,
    Pong,
    Room,
    Send,
    parse,
)

TYPES = ["join", "leave", "ids", "page", "ping", "pong", "auth", "send"]
TYPING = {"type": "typing", "data": None}


def a_send(ref: object = None, **changed: object) -> str:
    fields = {"streamName": "todo", "groupId": "inbox", "event": TYPING}
    return json.dumps({"type": "send", "ref": ref, "data": fields | changed})


def read(message: str | bytes) -> Any:
    return parse(message, is_extended=True)


def sentence(message: str | bytes) -> tuple[str, object]:
    """What is told of something that is no message, and the `ref` with it."""
    with pytest.raises(BadMessage) as refused:
        read(message)
    return str(refused.value), refused.value.ref


@pytest.mark.parametrize(
    ("message", "command"),
    [
        (
            '{"type":"join","data":{"streamName":"todo","groupId":"inbox","subscriptionId":"s"}}',
            Join("s", Room("todo", "inbox")),
        ),
        ('{"type":"leave","data":{"subscriptionId":"s"}}', Leave("s")),
        ('{"type":"ping"}', Ping()),
    ],
)
def test_everything_of_the_plain_dialect_is_the_same_in_the_extended_one(message: str, command: object):
    assert read(message) == parse(message) == command


@pytest.mark.parametrize("message", ['{"type":"pong"}', '{"type":"auth","token":"t"}', a_send(1)])
def test_the_plain_dialect_knows_none_of_it(message: str):
    with pytest.raises(BadMessage, match=r"expected join, leave or ping$") as refused:
        parse(message)

    assert refused.value.ref is None


def test_an_unknown_type_hears_of_all_that_are_known():
    said, ref = sentence('{"type":"jion","ref":1}')

    assert said == "unknown message type 'jion'; expected join, leave, ids, page, ping, pong, auth or send"
    assert ref is None


def a_join(**fields: object) -> str:
    names = {"streamName": "todo", "groupId": "inbox", "subscriptionId": "s"}
    return json.dumps({"type": "join", "data": names | fields})


@pytest.mark.parametrize(
    ("fields", "since", "last"),
    [
        ({}, None, None),
        ({"since": None, "last": None}, None, None),
        ({"since": "ab.7"}, "ab.7", None),
        ({"since": "whatever this is"}, "whatever this is", None),
        ({"last": 1}, None, 1),
        ({"last": 1000}, None, 1000),
        ({"since": "ab.7", "last": 50}, "ab.7", 50),
    ],
)
def test_a_join_may_say_what_the_client_has_and_how_much_it_wants(
    fields: dict[str, object], since: str | None, last: int | None
):
    assert read(a_join(**fields)) == Join("s", Room("todo", "inbox"), since, last)


@pytest.mark.parametrize("fields", [{"since": 7}, {"last": 0}, {"last": 1001}, {"last": "5"}, {"last": True}])
def test_a_join_with_something_else_is_no_message(fields: dict[str, object]):
    said, _ = sentence(a_join(**fields))

    assert f"`data.{next(iter(fields))}`" in said


def test_one_item_has_no_newest_items():
    assert "data.last" in sentence(a_join(id="a", last=5))[0]


def test_the_plain_dialect_ignores_what_the_client_has():
    assert parse(a_join(since="ab.7", last=0)) == Join("s", Room("todo", "inbox"))


def test_a_client_may_ask_which_items_there_are_and_for_older_ones():
    page = {"subscriptionId": "s", "before": "a", "last": 50}

    assert read('{"type":"ids","data":{"subscriptionId":"s"}}') == Ids("s")
    assert read(json.dumps({"type": "page", "data": page})) == Page("s", "a", 50)


@pytest.mark.parametrize("missing", ["subscriptionId", "before", "last"])
def test_a_page_needs_all_of_its_fields(missing: str):
    page = {"subscriptionId": "s", "before": "a", "last": 50}
    del page[missing]

    assert f"`data.{missing}`" in sentence(json.dumps({"type": "page", "data": page}))[0]


@pytest.mark.parametrize("message", ['{"type":"pong"}', '{"type":"pong","data":7}'])
def test_a_pong_needs_no_fields(message: str):
    assert read(message) == Pong()


@pytest.mark.parametrize("token", ["", "a.b.c", "no token", "日本"])
def test_an_auth_brings_a_token_whatever_that_is(token: str):
    assert read(json.dumps({"type": "auth", "token": token, "data": {}})) == Auth(token)


@pytest.mark.parametrize(
    "more", [{}, *({"token": token} for token in (None, 7, True, ["t"], {"token": "t"}))]
)
def test_an_auth_without_a_token_is_no_message(more: dict[str, object]):
    assert sentence(json.dumps({"type": "auth", **more})) == ("`token` is missing or not a string", None)


@pytest.mark.parametrize("shown", [repr, str, "{!r}".format, "{}".format, lambda auth: repr([auth])])
def test_a_token_is_not_shown(shown: Any):
    assert "secret" not in shown(Auth("secret"))


def test_a_bad_auth_does_not_repeat_what_it_brought():
    said, _ = sentence('{"type":"auth","token":["secret"]}')

    assert "secret" not in said


@pytest.mark.parametrize(
    ("fields", "room"),
    [
        ({}, Room("todo", "inbox")),
        ({"id": None}, Room("todo", "inbox")),
        ({"id": ""}, Room("todo", "inbox")),
        ({"id": "42"}, Room("todo", "inbox", "42")),
        ({"groupId": "日本/*>"}, Room("todo", "日本/*>")),
        ({"subscriptionId": 7, "more": 8}, Room("todo", "inbox")),
    ],
)
def test_a_send_names_a_room_as_a_join_does(fields: dict[str, object], room: Room):
    assert read(a_send(**fields)) == Send(room, TYPING, None)


@pytest.mark.parametrize("event", [{}, {"type": 7}, {"type": "t", "data": [1, {"a": None}], "from": "x"}])
def test_a_send_brings_an_event_as_it_is(event: dict[str, object]):
    assert read(a_send(event=event)).event == event


@pytest.mark.parametrize(
    "ref", [None, 0, 1, -1, 2**63 - 1, -(2**63), 2**64 - 1, "", "r", "1", "日" * MAX_REF_LENGTH]
)
def test_a_send_may_want_an_answer(ref: str | int | None):
    found = read(a_send(ref)).ref

    assert (type(found), found) == (type(ref), ref)


@pytest.mark.parametrize(
    "ref", [True, False, 1.0, 1.5, [], {}, ["r"], 2**64, -(2**63) - 1, 10**40, "x" * (MAX_REF_LENGTH + 1)]
)
def test_what_is_no_ref_makes_no_message(ref: object):
    said, found = sentence(a_send(ref))

    assert said == "`ref` is a number or at most 100 characters"
    assert found is None


@pytest.mark.parametrize("ref", [None, 7, "r"])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"event": None}, '`data.event` is {"type": ..., "data": ...}'),
        ({"event": "typing"}, '`data.event` is {"type": ..., "data": ...}'),
        ({"event": [TYPING]}, '`data.event` is {"type": ..., "data": ...}'),
        ({"streamName": None}, "`data.streamName` is missing or not a string"),
        ({"groupId": 7}, "`data.groupId` is missing or not a string"),
        ({"id": 7}, "`data.id` is missing or not a string"),
        ({"groupId": ""}, "group '' is empty; give it at least one character"),
        ({"id": "a\0"}, "item id 'a\\x00' contains a NUL character; leave it out"),
    ],
)
def test_a_send_hears_what_is_wrong_with_it_and_which_one_it_was(
    fields: dict[str, object], said: str, ref: object
):
    assert sentence(a_send(ref, **fields)) == (said, ref)


@pytest.mark.parametrize("data", [None, [], "d", 7])
def test_a_send_without_fields_hears_which_one_it_was(data: object):
    said, ref = sentence(json.dumps({"type": "send", "ref": "r", "data": data}))

    assert (said, ref) == ("a send message has its fields in `data`, an object", "r")


# Any JSON.

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
names = ("streamName", "groupId", "id", "subscriptionId", "event")
fields = st.fixed_dictionaries({}, optional=dict.fromkeys(names, values))
messages = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | values},
    optional={"data": fields | values, "ref": values, "token": values},
)


def outcome(message: str | bytes, *, is_extended: bool) -> Command | BadMessage:
    try:
        return parse(message, is_extended=is_extended)
    except BadMessage as refused:
        return refused


@given(messages | values, st.booleans())
@example({"type": "send", "ref": 10**400, "data": {}}, True)
@example({"type": ["send"], "data": {}}, True)
def test_any_json_is_a_message_or_a_sentence_about_why_not(value: Any, is_extended: bool):
    match outcome(json.dumps(value), is_extended=is_extended):
        case BadMessage() as refused:
            assert 0 < len(str(refused)) < 400
            said = error("BAD_MESSAGE", str(refused), refused.ref)
            assert json.loads(said).get("ref") == refused.ref
        case Send() as send:
            assert is_extended
            if send.ref is not None:
                assert json.loads(ack(send.ref)) == {"type": "ack", "ref": value["ref"]}
        case command:
            assert isinstance(command, Join | Leave | Ping | ((Pong | Auth) if is_extended else Ping))


@given(st.binary(max_size=60) | st.text(max_size=60), st.booleans())
@example(b'{"type":"send","ref":"\\ud83d","data":{}}', True)
@example('{"type":"auth","token":"\ud83d"}', True)
def test_any_bytes_and_any_text_are_too(value: bytes | str, is_extended: bool):
    # A short one may be a message: hypothesis finds the words in the code.
    found = outcome(value, is_extended=is_extended)

    assert isinstance(found, BadMessage | Join | Leave | Ping | Pong | Auth | Send)


@given(messages)
def test_what_the_plain_dialect_knows_the_extended_one_reads_the_same(value: dict[str, Any]):
    plain, extended = (outcome(json.dumps(value), is_extended=is_extended) for is_extended in (False, True))

    if value["type"] in ("join", "leave", "ping"):
        assert (type(plain), str(plain)) == (type(extended), str(extended))
    else:
        assert isinstance(plain, BadMessage)


# What it is told.


def test_a_hello_says_who_one_is_and_what_there_is():
    frame = hello("s1", ping_seconds=25.0, sub="ann", expires=1800003600.0, features=("auth", "send"))

    assert frame == (
        b'{"type":"hello","session":"s1","ping":25.0,"sub":"ann","expires":1800003600.0,'
        b'"features":["auth","send"]}'
    )


def test_nobody_is_greeted_with_nulls():
    frame = json.loads(hello("s1", ping_seconds=25.0, sub=None, expires=None, features=()))

    assert (frame["sub"], frame["expires"], frame["features"]) == (None, None, [])


def test_a_token_that_was_taken_is_answered():
    assert authenticated("ann", 1800007200.0) == b'{"type":"auth","sub":"ann","expires":1800007200.0}'


@pytest.mark.parametrize(("ref", "written"), [(1, b"1"), (0, b"0"), ("", b'""'), ('"', b'"\\""')])
def test_an_answer_carries_the_ref(ref: str | int, written: bytes):
    assert ack(ref) == b'{"type":"ack","ref":%s}' % written
    assert error("SEND_DENIED", "no", ref) == (
        b'{"type":"error","code":"SEND_DENIED","message":"no","ref":%s}' % written
    )


def test_an_answer_to_what_had_no_ref_has_none():
    assert error("TOO_FAST", "wait") == b'{"type":"error","code":"TOO_FAST","message":"wait"}'
