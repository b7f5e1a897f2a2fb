"""Whatever was written, lost or forgotten while a client was away: it comes back to what there is."""

from __future__ import annotations

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.access import ANONYMOUS
from streams.changes import ItemDeleted, ItemSet, Stored
from streams.client.held import Held, Wanted
from streams.envelope import Envelope
from streams.gateway.group import Group
from streams.gateway.states import States
from streams.store import Delta, Epoch, Position
from tests.core.changes_made import item_deleted, item_set

IDS = "abcd"


class Bucket:
    """The newest record of every item, and how far it has come."""

    def __init__(self) -> None:
        self.epoch = Epoch("e0", 0)
        self.end = 0
        self.records: dict[str, Stored] = {}

    def write(self, item_id: str, *, is_delete: bool) -> Stored:
        self.end += 1
        held = self.records.get(item_id)
        if is_delete:
            self.records[item_id] = item_deleted(self.end, item_id)
        else:
            created = held.created if isinstance(held, ItemSet) else None
            self.records[item_id] = item_set(self.end, item_id, created=created)
        return self.records[item_id]

    def expire_markers(self) -> None:
        self.records = {id: each for id, each in self.records.items() if isinstance(each, ItemSet)}

    def set_back(self, copy: tuple[int, dict[str, Stored]]) -> None:
        """An older copy takes its place, and whoever put it there says so."""
        self.end, self.records = copy[0], dict(copy[1])
        self.epoch = Epoch(f"e{int(self.epoch.name[1:]) + 1}", 0)

    def items(self) -> list[ItemSet]:
        items = [each for each in self.records.values() if isinstance(each, ItemSet)]
        return sorted(items, key=lambda item: (item.created, item.id))

    def since(self, after: int) -> Delta:
        changes = [each for each in self.records.values() if each.revision > after]
        changes.sort(key=lambda each: each.revision)
        return Delta(changes, Position(self.epoch, self.end))


class Gateway:
    """One of several, which may have missed anything."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.group = Group()
        self.states = States(Envelope("todo", "inbox"), lambda: self.group)

    def hear(self, change: Stored) -> None:
        if self.group.apply(change) is not None:
            self.states.forget()

    def freshen(self) -> None:
        """As every join does: everything is in that was committed before."""
        position = self.group.position
        if position is None or position.epoch != self._bucket.epoch:
            self.group = Group()
            self.states.forget()
            position = None
        shown = self.group.catch_up(self._bucket.since(0 if position is None else position.revision))
        if shown:
            self.states.forget()

    def compare(self) -> None:
        """As it does after it heard nothing for long: markers may be gone."""
        if self.group.position is not None and self.group.position.epoch == self._bucket.epoch:
            self.group.replace(self._bucket.since(0))
            self.states.forget()


class Client:
    """It says what it has, and believes what it is told."""

    is_extended = True
    caller = ANONYMOUS

    def __init__(self) -> None:
        self.held = Held()
        self.asked = 0

    def come(self, gateway: Gateway) -> None:
        gateway.freshen()
        at = self.held.at
        frame = gateway.states.sync(is_extended=True) if at is None else gateway.states.since(at)
        wanted = self.take(frame)
        for _ in range(2):
            if wanted is Wanted.IDS:
                wanted = self.take(gateway.states.ids())
            elif wanted is Wanted.EVERYTHING:
                wanted = self.take(gateway.states.sync(is_extended=True))
            self.asked += wanted is not Wanted.NOTHING
        assert wanted is Wanted.NOTHING

    def take(self, frame: bytes) -> Wanted:
        return self.held.take(orjson.loads(frame[frame.index(b"{") :]))


writes = st.tuples(st.just("write"), st.sampled_from(IDS), st.booleans(), st.booleans(), st.booleans())
steps = st.one_of(
    writes,
    writes,
    st.tuples(st.just("come"), st.integers(0, 1)),
    st.tuples(st.just("beat"), st.integers(0, 1)),
    st.sampled_from([("expire",), ("copy",), ("set back",), ("restart", 0), ("restart", 1)]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(steps, max_size=40))
def test_it_has_what_there_is_whenever_it_has_come(done: list[tuple[object, ...]]):
    bucket, client = Bucket(), Client()
    gateways = [Gateway(bucket), Gateway(bucket)]
    copy = (0, dict[str, Stored]())
    for step in done:
        match step:
            case ("write", str(item_id), bool(is_delete), *heard):
                change = bucket.write(item_id, is_delete=is_delete)
                for gateway, has_heard in zip(gateways, heard, strict=True):
                    if has_heard:
                        gateway.hear(change)
            case ("come", int(number)):
                client.come(gateways[number])
                assert [held["id"] for held in client.held.items] == [item.id for item in bucket.items()]
                assert client.held.items == [orjson.loads(item.value) for item in bucket.items()]
            case ("beat", int(number)):
                if client.held.at is not None and gateways[number].group.position is not None:
                    gateways[number].freshen()
                    client.take(gateways[number].states.heartbeat())
            case ("expire",):
                # A gateway that follows knows of the deletes before their markers go.
                for gateway in gateways:
                    gateway.compare()
                bucket.expire_markers()
            case ("copy",):
                copy = (bucket.end, dict(bucket.records))
            case ("set back",):
                bucket.set_back(copy)
            case ("restart", int(number)):
                gateways[number] = Gateway(bucket)
    assert all(isinstance(each, ItemSet | ItemDeleted) for each in bucket.records.values())
