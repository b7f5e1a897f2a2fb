"""What is cheaper: going through all that changed in a bucket, or asking for some groups. Pure.

Measured with nats-server 2.15.1 and this gateway on one machine, in buckets
of 10,000 to 100,000 records of 200 bytes; CPU time of both together.
"""

from __future__ import annotations

REQUEST_MICROSECONDS = 500.0
"""Any request and its answer, however little is in it."""

RECORD_MICROSECONDS = 60.0
"""A record that comes and is looked at."""

ITEM_MICROSECONDS = 2.5
"""An item of a group that is asked for and has not changed: the server looks for it all the same."""

RECORDS_AT_ONCE, ITEMS_AT_ONCE, GROUPS_AT_ONCE = 256, 900, 100
"""How much goes into one request. The server refuses to look for more than 1,024 items."""

FEW_RECORDS = 128
"""So many more are gone through rather than asking: whoever comes next has them behind it."""


def is_scan_cheaper(records: float, *, of_groups: float, groups: int, items: float) -> bool:
    """Whether to go through `records` of a bucket rather than to ask for so many groups, of `items` in all.

    Of these records, `of_groups` are of these groups, and come either way.
    """
    pages = records / RECORDS_AT_ONCE
    requests = max(groups / GROUPS_AT_ONCE, items / ITEMS_AT_ONCE, 1.0)
    scan = pages * REQUEST_MICROSECONDS + records * RECORD_MICROSECONDS
    # A group without items is looked for like one item.
    reads = requests * REQUEST_MICROSECONDS + (groups + items) * ITEM_MICROSECONDS
    return scan <= reads + (of_groups + FEW_RECORDS) * RECORD_MICROSECONDS
