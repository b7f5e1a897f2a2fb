"""Requests that are taken without a parser: those that every parser takes for the same."""

from __future__ import annotations

import re

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.http11 import Request
from websockets.protocol import State

from streams.gateway.handshake import MOST_BYTES, MOST_HEADERS, Opening, plain_opening
from streams.gateway.incoming import parser
from tests.gateway.handshake_rows import ANN, KEY, request
from tests.gateway.handshakes import HANDSHAKES

CHROMIUM = (
    b"GET /?x=1 HTTP/1.1\r\nHost: gateway.example\r\nConnection: Upgrade\r\nPragma: no-cache\r\n"
    b"Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n"
    b"Upgrade: websocket\r\nOrigin: https://app.example.com\r\nSec-WebSocket-Version: 13\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: de-DE,de;q=0.9\r\nCookie: a=1; b=2\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    b"Sec-WebSocket-Protocol: streams.v2, Authorization, a.b-c.d_e\r\n\r\n"
)
FIREFOX = CHROMIUM.replace(b"Connection: Upgrade", b"Connection: keep-alive, Upgrade")
PROXIED = CHROMIUM.lower().replace(b"get /?x=1 http", b"GET /?x=1 HTTP").replace(
    b"dghlihnhbxbszsbub25jzq==", b"dGhlIHNhbXBsZSBub25jZQ=="
)  # fmt: skip


class Heard:
    """What httptools makes of a request."""

    def __init__(self, read: bytes) -> None:
        self.url, self.headers, self.is_upgrade = b"", list[tuple[bytes, bytes]](), False
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(read)
        except httptools.HttpParserUpgrade as upgrade:
            # Everything was read.
            self.is_upgrade = upgrade.args[0] == len(read)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


def as_the_libraries_have_it(read: bytes) -> Opening | None:
    """The same request, read by httptools, and judged by websockets."""
    heard = Heard(read)
    assert heard.is_upgrade
    wire = parser(State.CONNECTING)
    wire.receive_data(read)
    (asked,) = wire.events_received()
    assert isinstance(asked, Request)
    assert (asked.path.encode(), list(asked.headers.raw_items())) == (
        heard.url,
        [(name.decode(), value.decode("latin-1")) for name, value in heard.headers],
    )
    response = wire.accept(asked)
    if response.status_code != 101:
        return None
    return Opening.of(asked.path, asked.headers.raw_items(), response.headers["Sec-WebSocket-Accept"])


@pytest.mark.parametrize(
    "read",
    [CHROMIUM, FIREFOX, PROXIED, request(), request(f"Authorization: Bearer {ANN}", target="/ws?a=%20b")],
)
def test_what_browsers_and_programs_send_is_plain(read: bytes):
    opening = plain_opening(read)

    assert opening is not None
    assert opening == as_the_libraries_have_it(read)


@pytest.mark.parametrize(
    "read",
    [row.request for row in HANDSHAKES if row.status != 101 and row.code is None],
    ids=[row.name for row in HANDSHAKES if row.status != 101 and row.code is None],
)
def test_what_is_no_request_to_open_a_socket_is_not_plain(read: bytes):
    assert plain_opening(read) is None


@pytest.mark.parametrize(
    "read",
    [
        CHROMIUM[:-1],
        CHROMIUM[:-2],
        CHROMIUM + b"\x00",
        CHROMIUM + CHROMIUM,
        CHROMIUM.replace(b"\r\n", b"\n"),
        CHROMIUM.replace(b"Pragma: no-cache", b"Pragma: no-cache "),
        CHROMIUM.replace(b"Pragma:", b"Pragma :"),
        CHROMIUM.replace(b"Pragma:", b" Pragma:"),
        CHROMIUM.replace(b"Pragma: no-cache", b"Pragma:\r\n no-cache"),
        CHROMIUM.replace(b"Pragma: no-cache", b"Content-Length: 0"),
        CHROMIUM.replace(b"Pragma: no-cache", b"Transfer-Encoding: identity"),
        CHROMIUM.replace(b"Pragma", b"Origin"),
        CHROMIUM.replace(b"Pragma", b"cookie"),
        CHROMIUM.replace(b"GET /?x=1", b"GET http://gateway.example/"),
        CHROMIUM.replace(b"GET /?x=1", b"GET /#x"),
        CHROMIUM.replace(b"b=2", b"b=" + b"2" * MOST_BYTES),
        request(*(f"X-{number}: y" for number in range(MOST_HEADERS))),
    ],
)
def test_what_might_be_read_in_two_ways_or_is_large_is_not_plain(read: bytes):
    assert plain_opening(read) is None


def test_what_takes_long_to_look_at_is_not_looked_at_for_long():
    """Were anything tried in several ways, this would not end."""
    lines = b"X: " + b" " * 200 + b"\t" * 200 + b"\r\n"

    assert plain_opening(b"GET / HTTP/1.1\r\n" + lines * 18 + b"\r\n") is None
    assert plain_opening(b"GET / HTTP/1.1\r\n" + b"a" * 7_900) is None
    assert plain_opening(b"GET /" + b"a" * 7_900) is None


ANYTHING = [chr(code) for code in range(256)]
PRINTED = [chr(code) for code in (9, *range(32, 127), *range(128, 256))]
KNOWN = [
    "Host",
    "Upgrade",
    "upgrade",
    "Connection",
    "Origin",
    "Authorization",
    "Cookie",
    "Expect",
    "X",
    "X_Y",
]
KNOWN += ["Sec-WebSocket-Version", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "sec-websocket-PROTOCOL"]
KNOWN += ["Content-Length", "Transfer-Encoding"]
WORTH_A_TRY = ["x", "websocket", "WebSocket", "Upgrade", "keep-alive,Upgrade", "13", "8", "0", "a,b", "a,,b"]
WORTH_A_TRY += ["c2hvcnQ=", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZR=="]
NAMES = st.sampled_from([*KNOWN, "", "X Y"])
VALUES = st.text(ANYTHING, max_size=8) | st.sampled_from(
    [*WORTH_A_TRY, "a, b", "a b", "\t", " x", "x ", "\x7f"]
)
WILD_LINES = st.tuples(NAMES, st.sampled_from([":", ": ", ":\t ", " :", ""]), VALUES).map("".join)
USUAL_LINES = st.tuples(
    st.sampled_from(["Origin", "Authorization", "Cookie", "X", "x", "Expect", "Sec-WebSocket-Protocol"]),
    st.sampled_from([":", ": ", ":\t "]),
    st.text(PRINTED, max_size=8) | st.sampled_from(["", "a", "a, b", "a ,b", "a,,b", "Bearer x"]),
).map("".join)
WILD_TARGETS = st.text(ANYTHING, max_size=4).map("/".__add__) | st.sampled_from(
    ["*", "", "/%zz", "/a b", "/\\"]
)
USUAL_TARGETS = st.text("/-_.~%?&=+:@!$'()*,;aB0", max_size=6).map("/".__add__)


def made(lines: list[str], target: str, version: str, without: str | None, end: str) -> bytes:
    return request(*lines, target=target, version=version, without=without).replace(b"\r\n", end.encode())


USUAL = st.builds(
    made,
    st.lists(USUAL_LINES, max_size=4),
    USUAL_TARGETS,
    st.just("HTTP/1.1"),
    st.none(),
    st.just("\r\n"),
)
WILD = st.builds(
    made,
    st.lists(WILD_LINES | USUAL_LINES, max_size=4),
    WILD_TARGETS | USUAL_TARGETS,
    st.sampled_from(["HTTP/1.1", "HTTP/1.0", "http/1.1", "HTTP/2"]),
    st.none()
    | st.sampled_from(["Host", "Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key"]),
    st.sampled_from(["\r\n", "\n", "\r"]),
)


@given(USUAL | WILD)
@example(request(KEY, without="Sec-WebSocket-Key"))
def test_whatever_is_plain_is_for_the_libraries_what_it_is_for_us(read: bytes):
    opening = plain_opening(read)

    if opening is not None:
        assert opening == as_the_libraries_have_it(read)


def test_the_answer_names_what_was_chosen_and_proves_what_was_asked():
    opening = plain_opening(CHROMIUM)
    assert opening is not None

    answer = opening.answer("streams.v2").decode()

    assert answer.startswith("HTTP/1.1 101 Switching Protocols\r\n")
    assert answer.endswith("\r\n\r\n")
    # The example of RFC 6455, section 1.3.
    assert re.findall("Sec-WebSocket-Accept: (.*)\r\n", answer) == ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]
    assert re.findall("Sec-WebSocket-Protocol: (.*)\r\n", answer) == ["streams.v2"]
    assert "Sec-WebSocket-Protocol" not in opening.answer(None).decode()
