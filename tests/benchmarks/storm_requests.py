"""What JetStream is asked for, overheard: `python -m tests.benchmarks.storm_requests NATS_URL`.

For each line of its input it says what was asked since the last one, by
everybody together.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field

import nats
import orjson
import uvloop
from nats.aio.msg import Msg

from streams.keys import REVOKED_STREAM, Namespace
from tests.benchmarks.targets import STREAM


@dataclass(slots=True)
class Requests:
    """Requests about the bucket of `bench`, by what they ask."""

    ends: int = 0
    """How far the bucket has come."""
    scans: int = 0
    """The next records of the whole bucket, whatever groups they are of."""
    group_reads: int = 0
    """All of some groups, or what changed there: each group of each request counts."""
    group_requests: int = 0
    """Those requests."""
    groups: int = 0
    """Groups that were read."""
    most: int = 0
    """Reads of the group that was read most often."""
    records: int = 0
    """Single records, which writers read too, and the bucket's own."""
    revocations: int = 0
    """About their bucket, whatever it is."""
    others: int = 0


@dataclass(slots=True)
class Overheard:
    """Requests since the last look."""

    requests: Requests = field(default_factory=Requests)
    reads: Counter[str] = field(default_factory=Counter)

    def hear(self, subject: str, data: bytes) -> None:
        asked = self.requests
        if _REVOKED in subject:
            asked.revocations += 1
        elif subject == f"$JS.API.STREAM.INFO.{_BUCKET}":
            asked.ends += 1
        elif subject == f"$JS.API.DIRECT.GET.{_BUCKET}":
            self._hear_read(data)
        elif subject.startswith(f"$JS.API.DIRECT.GET.{_BUCKET}."):
            asked.records += 1
        else:
            asked.others += 1

    def told(self) -> Requests:
        told, told.groups, told.most = self.requests, len(self.reads), max(self.reads.values(), default=0)
        self.requests, self.reads = Requests(), Counter()
        return told

    def _hear_read(self, data: bytes) -> None:
        body, asked = orjson.loads(data), self.requests
        groups = [name for name in body.get("multi_last", ()) if name.endswith((".*", ".>"))]
        self.reads.update(groups)
        asked.group_reads += len(groups)
        asked.group_requests += bool(groups)
        asked.scans += "next_by_subj" in body
        asked.records += not groups and "next_by_subj" not in body


_BUCKET = Namespace().bucket_stream(STREAM)
_REVOKED = Namespace().bucket_stream(REVOKED_STREAM)


async def main(url: str) -> None:
    overheard = Overheard()

    async def hear(message: Msg) -> None:
        overheard.hear(message.subject, message.data)

    async with await nats.connect(url) as client:
        await client.subscribe("$JS.API.>", cb=hear, pending_msgs_limit=0, pending_bytes_limit=0)
        await client.flush()
        print('"ready"', flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            # What was asked before has come when the answer to this has.
            await client.flush()
            await asyncio.sleep(0)
            print(orjson.dumps(asdict(overheard.told())).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
