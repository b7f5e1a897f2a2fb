"""Names become subjects and come back, one to one."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.errors import InvalidName
from streams.keys import (
    MAX_NAME_BYTES,
    Address,
    Namespace,
    address_of,
    checked_name,
    checked_stream_name,
    decode,
    encode,
    event_item_of,
    item_of,
)
from tests.core.names import ODD_NAMES, names

CONTROL_LINE = 4096
"""What nats-server takes as one protocol line, by default: verb, subject, reply and sizes together."""

INBOX = "_INBOX." + "x" * 22 + "." + "9" * 22
"""As long as nats-py makes them."""

tokens = st.text("=0123456789abcdefABCDEFgz_-.é", max_size=12)


def longest_namespace() -> Namespace:
    return Namespace("n" * 32)


def longest_address() -> Address:
    return address_of("s" * 64, "." * MAX_NAME_BYTES, ">" * MAX_NAME_BYTES)


@given(names)
def test_any_name_survives_the_trip_through_a_token(name):
    assert decode(encode(name)) == name


@given(names, names)
@example("é", "e\N{COMBINING ACUTE ACCENT}")
@example("=2E", ".")
@example("A", "=41")
def test_two_names_never_share_a_token(one, other):
    assert (encode(one) == encode(other)) == (one == other)


@given(names)
def test_a_token_has_nothing_in_it_that_means_something_to_nats(name):
    token = encode(name)

    assert re.fullmatch(r"[A-Za-z0-9_=-]+", token)
    assert token != "="


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_names_like_any_other(name):
    token = encode(checked_name("group", name))

    assert re.fullmatch(r"[A-Za-z0-9_=-]+", token)
    assert token != "="
    assert decode(token) == name


def test_odd_names_have_tokens_of_their_own():
    assert len({encode(name) for name in ODD_NAMES}) == len(ODD_NAMES)


def test_a_token_is_as_readable_as_its_name():
    assert encode("Todo_list-1") == "Todo_list-1"
    assert encode("a.b") == "a=2Eb"
    assert encode("é") == "=C3=A9"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "=",
        "=4",
        "a=",
        "=41",
        "a=zz",
        "=2e",
        "=FF",
        "=C3",
        "=ED=A0=80",
        "=C0=AE",
        "=00",
        "= 2E",
        "=+2E",
        "=2 E",
        ".",
        "a.b",
        "*",
        ">",
        "é",
        "日本",
        "a b",
        "a" * (MAX_NAME_BYTES + 1),
        "=2E" * (MAX_NAME_BYTES + 1),
    ],
)
def test_a_token_that_no_name_becomes_is_refused(token):
    assert decode(token) is None


@given(tokens)
def test_what_is_read_from_a_token_is_written_as_that_token(token):
    name = decode(token)

    assert name is None or encode(checked_name("item id", name)) == token


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "group '' is empty; give it at least one character"),
        ("a\0b", r"group 'a\x00b' contains a NUL character; leave it out"),
        ("\ud83d", r"group '\ud83d' contains half of a surrogate pair, which is not a character"),
        ("a\ude42b", r"group 'a\ude42b' contains half of a surrogate pair, which is not a character"),
        ("a" * 257, f"group '{'a' * 75}...' is 257 bytes long; 256 is the limit"),
        ("日" * 86, f"group '{'日' * 75}...' is 258 bytes long; 256 is the limit"),
        (None, "group None is a NoneType; a name is a string"),
        (7, "group 7 is a int; a name is a string"),
        (b"inbox", "group b'inbox' is a bytes; a name is a string"),
    ],
)
def test_a_name_that_is_refused_hears_what_is_wrong(name, sentence):
    with pytest.raises(InvalidName) as refused:
        checked_name("group", name)

    assert str(refused.value) == sentence
    assert (refused.value.kind, refused.value.name) == ("group", name)


def test_an_address_says_which_of_its_names_is_wrong():
    with pytest.raises(InvalidName, match=r"^group '' is empty"):
        address_of("todo", "", "1")
    with pytest.raises(InvalidName, match=r"^item id '' is empty"):
        address_of("todo", "inbox", "")


def test_an_address_is_printed_as_a_path():
    assert str(address_of("todo", "inbox", "42")) == "todo/inbox/42"


@pytest.mark.parametrize("name", ["t", "todo", "Todo", "chat-messages", "chat_messages", "a1", "a" * 64])
def test_stream_names_are_plain_words(name):
    assert checked_stream_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "1a", "_a", "-a", "a.b", "a b", "a*", "é", "a" * 65, "a\n", "todo/inbox", None, 7]
)
def test_other_stream_names_are_refused(name):
    with pytest.raises(InvalidName, match="must start with a letter and hold at most 64"):
        checked_stream_name(name)


@pytest.mark.parametrize("name", ["presence", "revoked"])
def test_names_of_streams_to_come_are_reserved(name):
    with pytest.raises(InvalidName, match="is reserved; choose another"):
        checked_stream_name(name)


@pytest.mark.parametrize("name", ["streams", "t0", "my-stage", "n" * 32])
def test_a_namespace_is_a_plain_word(name):
    assert Namespace(name).bucket("todo") == f"{name}_todo"


@pytest.mark.parametrize("name", ["", "1a", "a_b", "a.b", "a b", "*", "é", "n" * 33, "a\n"])
def test_other_namespaces_are_refused(name):
    with pytest.raises(InvalidName, match="must start with a letter and hold at most 32"):
        Namespace(name)


def test_no_two_pairs_of_namespace_and_stream_share_a_bucket():
    # An underscore may be in a stream's name, and so must not be in a namespace.
    assert Namespace("a").bucket("b_c") == "a_b_c"
    with pytest.raises(InvalidName):
        Namespace("a_b")


def test_an_item_lives_at_one_subject_of_its_bucket():
    namespace = Namespace("stage")

    assert namespace.item(Address("todo", "a.b", "*")) == "$KV.stage_todo.a=2Eb.=2A"
    assert namespace.group_items("todo", "a.b") == "$KV.stage_todo.a=2Eb.*"
    assert namespace.live_group("todo", "a.b") == "stage.live.todo.a=2Eb.>"


@given(names)
def test_the_id_is_read_from_a_bucket_subject(name):
    assert item_of(Namespace().item(Address("todo", "inbox", name))) == name


@pytest.mark.parametrize(
    "subject",
    [
        "$KV.streams_todo._meta",
        "$KV.streams_todo.inbox",
        "$KV.streams_todo.inbox.=zz",
        "$KV.streams_todo.inbox.a.b",
        "$KV.streams_todo.inbox.",
    ],
)
def test_a_key_that_this_library_does_not_write_has_no_id(subject):
    assert item_of(subject) is None


@given(names, names)
@example("_event", "_event")
@example("_meta", "_meta")
def test_no_item_has_the_subject_of_the_buckets_own_record(group, item_id):
    assert Namespace().item(Address("todo", group, item_id)) != Namespace().meta("todo")


@given(names)
@example("_event")
@example("=")
def test_the_item_that_an_event_is_about_is_read_from_its_subject(name):
    subject = Namespace().event("todo", "inbox", name)

    assert event_item_of(subject) == (True, name)


def test_an_event_about_the_whole_group_is_told_from_one_about_an_item():
    assert event_item_of(Namespace().event("todo", "inbox", None)) == (True, None)
    assert event_item_of(Namespace().event("todo", "inbox", "=")) == (True, "=")


@pytest.mark.parametrize("subject", ["s.live.todo.inbox._event", "s.live.todo._event._event"])
def test_a_change_of_an_item_called_event_is_no_event(subject):
    assert event_item_of(subject) == (False, None)


@pytest.mark.parametrize(
    "subject", ["s.live.todo.inbox.=zz._event", "s.live.todo.inbox.1.other", "s.live.todo.inbox.1.2._event"]
)
def test_an_event_about_an_impossible_item_is_no_event_of_the_group(subject):
    assert event_item_of(subject) == (False, None)


def test_the_longest_names_fit_into_what_the_server_takes_as_one_line():
    namespace, address = longest_namespace(), longest_address()
    direct_get = f"$JS.API.DIRECT.GET.{namespace.bucket_stream(address.stream)}.{namespace.item(address)}"
    event = namespace.event(address.stream, address.group, address.id)

    for subject in (direct_get, event, namespace.live_group(address.stream, address.group)):
        assert len(f"HPUB {subject} {INBOX} 99999999 99999999\r\n") < CONTROL_LINE


@pytest.mark.parametrize("name", ["", "to do", "todo.>", "*", "todo\r\nPUB evil 0\r\n", "1st", "x" * 65])
def test_no_name_that_a_stream_cannot_have_becomes_part_of_a_command_to_nats(name: str):
    with pytest.raises(InvalidName):
        Namespace().bucket_stream(name)
