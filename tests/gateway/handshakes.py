"""Handshakes as they come, and as nobody should send them, each with its documented answer.

`HANDSHAKES` is the table; what a row says is in docs/protocol.md, "Connecting"
and "Who it is". Tokens are made when this is loaded, and good for an hour.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from tests.auth.hostile_tokens import HOSTILE, Hostile
from tests.auth.issued import claims, token

ORIGINS = ("https://app.example.com", "https://*.example.org")
"""What the gateway of the table is started with."""

REVOKED, KEYLESS = "eve", "not-there-yet"
"""A user whose tokens were revoked, and a `kid` of keys that were never fetched."""

ANN, BOB = token(), token(claims(sub="bob"))
EVE = token(claims(sub=REVOKED))

_KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
_USUAL = (
    "Host: gateway.example",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    _KEY,
)


@dataclass(frozen=True)
class Handshake:
    """A request, and how it is answered."""

    name: str
    request: bytes
    status: int | None
    """None: the line is cut without an answer."""
    code: str | None = None
    """In the body of a refusal that is ours."""
    reason: str | None = None
    """A part of what the log says of it. None: the log says nothing."""
    sub: str | None = None
    """Who it is, where it is let in. None: nobody."""
    subprotocol: str | None = None
    """Which one the answer names."""

    def __str__(self) -> str:
        return self.name


def request(
    *lines: str,
    target: str = "/",
    method: str = "GET",
    version: str = "HTTP/1.1",
    without: str | None = None,
    behind: bytes = b"",
) -> bytes:
    """A request to open a socket, with these lines beside the usual ones.

    One usual line is left out where `without` names it.
    """
    usual = [line for line in _USUAL if line.partition(":")[0] != without]
    return "\r\n".join((f"{method} {target} {version}", *usual, *lines, "", "")).encode("latin-1") + behind


def secrets(asked: bytes) -> set[str]:
    """What a request holds of tokens, good or not: no answer and no log may have any of it."""
    said = asked.decode("latin-1")
    return set(re.findall(r"[\w+-]{30,}", f"{said} {unquote(said)}", re.ASCII))


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


def offers(*names: str) -> str:
    return f"Sec-WebSocket-Protocol: {', '.join(names)}"


def _in(
    name: str, *lines: str, sub: str | None = "ann", answered: str | None = None, **how: str
) -> Handshake:
    return Handshake(name, request(*lines, **how), 101, sub=sub, subprotocol=answered)


def _nobody(name: str, *lines: str, answered: str | None = None, **how: str) -> Handshake:
    return _in(name, *lines, sub=None, answered=answered, **how)


def _refused(name: str, reason: str, *lines: str, **how: str) -> Handshake:
    return Handshake(name, request(*lines, **how), 401, "TOKEN_REFUSED", reason)


def _elsewhere(name: str, *lines: str, **how: str) -> Handshake:
    return Handshake(name, request(*lines, **how), 403, "ORIGIN_REFUSED", "origin '")


def _malformed(name: str, status: int | None, *lines: str, **how: str) -> Handshake:
    return Handshake(name, request(*lines, **how), status)


_TWO, _NONE, _FORM = "two tokens", "announced a token, and sent none", "three parts of base64url"
_ANY = ""

BEARER = [
    _in("a bearer token", bearer(ANN)),
    _in("bearer in lower case", f"authorization: bearer {ANN}"),
    _in("bearer in capitals", f"AUTHORIZATION: BEARER {ANN}"),
    _in("two spaces before the token", f"Authorization: Bearer  {ANN}"),
    _in("spaces around all of it", f"Authorization: \t Bearer {ANN} \t "),
    _in("the same bearer token twice", bearer(ANN), bearer(ANN)),
    _in("a bearer token, and a password for somebody else", "Authorization: Basic YW5uOng=", bearer(ANN)),
    _refused("two bearer tokens", _TWO, bearer(ANN), bearer(BOB)),
    _refused("two bearer tokens, the second empty", _TWO, bearer(ANN), "Authorization: Bearer"),
    _refused("two bearer tokens in one line", _FORM, f"Authorization: Bearer {ANN}, Bearer {BOB}"),
    _refused("the same bearer token twice in one line", _FORM, f"Authorization: Bearer {ANN}, Bearer {ANN}"),
    _refused("bearer without a token", _NONE, "Authorization: Bearer"),
    _refused("bearer and spaces", _NONE, "Authorization: Bearer   "),
    _refused("bearer twice", _FORM, f"Authorization: Bearer Bearer {ANN}"),
    _refused("a bearer token in quotes", _FORM, f'Authorization: Bearer "{ANN}"'),
    _refused("a bearer token with a parameter", _FORM, f"Authorization: Bearer token={ANN}"),
    _refused("a bearer token with a BOM", _FORM, f"Authorization: Bearer \xef\xbb\xbf{ANN}"),
    _refused("a no-break space behind a bearer token", _FORM, f"Authorization: Bearer {ANN}\xa0"),
    _refused("a bearer token that is null", _FORM, "Authorization: Bearer null"),
    # Who says Bearer meant to be somebody, however it goes on.
    _refused("a tab between bearer and the token", _ANY, f"Authorization: Bearer\t{ANN}"),
    _refused("a colon behind bearer", _ANY, f"Authorization: Bearer: {ANN}"),
    _refused("a comma behind bearer", _ANY, f"Authorization: Bearer,{ANN}"),
    _nobody("a password", "Authorization: Basic YW5uOng="),
    _nobody("a token of another scheme", f"Authorization: JWT {ANN}"),
    _nobody("a token without a scheme", f"Authorization: {ANN}"),
    _nobody("an empty authorization", "Authorization:"),
    _nobody("a token for the proxy", f"Proxy-Authorization: Bearer {ANN}"),
    _nobody("a cookie alone", f"Cookie: authToken={ANN}; token={ANN}; Authorization={ANN}"),
    _nobody("a token in a header of its own", f"X-Auth-Token: {ANN}", f"Token: {ANN}"),
]

SUBPROTOCOL = [
    _in("as browsers send it", offers("Authorization", ANN), answered="Authorization"),
    _in("authorization in lower case", offers("authorization", ANN), answered="authorization"),
    _in("authorization in capitals", offers("AUTHORIZATION", ANN), answered="AUTHORIZATION"),
    _in(
        "no space behind the comma", f"sec-websocket-protocol: Authorization,{ANN}", answered="Authorization"
    ),
    _in(
        "tabs around the comma",
        f"Sec-WebSocket-Protocol: Authorization \t,\t {ANN}\t",
        answered="Authorization",
    ),
    _in("commas at the end", f"{offers('Authorization', ANN)},,", answered="Authorization"),
    _in("a comma at the beginning", offers("", "Authorization", ANN), answered="Authorization"),
    _in("in two lines", offers("Authorization"), offers(ANN), answered="Authorization"),
    _in("an unknown one before", offers("soap", "Authorization", ANN), answered="Authorization"),
    _in("an unknown one behind", offers("Authorization", ANN, "soap"), answered="Authorization"),
    _in("v2 before", offers("streams.v2", "Authorization", ANN), answered="streams.v2"),
    _in("v2 in between", offers("Authorization", "streams.v2", ANN), answered="streams.v2"),
    _in("v2 behind", offers("Authorization", ANN, "streams.v2"), answered="streams.v2"),
    _in("v2 twice", offers("streams.v2", "Authorization", "streams.v2", ANN), answered="streams.v2"),
    _in("v2, and a bearer token", offers("streams.v2"), bearer(ANN), answered="streams.v2"),
    _in("unknown ones, and a bearer token", offers("soap", "wamp"), bearer(ANN)),
    _in(
        "the same token announced twice",
        offers("Authorization", ANN, "Authorization", ANN),
        answered="Authorization",
    ),
    _refused("two tokens announced", _TWO, offers("Authorization", ANN, "Authorization", BOB)),
    _refused(
        "two tokens announced in two lines",
        _TWO,
        offers("Authorization", ANN),
        offers("authorization", BOB),
    ),
    _refused("announced again, without one", _TWO, offers("Authorization", ANN, "Authorization")),
    _refused("announced twice, sent once", _ANY, offers("Authorization", "Authorization", ANN)),
    _refused("announced, and nothing else", _NONE, offers("Authorization")),
    _refused("announced, and a comma", _NONE, f"{offers('Authorization')},"),
    _refused("announced, and an empty one before it", _NONE, offers("Authorization", "", ANN)),
    _refused("announced, and only v2 behind", _NONE, offers("Authorization", "streams.v2")),
    _refused("the token before its announcement", _NONE, offers(ANN, "Authorization")),
    _refused("something else where the token should be", _FORM, offers("Authorization", "soap", ANN)),
    _nobody("v2 alone", offers("streams.v2"), answered="streams.v2"),
    _nobody("v2 among unknown ones", offers("soap", "streams.v2", "wamp"), answered="streams.v2"),
    _nobody("v2 in capitals", offers("STREAMS.V2")),
    _nobody("a dialect that is not there yet", offers("streams.v3")),
    _nobody("unknown ones alone", offers("soap", "wamp")),
    _nobody("a token that nothing announces", offers(ANN)),
    _malformed("an empty offer", 400, offers("")),
    _malformed("nothing but commas", 400, offers("", "", "")),
    _malformed("a token with a space in it", 400, offers("Authorization", f"{ANN[:60]} {ANN[60:]}")),
    _malformed("bearer and a token", 400, offers("Authorization", f"Bearer {ANN}")),
    _malformed("a token with padding", 400, offers("Authorization", f"{ANN}=")),
    _malformed("a token in quotes", 400, offers("Authorization", f'"{ANN}"')),
    _malformed("a semicolon for a comma", 400, f"Sec-WebSocket-Protocol: Authorization; {ANN}"),
    _malformed("letters that are none of ASCII", 400, offers("Authorization", "\xe9t\xe9")),
]

QUERY = [
    _in("in the address", target=f"/?authToken={ANN}"),
    _in("in an address with a path", target=f"/stream/todo/inbox?x=1&authToken={ANN}&y=2"),
    _in("in an address with a host", target=f"http://gateway.example/?authToken={ANN}"),
    _in("its dots encoded", target=f"/?authToken={ANN.replace('.', '%2E')}"),
    _in("all of it encoded", target="/?authToken=" + "".join(f"%{ord(letter):02x}" for letter in ANN)),
    _in("its name encoded", target=f"/?%61uth%54oken={ANN}"),
    _in("among nothing", target=f"/?&&authToken={ANN}&"),
    _in("the same twice in the address", target=f"/?authToken={ANN}&authToken={ANN}"),
    _in("among a hundred parameters", target=f"/?{'x=1&' * 99}authToken={ANN}"),
    _refused("among too many", "more than 100 parameters", target=f"/?{'x=1&' * 100}authToken={ANN}"),
    _refused("too many without any", "more than 100 parameters", target="/?" + "&".join("x" * 101)),
    _refused("two in the address", _TWO, target=f"/?authToken={ANN}&authToken={BOB}"),
    _refused("one in the address, and one that is empty", _TWO, target=f"/?authToken=&authToken={ANN}"),
    _refused("empty in the address", _NONE, target="/?authToken="),
    _refused("its name alone in the address", _NONE, target="/?authToken"),
    _refused("what JavaScript makes of nothing", _FORM, target="/?authToken=undefined"),
    _refused("a broken encoding in the token", _FORM, target=f"/?authToken={ANN[:60]}%ZZ{ANN[60:]}"),
    _refused("half an encoding at the end", _FORM, target=f"/?authToken={ANN}%"),
    _refused("an encoded NUL", _FORM, target=f"/?authToken={ANN}%00"),
    _refused("an encoded line break", _FORM, target=f"/?authToken={ANN}%0d%0aX-User:%20ann"),
    _refused("what is not UTF-8", _FORM, target=f"/?authToken=%ff%fe{ANN}"),
    _refused("encoded twice", _FORM, target=f"/?authToken={ANN.replace('.', '%252E')}"),
    _refused("a plus, which is a space", _FORM, target=f"/?authToken=+{ANN}"),
    _refused("a second question mark", _FORM, target=f"/?authToken={ANN}?x=1"),
    _nobody("its name in capitals", target=f"/?AUTHTOKEN={ANN}"),
    _nobody("other names", target=f"/?token={ANN}&access_token={ANN}&authtoken={ANN}&authToken[]={ANN}"),
    _nobody("behind a semicolon", target=f"/?x=1;authToken={ANN}"),
    _nobody("behind a second question mark", target=f"/?x=1?authToken={ANN}"),
    _nobody("in the fragment", target=f"/#authToken={ANN}"),
    _nobody("in the fragment behind a query", target=f"/?x=1#authToken={ANN}"),
    _nobody("in the path", target=f"/authToken={ANN}"),
    _nobody("broken encodings elsewhere", target="/%ZZ?x=%ZZ&%=%ff"),
    _nobody("steps out of the folder", target="/../../etc/passwd"),
    _nobody("a star for an address", target="*"),
]

_BOTH = offers("Authorization", ANN)

SEVERAL_WAYS = [
    _in(
        "the same in all three ways",
        _BOTH,
        bearer(ANN),
        target=f"/?authToken={ANN}",
        answered="Authorization",
    ),
    _in("the same in two ways", bearer(ANN), target=f"/?authToken={ANN}"),
    _refused("another in the header", _TWO, _BOTH, bearer(BOB)),
    _refused("another in the address", _TWO, _BOTH, target=f"/?authToken={BOB}"),
    _refused("another in the address than in the header", _TWO, bearer(ANN), target=f"/?authToken={BOB}"),
    _refused("a good one, and an empty one in the address", _TWO, bearer(ANN), target="/?authToken="),
    _refused("a good one, and one that is announced alone", _TWO, bearer(ANN), offers("Authorization")),
    _refused("a good one, and a bad one", _TWO, bearer(ANN), target="/?authToken=x"),
    _refused("empty in two ways", _NONE, "Authorization: Bearer", target="/?authToken="),
]

ORIGIN = [
    _nobody("a page that was named", "Origin: https://app.example.com"),
    _nobody("a page below a name", "Origin: https://a.b.example.org"),
    _nobody("a page of this machine", "Origin: http://localhost:5173"),
    _in("a page that was named, with a token", "origin: https://app.example.com", bearer(ANN)),
    _nobody("what browsers sent before the standard", "Sec-WebSocket-Origin: https://evil.example"),
    _nobody("a referer of elsewhere", "Referer: https://evil.example/"),
    _elsewhere("a page of elsewhere", "Origin: https://evil.example"),
    _elsewhere("a page of elsewhere with a good token", "Origin: https://evil.example", _BOTH),
    _elsewhere("a page of elsewhere with a bad token", "Origin: https://evil.example", bearer("x.y.z")),
    _elsewhere("a page of elsewhere with cookies", "Origin: https://evil.example", f"Cookie: token={ANN}"),
    _elsewhere("a page of nowhere", "Origin: null"),
    _elsewhere("an empty origin", "Origin:"),
    _elsewhere("a file", "Origin: file://"),
    _elsewhere("more behind the name", "Origin: https://app.example.com.evil.example"),
    _elsewhere("more before the name", "Origin: https://evil-app.example.com"),
    _elsewhere("the name below which there are others", "Origin: https://example.org"),
    _elsewhere("the name in capitals", "Origin: HTTPS://APP.EXAMPLE.COM"),
    _elsewhere("another port", "Origin: https://app.example.com:8443"),
    _elsewhere("no TLS", "Origin: http://app.example.com"),
    _elsewhere("a slash behind the origin", "Origin: https://app.example.com/"),
    _elsewhere("the name as a user", "Origin: https://app.example.com@evil.example"),
    _elsewhere("a dot behind the name", "Origin: https://app.example.com."),
    _elsewhere("two origins in one line", "Origin: https://app.example.com, https://evil.example"),
    _elsewhere("a space between two origins", "Origin: https://app.example.com https://evil.example"),
    _elsewhere("a very long origin", f"Origin: https://{'a.' * 2000}example.org"),
    _elsewhere("letters that are none of ASCII in the origin", "Origin: https://\xe9.example.org"),
    _malformed("two origins", 400, "Origin: https://app.example.com", "Origin: https://evil.example"),
    _malformed(
        "the same origin twice", 400, "Origin: https://app.example.com", "Origin: https://app.example.com"
    ),
]

FORM = [
    _nobody("nothing but what is needed"),
    _nobody("WebSocket with capitals", "Upgrade: WebSocket", without="Upgrade"),
    _nobody("upgrade beside keep-alive", "Connection: keep-alive, Upgrade", without="Connection"),
    _nobody("no host", without="Host"),
    _nobody("compression, which is not negotiated", 'Sec-WebSocket-Extensions: permessage-deflate; x="1'),
    _nobody("an empty body", "Content-Length: 0"),
    _nobody("empty lines before it", method="\r\n\r\nGET"),
    # Said to be 1.1 by uvicorn, which rewrites the line; nothing hangs on it.
    _nobody("HTTP/1.0", version="HTTP/1.0"),
    _in("the longest header", bearer(ANN), f"X: {'.' * 8187}"),
    _malformed("POST", 405, bearer(ANN), method="POST"),
    _malformed("HEAD", 405, method="HEAD"),
    _malformed("CONNECT", 405, method="CONNECT", target="gateway.example:443"),
    _malformed("get", 400, method="get"),
    _malformed("HTTP/1.2", 400, version="HTTP/1.2"),
    _malformed("no version of HTTP", 400, version=""),
    _malformed("no upgrade", 404, bearer(ANN), without="Upgrade"),
    _malformed("no connection", 404, bearer(ANN), without="Connection"),
    _malformed("an upgrade to HTTP/2", 404, "Upgrade: h2c", bearer(ANN), without="Upgrade"),
    _malformed("an upgrade to this or that", 404, "Upgrade: websocket, h2c", without="Upgrade"),
    _malformed("two upgrades", 426, "Upgrade: h2c", "Upgrade: websocket", bearer(ANN), without="Upgrade"),
    _malformed("the same upgrade twice", 426, "Upgrade: websocket"),
    _malformed("no version", 400, bearer(ANN), without="Sec-WebSocket-Version"),
    _malformed("the version before", 400, "Sec-WebSocket-Version: 8", without="Sec-WebSocket-Version"),
    _malformed("two versions", 400, "Sec-WebSocket-Version: 13"),
    _malformed("two versions in one", 400, "Sec-WebSocket-Version: 13, 8", without="Sec-WebSocket-Version"),
    _malformed("no key", 400, bearer(ANN), without="Sec-WebSocket-Key"),
    _malformed("two keys", 400, _KEY),
    _malformed("an empty key", 400, "Sec-WebSocket-Key:", without="Sec-WebSocket-Key"),
    _malformed("a short key", 400, "Sec-WebSocket-Key: c2hvcnQ=", without="Sec-WebSocket-Key"),
    _malformed("a key that is not base64", 400, "Sec-WebSocket-Key: \xe9***", without="Sec-WebSocket-Key"),
    _malformed("a line without a colon", 400, bearer(ANN), "colon"),
    _malformed("a space before the colon", 400, f"Authorization : Bearer {ANN}"),
    _malformed("a NUL in a header", 400, f"{bearer(ANN)}\0"),
    _malformed("a header in two lines", 400, f"Authorization: Bearer\r\n {ANN}"),
    _malformed("a line break within", 400, f"X: y\n{bearer(ANN)}"),
    _malformed("an address that is not ASCII", 400, target=f"/\xe9?authToken={ANN}"),
    _malformed("a space in the address", 400, target=f"/?authToken={ANN} x"),
    _malformed("two lengths", 400, "Content-Length: 0", "Transfer-Encoding: chunked"),
    _malformed("a body", None, bearer(ANN), "Content-Length: 5"),
    _malformed("a body in pieces", None, bearer(ANN), "Transfer-Encoding: chunked"),
    _malformed("too many headers", 431, bearer(ANN), *["X: y"] * 130),
    _malformed("a header that is too long", 431, bearer(ANN), f"X: {'x' * 8300}"),
    _malformed("an address that is too long", 414, target=f"/?authToken={ANN}&x={'x' * 8300}"),
    _malformed("more than 32 KiB", None, bearer(ANN), *[f"X: {'x' * 8000}"] * 5),
    _malformed("half a megabyte", None, bearer(ANN), *[f"X: {'x' * 8000}"] * 64),
    Handshake("TLS where there is none", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    Handshake("HTTP/2 right away", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
]

_UNKNOWN_KEY = token(kid=KEYLESS)

APPLICATION = [
    _refused("revoked, and bad beside", _TWO, bearer(EVE), target="/?authToken=x"),
    Handshake("a revoked token", request(bearer(EVE)), 401, "TOKEN_REVOKED", "'eve' was revoked"),
    Handshake(
        "a revoked token as browsers send it",
        request(offers("streams.v2", "Authorization", EVE)),
        401,
        "TOKEN_REVOKED",
        "'eve' was revoked",
    ),
    Handshake(
        "keys that were never fetched", request(bearer(_UNKNOWN_KEY)), 503, "AUTH_UNAVAILABLE", "no keys"
    ),
    _in("a kid that is a path, of a token that is good", bearer(token(kid="../../etc/passwd"))),
    _in("a token without a type", bearer(token(typ=...))),
    _in("an access token", bearer(token(typ="at+jwt"))),
    _in("a token for several audiences", bearer(token(claims(aud=["other", "streams"])))),
    _in("a token of nearly 8 KiB", bearer(token(claims(more="x" * 5850)))),
    _in("a user whose name is not ASCII", bearer(token(claims(sub="Zoë\n"))), sub="Zoë\n"),
    _refused("authenticate raises", "authenticate gave no answer", bearer(ANN), target="/raises"),
    _refused("authenticate raises for nobody", "authenticate gave no answer", target="/raises"),
    _refused("authenticate ends the process", "authenticate gave no answer", target="/exits"),
    _refused("authenticate hangs", "it took longer than", bearer(ANN), target="/hangs"),
    _refused("authenticate hangs for nobody", "it took longer than", target="/hangs"),
    _refused("authenticate says False", "returned False", bearer(ANN), target="/false"),
    _refused("authenticate says True", "returned True", bearer(ANN), target="/true"),
    _refused("authenticate says nothing of a token", "returned None for 'ann'", bearer(ANN), target="/none"),
    _nobody("authenticate says nothing of nobody", target="/none"),
    _refused("a context that does not fit", "does not fit", bearer(ANN), target="/misfit"),
    _refused("a context for nobody that does not fit", "does not fit", target="/misfit"),
]


def _with_hostile(number: int, hostile: Hostile) -> Handshake:
    """A bad token, in one of the ways that can carry it: whichever way it comes, it is checked the same."""
    whole, reason = hostile.token, hostile.reason if hostile.token else _NONE
    target = f"/?authToken={quote(whole, safe='', errors='surrogatepass')}"
    rows = [_bad(f"{hostile.name}: in the address", reason, 414, target=target)]
    if whole.isascii() and whole.isprintable() and whole == whole.strip():
        rows.append(_bad(f"{hostile.name}: as a bearer", reason, 431, bearer(whole)))
    if re.fullmatch(r"[\w.+-]+", whole, re.ASCII):
        rows.append(_bad(f"{hostile.name}: as a subprotocol", reason, 431, offers("Authorization", whole)))
    return rows[number % len(rows)]


def _bad(name: str, reason: str, too_long: int, *lines: str, **how: str) -> Handshake:
    row = _refused(name, reason, *lines, **how)
    if len(row.request) > 32 * 1024:
        return Handshake(name, row.request, None)
    if len(row.request) > 8 * 1024:
        return Handshake(name, row.request, too_long)
    return row


HANDSHAKES = [
    *BEARER,
    *SUBPROTOCOL,
    *QUERY,
    *SEVERAL_WAYS,
    *ORIGIN,
    *FORM,
    *APPLICATION,
    *(_with_hostile(number, hostile) for number, hostile in enumerate(HOSTILE)),
]
