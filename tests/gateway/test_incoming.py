"""What is read of clients: the same, whoever had the parser before and however the bytes come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.utils import apply_mask

from streams.gateway.incoming import Incoming, Said, parser
from streams.messages import MAX_MESSAGE_BYTES

MASK = b"\x01\x7f\x80\xff"
OPCODES = st.sampled_from(list(Opcode))


@pytest.fixture(autouse=True)
def _nothing_is_lent() -> Iterator[None]:
    Incoming._spare.clear()
    yield
    Incoming._spare.clear()


def text(payload: bytes, *, fin: bool = True, opcode: Opcode = Opcode.TEXT) -> bytes:
    """A frame of a client. Its mask is always the same, so that what fails can be done again."""
    bare = Frame(Opcode.TEXT, payload).serialize(mask=False)
    length = bare[1 : len(bare) - len(payload)]
    head = bytes([fin << 7 | opcode, length[0] | 0x80]) + length[1:]
    return head + MASK + apply_mask(payload, MASK)


def ping(payload: bytes = b"") -> bytes:
    return text(payload, opcode=Opcode.PING)


@dataclass
class Client:
    """One that has the parser lent to it, as a socket has."""

    said: list[Said] = field(default_factory=list)
    answers: bytes = b""
    incoming: Incoming | None = None

    @property
    def is_silent(self) -> bool:
        return self.incoming is None

    def says(self, data: bytes) -> None:
        self.incoming = self.incoming or Incoming.lent()
        self.said += self.incoming.take(data)
        self.answers += b"".join(self.incoming.wire.data_to_send())
        if self.incoming.is_given_back():
            self.incoming = None


@dataclass
class Owner:
    """One that has a parser of its own for ever, without anything of ours."""

    wire: ServerProtocol = field(default_factory=lambda: parser(State.OPEN))
    said: list[Said] = field(default_factory=list)
    answers: bytes = b""
    _parts: list[bytes] = field(default_factory=list)

    def says(self, data: bytes) -> None:
        self.wire.receive_data(data)
        for frame in self.wire.events_received():
            assert isinstance(frame, Frame)
            if frame.opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE):
                self.said.append((frame.opcode, b""))
                continue
            self._parts.append(bytes(frame.data))
            if frame.fin:
                self.said.append((Opcode.TEXT, b"".join(self._parts)))
                self._parts.clear()
        self.answers += b"".join(self.wire.data_to_send())


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut after so many bytes each, the last cut again and again."""
    cut: list[bytes] = []
    for size in cuts:
        cut.append(data[:size])
        data = data[size:]
    return [each for each in [*cut, data] if each]


# Whoever is in the middle of nothing has no parser.


@pytest.mark.parametrize(
    "read",
    [text(b"{}"), text(b""), text(b"x" * 200), text(b"x" * 65_000), ping(b"x"), text(b"a") + text(b"b")],
)
def test_after_whole_messages_a_client_has_no_parser(read: bytes):
    client = Client()

    client.says(read)

    assert client.is_silent
    assert client.said


@pytest.mark.parametrize("size", [0, 1, 125, 126, 200, 65_535])
@pytest.mark.parametrize("cut", [1, 2, 3, 5, -1])
def test_a_client_in_the_middle_of_a_frame_keeps_it_until_the_frame_ends(size: int, cut: int):
    whole, client = text(b"x" * size), Client()

    client.says(whole[:cut])
    assert not client.is_silent

    client.says(whole[cut:])
    assert client.is_silent
    assert client.said == [(Opcode.TEXT, b"x" * size)]


def test_a_client_in_the_middle_of_a_message_keeps_it_until_the_message_ends():
    client = Client()

    client.says(text(b"a", fin=False))
    client.says(ping() + text(b"b", fin=False, opcode=Opcode.CONT))
    assert not client.is_silent

    client.says(text(b"c", opcode=Opcode.CONT))
    assert client.is_silent
    assert client.said == [(Opcode.PING, b""), (Opcode.TEXT, b"abc")]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (Frame(Opcode.TEXT, b"{}").serialize(mask=False), 1002),
        (text(b"x", opcode=Opcode.CONT), 1002),
        (b"\xc1\x80\0\0\0\0", 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (text(b"x" * (MAX_MESSAGE_BYTES + 1)), 1009),
        (text(b"x" * MAX_MESSAGE_BYTES, fin=False) + text(b"x", opcode=Opcode.CONT), 1009),
        (b"\x81\xff" + b"\xff" * 8, 1009),
        (text(Close(1000, "").serialize(), opcode=Opcode.CLOSE), 1000),
    ],
    ids=[
        "no mask",
        "no beginning",
        "reserved bit",
        "reserved opcode",
        "long",
        "long in pieces",
        "longest",
        "close",
    ],
)
def test_a_parser_that_has_failed_or_ended_is_lent_to_nobody(wrong: bytes, code: int):
    client = Client()

    client.says(wrong)

    assert client.incoming is not None
    assert client.incoming.wire.close_sent is not None
    assert client.incoming.wire.close_sent.code == code
    other = Client()
    other.says(text(b"hello"))
    assert other.said == [(Opcode.TEXT, b"hello")]


def test_what_is_announced_too_long_is_refused_before_it_comes():
    client = Client()

    client.says(text(b"x" * (MAX_MESSAGE_BYTES + 1))[:10])

    assert client.answers


def test_one_parser_serves_all_who_are_silent_between():
    first = Client()
    first.says(text(b"a"))
    (spare,) = Incoming._spare

    for _ in range(3):
        Client().says(text(b"b"))

    assert Incoming._spare == [spare]


# Whatever comes.

FRAMES = st.one_of(
    st.builds(text, st.binary(max_size=130), fin=st.booleans(), opcode=OPCODES),
    st.builds(lambda size, fin: text(b"x" * size, fin=fin), st.integers(65_530, 65_540), st.booleans()),
    st.builds(ping, st.binary(max_size=130)),
    st.builds(lambda payload: Frame(Opcode.TEXT, payload).serialize(mask=False), st.binary(max_size=9)),
    st.binary(max_size=20),
    # Lengths that are written longer than they need to be.
    st.just(b"\x81\xfe\x00\x01\0\0\0\0x"),
    st.just(b"\x81\xff\0\0\0\0\0\0\0\x01\0\0\0\0x"),
)
WHOLE = st.builds(text, st.binary(max_size=130)) | st.builds(ping, st.binary(max_size=100))
CUTS = st.lists(st.integers(1, 400), max_size=12)
STREAMS = st.tuples(st.lists(WHOLE, max_size=6), st.lists(FRAMES, max_size=6)).map(
    lambda both: b"".join(both[0] + both[1])
)


@given(
    st.lists(st.tuples(STREAMS, CUTS), min_size=1, max_size=4),
    st.lists(st.integers(0, 3), min_size=1, max_size=9),
)
def test_everybody_is_read_as_by_a_parser_of_its_own(
    everybody: list[tuple[bytes, list[int]]], turns: list[int]
):
    Incoming._spare.clear()
    clients, owners = [Client() for _ in everybody], [Owner() for _ in everybody]
    waiting = [(number, pieces(*each)) for number, each in enumerate(everybody) if each[0]]

    for turn in cycle(turns):
        if not waiting:
            break
        number, reads = waiting[turn % len(waiting)]
        clients[number].says(reads[0])
        owners[number].says(reads.pop(0))
        waiting = [each for each in waiting if each[1]]

    for client, owner in zip(clients, owners, strict=True):
        assert (client.said, client.answers) == (owner.said, owner.answers)
        if owner.wire.state is not State.OPEN:
            assert not client.is_silent


@given(st.lists(WHOLE, min_size=1, max_size=8), CUTS)
def test_whoever_says_whole_messages_ends_without_a_parser(frames: list[bytes], cuts: list[int]):
    client = Client()

    for piece in pieces(b"".join(frames), cuts):
        client.says(piece)

    assert client.is_silent
    assert len(client.said) == len(frames)
