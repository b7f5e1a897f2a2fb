"""Names ⇄ NATS: how (stream, group, item) becomes one subject and back.

This is the only module that knows how a subject looks; everything else
passes an `Address` around.

A group or item name is any text. In a subject it becomes one token: the
characters `A-Z a-z 0-9 _ -` stand for themselves, every other UTF-8 byte is
written `=XX` (upper-case hex). The mapping is one-to-one, so two names never
share a key. No name becomes the token `=` alone: it stands for "the group
itself" in the subjects of events.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from streams.errors import InvalidName

MAX_NAME_BYTES = 256
"""Longest group or item name, in UTF-8 bytes."""

LAYOUT_VERSION = 1
"""Version of all this and of the headers beside it. A bucket with a newer one is left alone."""

REVOKED_STREAM = "revoked"
"""What `streams.auth.revocations` keeps."""

INTERNAL_STREAMS = frozenset({"presence", REVOKED_STREAM})
"""Names that no application may give to a stream of its own."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_STREAM_RULE = "must start with a letter and hold at most 64 letters, digits, '_' or '-'"
_STREAM_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
# No underscore: it separates namespace and stream in a bucket's name.
_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}")
_TOKENS = tuple(chr(b) if _PLAIN.fullmatch(chr(b)) and b < 128 else f"={b:02X}" for b in range(256))
_GROUP_ITSELF = "="
_EVENT = "_event"
_META = "_meta"


@dataclass(frozen=True, slots=True)
class Address:
    """Where an item lives."""

    stream: str
    group: str
    id: str

    def __str__(self) -> str:
        return f"{self.stream}/{self.group}/{self.id}"


def address_of(stream: str, group: object, item_id: object) -> Address:
    """The address of an item.

    Raises:
        InvalidName: One of the names cannot become part of a key.
    """
    return Address(stream, checked_name("group", group), checked_name("item id", item_id))


def checked_name(kind: str, name: object) -> str:
    """`name` itself, when it can be a group or an item id.

    Names are not normalised: `é` in one and in two code points are two names.

    Raises:
        InvalidName: Not a string, empty, over 256 UTF-8 bytes, or with a NUL
            or half of a surrogate pair in it.
    """
    if not isinstance(name, str):
        raise InvalidName(kind, name, f"is a {type(name).__name__}; a name is a string")
    if not name:
        raise InvalidName(kind, name, "is empty; give it at least one character")
    if "\0" in name:
        raise InvalidName(kind, name, "contains a NUL character; leave it out")
    try:
        length = len(name) if name.isascii() else len(name.encode())
    except UnicodeEncodeError:
        raise InvalidName(kind, name, "contains half of a surrogate pair, which is not a character") from None
    if length > MAX_NAME_BYTES:
        raise InvalidName(kind, name, f"is {length} bytes long; {MAX_NAME_BYTES} is the limit")
    return name


def checked_stream_name(name: object) -> str:
    """`name` itself, when it can be the name of a stream.

    Raises:
        InvalidName: It does not match `[A-Za-z][A-Za-z0-9_-]{0,63}`, or is reserved.
    """
    if not isinstance(name, str) or not _STREAM_NAME.fullmatch(name):
        raise InvalidName("stream name", name, _STREAM_RULE)
    if name in INTERNAL_STREAMS:
        raise InvalidName("stream name", name, "is reserved; choose another")
    return name


def encode(name: str) -> str:
    """One subject token for any valid name."""
    if _PLAIN.fullmatch(name):
        return name
    return "".join([_TOKENS[byte] for byte in name.encode()])


def decode(token: str) -> str | None:
    """The name behind a token, or None when no name is encoded like that."""
    if _PLAIN.fullmatch(token):
        return token if len(token) <= MAX_NAME_BYTES else None
    first, *rest = token.split("=")
    try:
        data = first.encode("ascii") + b"".join(
            bytes.fromhex(part[:2]) + part[2:].encode("ascii") for part in rest
        )
        name = data.decode()
    except (ValueError, UnicodeError):
        return None
    if not name or "\0" in name or len(data) > MAX_NAME_BYTES:
        return None
    # Only the one spelling that `encode` makes is taken: "=41" is not another name for "A".
    return name if encode(name) == token else None


@dataclass(frozen=True, slots=True)
class Namespace:
    """One deployment stage: every subject and bucket of it begins with this name."""

    name: str = "streams"

    def __post_init__(self) -> None:
        if not _NAMESPACE.fullmatch(self.name):
            raise InvalidName(
                "namespace", self.name, "must start with a letter and hold at most 32 letters, digits or '-'"
            )

    def bucket(self, stream: str) -> str:
        return f"{self.name}_{stream}"

    @property
    def bucket_streams(self) -> str:
        """How the names of all JetStream streams begin that keep buckets."""
        return f"KV_{self.name}_"

    def bucket_stream(self, stream: str) -> str:
        """The JetStream stream that keeps the bucket.

        Raises:
            InvalidName: No stream can have that name. Whatever asks for a bucket comes through here, so that
                no name of a client becomes part of a command to NATS unseen.
        """
        if not _STREAM_NAME.fullmatch(stream):
            raise InvalidName("stream name", stream, _STREAM_RULE)
        return f"KV_{self.name}_{stream}"

    def items(self, stream: str) -> str:
        """Every subject of the bucket."""
        return f"$KV.{self.name}_{stream}.>"

    def meta(self, stream: str) -> str:
        """The bucket's own record: one token, so that it can never be an item."""
        return f"$KV.{self.name}_{stream}.{_META}"

    def item(self, address: Address) -> str:
        return f"$KV.{self.name}_{address.stream}.{encode(address.group)}.{encode(address.id)}"

    def group_items(self, stream: str, group: str) -> str:
        return f"$KV.{self.name}_{stream}.{encode(group)}.*"

    def live(self, stream: str) -> str:
        """Where the server republishes what was committed to the bucket."""
        return f"{self.name}.live.{stream}.>"

    def live_group(self, stream: str, group: str) -> str:
        """Committed changes and ephemeral events of one group."""
        return f"{self.name}.live.{stream}.{encode(group)}.>"

    def live_item(self, address: Address) -> str:
        """Committed changes of one item."""
        return f"{self.name}.live.{address.stream}.{encode(address.group)}.{encode(address.id)}"

    def event(self, stream: str, group: str, item_id: str | None) -> str:
        item = _GROUP_ITSELF if item_id is None else encode(item_id)
        return f"{self.name}.live.{stream}.{encode(group)}.{item}.{_EVENT}"


def item_of(subject: str) -> str | None:
    """The item id at the end of a bucket subject, or None when the key is not an item's.

    `$KV.<bucket>.<group>.<id>` has four tokens. Another program may have put
    a longer key, which no read of the group finds.
    """
    return decode(subject.rpartition(".")[2]) if subject.count(".") == 3 else None


def group_of(subject: str) -> str | None:
    """The group in a bucket subject, or None when the key is not an item's."""
    return decode(subject.split(".")[2]) if item_of(subject) is not None else None


def event_item_of(subject: str) -> tuple[bool, str | None]:
    """Whether a live subject carries an event, and the item it is about (None: the group).

    Token counts keep the kinds apart: `S.live.<stream>.<group>.<id>` has
    five, an event has six, so an item called `_event` is no event.
    """
    tokens = subject.split(".")
    if len(tokens) != 6 or tokens[5] != _EVENT:
        return False, None
    if tokens[4] == _GROUP_ITSELF:
        return True, None
    item_id = decode(tokens[4])
    return item_id is not None, item_id
