"""What is read of a request to open a socket."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import NotLetIn
from streams.gateway.handshake import Opening
from streams.gateway.upgrade import Upgrade, chosen_subprotocol, offered_subprotocols, read_upgrade

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLW9mLWFubg"
OTHER = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJlLW9mLWJvYg"

BEARER = ("Authorization", f"Bearer {TOKEN}")
BESIDE = ("Sec-WebSocket-Protocol", f"Authorization, {TOKEN}")
ASKED = f"/ws?authToken={TOKEN}"


def upgrade(target: str = "/", *headers: tuple[str, str], address: str | None = None) -> Upgrade:
    return read_upgrade(Opening.of(target, headers, "proof"), address)


def refusal(target: str = "/", *headers: tuple[str, str]) -> NotLetIn:
    with pytest.raises(NotLetIn) as refused:
        upgrade(target, *headers)
    return refused.value


# Which token.


def test_without_a_token_it_is_nobody():
    assert upgrade("/ws?x=1").token is None


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (ASKED, []),
        ("/", [BEARER]),
        ("/", [BESIDE]),
        (ASKED, [BEARER, BESIDE]),
        ("/", [BEARER, BEARER]),
        ("/", [("authorization", f"bearer   {TOKEN} ")]),
        ("/", [("Authorization", "Basic eDp5"), BEARER]),
        (f"/?authToken={TOKEN}&authToken={TOKEN}", []),
        (f"/?%61uthToken={quote(TOKEN).replace('.', '%2e')}", []),
        ("/", [("Sec-WebSocket-Protocol", f"soap, AUTHORIZATION,{TOKEN}, wamp")]),
        ("/", [("Sec-WebSocket-Protocol", f"Authorization, streams.v2, {TOKEN}")]),
        ("/", [("Sec-WebSocket-Protocol", "Authorization"), ("Sec-WebSocket-Protocol", TOKEN)]),
    ],
)
def test_a_token_is_taken_wherever_it_comes_from(target: str, headers: list[tuple[str, str]]):
    assert upgrade(target, *headers).token == TOKEN


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (f"/?authToken={OTHER}", [BEARER]),
        (f"/?authToken={OTHER}", [BESIDE]),
        ("/?authToken=", [BEARER]),
        ("/", [BEARER, ("Authorization", f"Bearer {OTHER}")]),
        ("/", [BEARER, ("Sec-WebSocket-Protocol", f"Authorization, {OTHER}")]),
        (f"/?authToken={TOKEN}&authToken={OTHER}", []),
    ],
)
def test_two_tokens_are_refused(target: str, headers: list[tuple[str, str]]):
    refused = refusal(target, *headers)

    assert (refused.code, refused.reason) == ("TOKEN_REFUSED", "it came with two tokens")


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/?authToken=", []),
        ("/?authToken", []),
        ("/", [("Authorization", "Bearer")]),
        ("/", [("Authorization", "Bearer   ")]),
        ("/", [("Sec-WebSocket-Protocol", "Authorization")]),
        ("/", [("Sec-WebSocket-Protocol", "Authorization, streams.v2")]),
        ("/", [("Sec-WebSocket-Protocol", f"{TOKEN}, Authorization")]),
    ],
)
def test_a_token_that_is_announced_and_not_there_is_refused(target: str, headers: list[tuple[str, str]]):
    refused = refusal(target, *headers)

    assert (refused.code, refused.reason) == ("TOKEN_REFUSED", "it announced a token, and sent none")


def test_more_parameters_than_anybody_needs_are_refused():
    at_most = f"/?{'x&' * 99}authToken={TOKEN}"

    assert upgrade(at_most).token == TOKEN
    assert refusal(at_most + "&x").code == "TOKEN_REFUSED"


# What the application is told.


def test_the_application_is_told_how_a_caller_came():
    found = upgrade(
        "/a%20b/c?x=1&x=2&y=&z=a%20b",
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
        ("User-Agent", "curl"),
        address="10.0.0.1",
    ).request

    assert (found.kind, found.path, found.address) == ("websocket", "/a b/c", "10.0.0.1")
    assert found.query == {"x": "2", "y": "", "z": "a b"}
    assert found.headers == {"cookie": "a=1, b=2", "user-agent": "curl"}


def test_it_is_told_of_an_event_stream_as_of_any_request():
    assert read_upgrade(Opening.of("/streams/todo/inbox", [], ""), None).request.kind == "http"


def test_it_is_told_no_token_and_nothing_that_may_hold_one():
    found = upgrade(
        f"{ASKED}&x=1", BEARER, BESIDE, ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("X", "y")
    )

    assert found.token == TOKEN
    assert found.request.query == {"x": "1"}
    assert found.request.headers == {"x": "y"}


def test_a_page_is_told_by_its_origin():
    assert upgrade("/").origin is None
    assert upgrade("/", ("Origin", "https://a.example")).origin == "https://a.example"
    assert upgrade("/", ("Origin", "")).origin == ""


def test_two_origins_make_one_that_nobody_lists():
    found = upgrade("/", ("Origin", "https://a.example"), ("Origin", "https://b.example"))

    assert found.origin == "https://a.example, https://b.example"


# Which dialect.


@pytest.mark.parametrize(
    ("offered", "answered", "is_extended"),
    [
        ([], None, False),
        ([""], None, False),
        (["soap"], None, False),
        ([TOKEN], None, False),
        (["STREAMS.V2"], None, False),
        (["streams.v2"], "streams.v2", True),
        (["soap, streams.v2"], "streams.v2", True),
        ([f"Authorization, {TOKEN}"], "Authorization", False),
        ([f"aUTHORIZATION, {TOKEN}"], "aUTHORIZATION", False),
        ([f"soap, Authorization, {TOKEN}"], "Authorization", False),
        ([f"Authorization, {TOKEN}, streams.v2"], "streams.v2", True),
        (["streams.v2", f"Authorization, {TOKEN}"], "streams.v2", True),
    ],
)
def test_the_dialect_is_the_extended_one_where_it_is_offered_and_else_that_of_the_token(
    offered: list[str], answered: str | None, is_extended: bool
):
    headers = [("Sec-WebSocket-Protocol", line) for line in offered]

    assert chosen_subprotocol(offered_subprotocols(offered)) == answered
    assert upgrade("/", *headers).is_extended == is_extended


def test_offers_are_read_in_order_and_without_the_spaces_around_them():
    assert offered_subprotocols(["a, b ,c", "", "\td\t", "e,,"]) == ["a", "b", "c", "", "d", "e", "", ""]
    assert offered_subprotocols([]) == []


# Whatever comes.

# What websockets lets a header hold.
VALUES = st.text([chr(code) for code in (9, *range(32, 127), *range(128, 256))], max_size=40)
NAMES = st.sampled_from(
    ["Authorization", "AUTHORIZATION", "Sec-WebSocket-Protocol", "sec-websocket-protocol", "Origin", "Cookie"]
)
PIECES = st.sampled_from(
    ["Bearer", "bearer ", "Basic ", "Authorization", ",", " ", "\t", "streams.v2", TOKEN, OTHER, "", "\xa0"]
)
HEADERS = st.lists(st.tuples(NAMES, VALUES | st.lists(PIECES, max_size=6).map("".join)), max_size=6)
QUERIES = st.sampled_from(
    ["/", "?", "&", "=", "authToken", "%61uthToken", "authToken=", TOKEN, "%", "%zz", "%ff", "+", ";", "#"]
)
TARGETS = st.text(max_size=60) | st.lists(QUERIES, max_size=12).map("".join)


@given(TARGETS, HEADERS)
def test_whatever_comes_is_a_request_or_a_refusal(target: str, headers: list[tuple[str, str]]):
    with suppress(NotLetIn):
        found = upgrade(target, *headers)

        assert found.token != ""
        assert found.request.headers.keys() <= {"origin", "cookie"}
        assert "authToken" not in found.request.query


@given(
    target=st.sampled_from(["/", "/ws?", "/a?x=1", "/a?x=%ff;y&&"]),
    way=st.sampled_from(["bearer", "subprotocol", "query", "all"]),
    encoded=st.sets(st.sampled_from(sorted(set(TOKEN)))),
    others=st.lists(st.tuples(st.sampled_from(["Origin", "Cookie", "X", "x"]), VALUES), max_size=4),
    offers=st.lists(st.sampled_from(["soap", "streams.v2", "wamp"]), max_size=3),
)
def test_a_token_is_told_to_nobody_however_it_came(
    target: str, way: str, encoded: set[str], others: list[tuple[str, str]], offers: list[str]
):
    spelled = "".join(f"%{ord(letter):02X}" if letter in encoded else letter for letter in TOKEN)
    if way in ("query", "all"):
        target += ("&" if "?" in target else "?") + f"authToken={spelled}"
    headers = [*others, ("Sec-WebSocket-Protocol", ", ".join(offers))]
    if way in ("bearer", "all"):
        headers.append(("aUthorization", f"bEarer {TOKEN}"))
    if way in ("subprotocol", "all"):
        headers.insert(0, BESIDE)

    found = upgrade(target, *headers)

    assert found.token == TOKEN
    assert TOKEN not in repr(found.request)
    assert spelled not in repr(found.request)


@given(TARGETS, HEADERS)
def test_no_refusal_says_anything_of_a_token(target: str, headers: list[tuple[str, str]]):
    refused = refusal(
        f"{target}?authToken={TOKEN}&authToken={OTHER}&",
        *headers,
        BEARER,
        ("Authorization", f"Bearer {OTHER}"),
    )

    assert refused.code == "TOKEN_REFUSED"
    assert not {*TOKEN.split("."), *OTHER.split(".")} & set(f"{refused} {refused.reason}".split("."))


@given(st.lists(VALUES | st.lists(PIECES, max_size=6).map("".join), max_size=4))
def test_nothing_is_answered_but_what_was_offered_and_never_a_token(lines: list[str]):
    offered = offered_subprotocols(lines)

    answered = chosen_subprotocol(offered)

    assert answered is None or answered in offered
    assert answered is None or answered == "streams.v2" or answered.lower() == "authorization"
