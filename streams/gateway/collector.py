"""A hub in Prometheus' words. docs/runbook.md has a line for every number."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from streams.gateway.client_line import NO_CLOSE
from streams.gateway.hub import Hub
from streams.gateway.measures import Histogram, Measures
from streams.messages import (
    CLOSE_INTERNAL_ERROR,
    CLOSE_SERVICE_RESTART,
    CLOSE_TOO_SLOW,
    CLOSE_UNAUTHORIZED,
)

NOT_SUMMED: Mapping[str, Callable[[Iterable[float]], float]] = {
    "streams_gateway_ready": min,
    "streams_gateway_nats_connected": min,
    "streams_gateway_revocations_age_seconds": max,
    "streams_gateway_comparison_age_seconds": max,
    "streams_gateway_memory_limit_bytes": max,
    "process_start_time_seconds": min,
}
"""How the numbers of several processes are told as one, where that is not their sum."""

CGROUPS = Path("/sys/fs/cgroup")
_MEMORY_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
"""Of a container, by either version of cgroups."""

# Told from the start, as zero: of what begins with its first number, no rate can be had.
_TURNED_AWAY = ("AUTH_UNAVAILABLE", "ORIGIN_REFUSED", "TOKEN_REFUSED", "TOKEN_REVOKED")
_REFUSED = (
    "INVALID_NAME",
    "STREAM_ACCESS_DENIED",
    "STREAM_NOT_FOUND",
    "STREAM_NOT_USABLE",
    "TOKEN_REVOKED",
    "TOO_MANY_SUBSCRIPTIONS",
)
_CLOSED = (
    1000,
    1001,
    1002,
    1005,
    NO_CLOSE,
    1007,
    1009,
    CLOSE_INTERNAL_ERROR,
    CLOSE_SERVICE_RESTART,
    CLOSE_UNAUTHORIZED,
    CLOSE_TOO_SLOW,
)
_RESYNCS = ("restarted", "slow")
_COMPARISONS = ("groups", "scan", "unmoved")

_COUNTED: tuple[tuple[str, str, Callable[[Measures], int]], ...] = (
    (
        "changes",
        "Changes of items that NATS told of in groups that are followed, since the start",
        lambda measures: measures.changes,
    ),
    ("events", "Ephemeral events, likewise", lambda measures: measures.events),
    (
        "joins",
        "Groups and single items whose state was sent to a client that asked for it, since the start",
        lambda measures: measures.joins,
    ),
    (
        "frames_sent",
        "WebSocket messages about rooms that went out, each once for every client, since the start",
        lambda measures: measures.frames,
    ),
    ("sent_bytes", "Bytes of these messages, since the start", lambda measures: measures.bytes),
    (
        "writes",
        "Writes to sockets that these took: one for all that a client gets in a tick, since the start",
        lambda measures: measures.writes,
    ),
    (
        "frames_coalesced",
        "Messages that went out in the write of another one, since the start",
        lambda measures: max(0, measures.frames - measures.writes),
    ),
    (
        "changes_conflated",
        "Changes that a slow client was not told one by one, each once for every such client",
        lambda measures: measures.conflated,
    ),
    (
        "events_dropped",
        "Events that a slow client never gets, each once for every such client",
        lambda measures: measures.dropped,
    ),
    (
        "clients_stalled",
        "Clients that were sent away because they read nothing for too long, since the start",
        lambda measures: measures.stalled,
    ),
    (
        "values_let_go",
        "Values of items of watched groups that were let go because all took too much memory",
        lambda measures: measures.values_let_go,
    ),
    (
        "values_read",
        "Values of items that were let go, and read again because a client was to be told of them",
        lambda measures: measures.values_read,
    ),
    (
        "changes_repaired",
        "Changes that were missed, and found by comparing with the bucket, since the start",
        lambda measures: measures.repairs,
    ),
)


class GatewayCollector(Collector):
    """A hub in Prometheus' words."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._memory_limit = memory_limit()

    def collect(self) -> Iterable[Metric]:
        yield from self._now()
        yield from self._of_clients()
        measures = self._hub.measures
        for name, meaning, number in _COUNTED:
            yield _counter(name, meaning, number(measures))
        yield _by(
            "reason",
            "resyncs",
            "Clients that were given the whole state anew, or sent away for it, by reason, since the start",
            _with_zeros(measures.resyncs, _RESYNCS),
        )
        yield _by(
            "kind",
            "comparisons",
            "Comparisons with a bucket, for joins and for what was lost, by what they took, since the start",
            _with_zeros(measures.sweeps, _COMPARISONS),
        )
        yield _histogram(
            "write_to_send_seconds",
            "From a commit, by the clock of NATS, until it is written to the sockets, by ours",
            measures.write_to_send,
        )
        yield _histogram(
            "hook_seconds",
            "How long the application took to say who somebody is, or what they may see or send",
            measures.hook,
        )
        yield _histogram(
            "event_loop_lag_seconds",
            "By how much the event loop was late, looked at four times a second",
            measures.loop_lag,
        )

    def _now(self) -> Iterable[Metric]:
        hub, signs = self._hub, self._hub.signs
        yield _gauge("connections", "Client sockets that are open", len(hub.guests))
        yield _gauge(
            "joined_rooms",
            "Groups and single items that clients watch, each once for every client",
            hub.watched_rooms,
        )
        yield _gauge(
            "groups",
            "Groups, and items alone, that are followed in NATS, with those just left by the last client",
            hub.watched_groups,
        )
        yield _gauge("clients_behind", "Clients that do not read what waits for them", hub.behind)
        yield _gauge("unread_bytes", "What waits for clients to be read, in this process", hub.unread_bytes)
        yield _gauge("cached_bytes", "Values of items, and frames made of them", hub.cache.bytes)
        yield _gauge(
            "memory_limit_bytes", "Memory that the container, or else the machine, has", self._memory_limit
        )
        yield _gauge(
            "ready", "1 where new clients are let in, 0 where /readyz says why not", not hub.not_ready()
        )
        yield _gauge(
            "nats_connected", "1 while the line to NATS stands, as far as is known", signs.is_connected
        )
        yield _gauge(
            "revocations_age_seconds",
            "How long ago NATS has answered last what was revoked",
            signs.revocations_seconds,
        )
        yield _gauge(
            "comparison_age_seconds",
            "How long ago the least known bucket was compared with; 0 where nothing is watched",
            hub.oldest_check_seconds,
        )

    def _of_clients(self) -> Iterable[Metric]:
        tally = self._hub.guests.tally
        yield _counter("connections_opened", "Client sockets that were opened, since the start", tally.opened)
        yield _by(
            "code",
            "connections_refused",
            "Client sockets that were not opened, by the code of the answer, since the start",
            _with_zeros(tally.turned_away, _TURNED_AWAY),
        )
        yield _by(
            "code",
            "connections_closed",
            "Client sockets that have ended, by WebSocket close code, since the start",
            _closed(tally.closed),
        )
        yield _by(
            "code",
            "rooms_refused",
            "Groups and single items that a client was refused, or lost, by code, since the start",
            _with_zeros(tally.refused, _REFUSED),
        )


def memory_limit(cgroups: Path = CGROUPS) -> int:
    """Bytes of memory that there are: of the container, where it says so, or else of the machine."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in _MEMORY_LIMITS:
        # The file is not there, or says `max`.
        with suppress(OSError, ValueError):
            limits.append(int((cgroups / name).read_text()))
    return min(limits)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"streams_gateway_{name}", meaning, value=value)


def _counter(name: str, meaning: str, number: int) -> Metric:
    return CounterMetricFamily(f"streams_gateway_{name}", meaning, value=number)


def _by(label: str, name: str, meaning: str, numbers: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"streams_gateway_{name}", meaning, labels=[label])
    for value, number in numbers.items():
        family.add_metric([value], number)
    return family


def _histogram(name: str, meaning: str, histogram: Histogram) -> Metric:
    bounds = [*map(floatToGoString, histogram.bounds), "+Inf"]
    family = HistogramMetricFamily(f"streams_gateway_{name}", meaning)
    family.add_metric([], list(zip(bounds, histogram.cumulative(), strict=True)), histogram.sum)
    return family


def _with_zeros(counted: Mapping[str, int], codes: Iterable[str]) -> Mapping[str, int]:
    return {**dict.fromkeys(codes, 0), **counted}


def _closed(counted: Mapping[int, int]) -> Mapping[str, int]:
    """A client may close with any of thousands of codes: those that are not ours are one."""
    told = Counter({str(code): 0 for code in (*_CLOSED, "other")})
    for code, number in counted.items():
        told[str(code) if code in _CLOSED else "other"] += number
    return told
